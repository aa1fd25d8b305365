/* SAVE: a new generation. Every server's builder writes what has come since the last one beside the older files, syncs and verifies it; only when all
 * have, server 0 names the generation in the manifest. Whether it was named the others learn with the next save, which says which generation it
 * follows. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "checkpoint/generation.h"
#include "server/parts.h"
#include "server/server_internal.h"

/* ---- a server's part: writing its file ---- */

typedef struct writing {
    job_t job;
    operation_t *operation;
    char storage[PATH_MAX];
    int64_t generation;
    int server;
    int servers;
    const basis_t *basis; /* the index's; NULL: none that fits */
    shard_snapshot_t snapshot;
    manifest_part_t part;
    basis_t *written;
} writing_t;

static dfaiss_status_t take_snapshot(job_t *job, dfaiss_error_t *err) {
    writing_t *writing = job->context;
    TRY(shard_snapshot(job->hosted->shard, &writing->snapshot, err));
    job->hosted->mark = shard_mark(job->hosted->shard);
    job->hosted->mark_generation = writing->generation;
    return DFAISS_OK;
}

static dfaiss_status_t write_file(void *context, dfaiss_error_t *err) {
    writing_t *writing = context;
    shard_content_t content = shard_content_of_snapshot(&writing->snapshot);
    content.generation = writing->generation;
    content.server = writing->server;
    content.servers = writing->servers;
    snprintf(content.index, sizeof content.index, "%s", writing->job.hosted->name);
    TRY(generation_write(writing->storage, &content, writing->basis, &writing->part, &writing->written, err));
    memory_trim(); /* HDF5's buffers */
    return DFAISS_OK;
}

static void file_written(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    writing_t *writing = job->context;
    operation_t *operation = writing->operation;
    if (status == DFAISS_OK) {
        bytes_writer_t *result = &operation->result;
        bytes_put_u32(result, (uint32_t)server->number);
        parts_put(result, &writing->part);
        bytes_put_i64(result, shard_next_id(job->hosted->shard));
        job->hosted->file_bytes = (int64_t)manifest_part_bytes(&writing->part);
        job->hosted->written = writing->written;
    }
    manifest_clear_part(&writing->part);
    shard_snapshot_clear(&writing->snapshot);
    free(writing);
    operation_local_end(server, operation, status, error);
}

/* What this server has of the generation that the new one follows; 0: of none. */
static const basis_t *find_basis(hosted_t *hosted, int64_t follows) {
    if (hosted->written && basis_generation(hosted->written) == follows) {
        basis_destroy(hosted->saved);
        hosted->saved = hosted->written;
    } else {
        basis_destroy(hosted->written);
    }
    hosted->written = NULL;
    return hosted->saved && basis_generation(hosted->saved) == follows ? hosted->saved : NULL;
}

/* The argument: index, storage, generation, and the one that it follows. */
static dfaiss_status_t start_writing(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME], storage[PATH_MAX];
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    bytes_get_string(&in, storage, sizeof storage);
    int64_t generation = bytes_get_i64(&in), follows = bytes_get_i64(&in);
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_SAVE, err);
    hosted_t *hosted;
    TRY(hosted_get(server, index, &hosted, err));
    writing_t *writing = calloc(1, sizeof *writing);
    if (!writing)
        return error_memory(err, sizeof *writing, "saving");
    memcpy(writing->storage, storage, sizeof writing->storage);
    writing->operation = operation;
    writing->generation = generation;
    writing->server = server->number;
    writing->servers = server->servers;
    writing->basis = find_basis(hosted, follows);
    writing->job = (job_t){.hosted = hosted, .prepare = take_snapshot, .work = write_file, .done = file_written, .context = writing};
    job_submit(server, &writing->job);
    return DFAISS_OK;
}

void operation_write(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = start_writing(server, operation, &error);
    if (status != DFAISS_OK)
        operation_local_end(server, operation, status, &error);
}

/* ---- server 0's part: before and after ---- */

typedef struct saving {
    job_t job;
    request_t *request;
    char index[MESSAGE_NAME];
    char *storage;
    lease_t *lease; /* the index's */
    manifest_basis_t basis;
    bool replace;
    int64_t keep;
    manifest_generation_t generation;
    bool named;             /* in the manifest, although it failed */
    dfaiss_status_t failed; /* the leftovers are removed then */
    dfaiss_error_t failure;
} saving_t;

static void free_saving(saving_t *saving) {
    manifest_clear_generation(&saving->generation);
    free(saving->storage);
    free(saving);
}

static void answer_saving(server_t *server, saving_t *saving, dfaiss_status_t status, const dfaiss_error_t *error) {
    bytes_writer_t body = {0};
    bytes_put_i64(&body, saving->generation.number);
    bytes_put_i64(&body, (int64_t)manifest_generation_bytes(&saving->generation));
    request_answer(server, saving->request, status, error, &body, NULL, 0);
    bytes_writer_destroy(&body);
    free_saving(saving);
}

/* Builder: the folder of the new generation, empty. */
static dfaiss_status_t make_folder(void *context, dfaiss_error_t *err) {
    saving_t *saving = context;
    TRY(lease_check(saving->lease, err));
    return generation_begin(saving->storage, saving->index, &saving->basis, saving->replace, &saving->generation.number, err);
}

/* Builder: what a failed save has left is removed. */
static dfaiss_status_t remove_folder(void *context, dfaiss_error_t *err) {
    saving_t *saving = context;
    if (saving->generation.number == 0)
        return DFAISS_OK;
    return generation_abandon(saving->storage, saving->index, saving->generation.number, saving->replace, &saving->named, err);
}

/* From now on the index is that of the new generation. */
static void note_saved(server_t *server, const saving_t *saving) {
    hosted_t *hosted = hosted_find(server, saving->index);
    if (!hosted)
        return;
    hosted->basis = (manifest_basis_t){saving->generation.number, saving->generation.number};
    hosted->overwrite = false;
}

static void folder_removed(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    saving_t *saving = job->context;
    if (status != DFAISS_OK)
        log_write(LOG_LEVEL_WARNING, "%s", error->text);
    /* It failed, yet it may stay: the next one follows it. */
    if (saving->named)
        note_saved(server, saving);
    dfaiss_error_t failure = saving->failure;
    answer_saving(server, saving, saving->failed, &failure);
}

static void clean_up(server_t *server, saving_t *saving, dfaiss_status_t failed, const dfaiss_error_t *failure) {
    saving->failed = failed;
    saving->failure = *failure;
    saving->job = (job_t){.work = remove_folder, .done = folder_removed, .context = saving};
    job_submit(server, &saving->job);
}

/* Builder: the generation is named. */
static dfaiss_status_t commit(void *context, dfaiss_error_t *err) {
    saving_t *saving = context;
    TRY(lease_check(saving->lease, err));
    return generation_commit(saving->storage, saving->index, &saving->generation, &saving->basis, saving->keep, saving->replace, err);
}

static void committed(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    saving_t *saving = job->context;
    if (status != DFAISS_OK) {
        clean_up(server, saving, status, error);
        return;
    }
    note_saved(server, saving);
    answer_saving(server, saving, DFAISS_OK, error);
}

/* Reads what each server has written; the results come in any order. */
static dfaiss_status_t collect_parts(server_t *server, const operation_t *operation, manifest_generation_t *generation, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(operation->result.data, operation->result.size);
    generation->parts = calloc((size_t)server->servers, sizeof *generation->parts);
    if (!generation->parts)
        return error_memory(err, (size_t)server->servers * sizeof *generation->parts, "saving");
    generation->part_count = server->servers;
    for (int i = 0; i < server->servers; i++) {
        uint32_t number = bytes_get_u32(&in);
        if (number >= (uint32_t)server->servers || generation->parts[number].files)
            return message_malformed(MESSAGE_GATHER, err);
        manifest_part_t *part = &generation->parts[number];
        TRY(parts_get(&in, part, err));
        generation->vectors += part->vectors;
        generation->buffered += part->buffered;
        int64_t next_id = bytes_get_i64(&in);
        generation->next_id = next_id > generation->next_id ? next_id : generation->next_id;
    }
    return bytes_reader_done(&in) ? DFAISS_OK : message_malformed(MESSAGE_GATHER, err);
}

static void all_written(server_t *server, operation_t *operation, void *context) {
    saving_t *saving = context;
    dfaiss_error_t error = operation->error;
    dfaiss_status_t status = operation->status;
    if (status == DFAISS_OK)
        status = collect_parts(server, operation, &saving->generation, &error);
    if (status != DFAISS_OK) {
        clean_up(server, saving, status, &error);
        return;
    }
    saving->job = (job_t){.work = commit, .done = committed, .context = saving};
    job_submit(server, &saving->job);
}

static void folder_made(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    saving_t *saving = job->context;
    if (status != DFAISS_OK) {
        clean_up(server, saving, status, error);
        return;
    }
    bytes_writer_t argument = {0};
    bytes_put_string(&argument, saving->index);
    bytes_put_string(&argument, saving->storage);
    bytes_put_i64(&argument, saving->generation.number);
    bytes_put_i64(&argument, saving->replace ? 0 : saving->basis.generation);
    operation_start(server, OPERATION_WRITE, &argument, NULL, 0, all_written, saving);
}

static dfaiss_status_t make_saving(server_t *server, request_t *request, saving_t **out, dfaiss_error_t *err) {
    hosted_t *hosted;
    TRY(hosted_get(server, request->index, &hosted, err));
    TRY(hosted_claim(server, hosted, true, err));
    saving_t *saving = calloc(1, sizeof *saving);
    if (!saving)
        return error_memory(err, sizeof *saving, "saving");
    index_config_t *config = NULL;
    dfaiss_status_t status = shard_config_copy(hosted->shard, &config, err);
    if (status != DFAISS_OK) {
        free_saving(saving);
        return status;
    }
    saving->request = request;
    memcpy(saving->index, request->index, sizeof saving->index);
    saving->storage = strdup(hosted_storage(server, config));
    saving->lease = hosted->lease;
    saving->basis = hosted->basis;
    saving->replace = hosted->overwrite;
    saving->keep = config->keep_generations;
    saving->generation.servers = server->servers;
    saving->generation.next_id = hosted->next_id;
    saving->generation.own_ids = hosted->own_ids;
    saving->generation.config = index_config_json(config, true);
    index_config_destroy(config);
    if (!saving->storage || !saving->generation.config) {
        free_saving(saving);
        return error_memory(err, sizeof *saving, "saving");
    }
    *out = saving;
    return DFAISS_OK;
}

void request_save(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    saving_t *saving = NULL;
    dfaiss_status_t status = make_saving(server, request, &saving, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    saving->job = (job_t){.work = make_folder, .done = folder_made, .context = saving};
    job_submit(server, &saving->job);
}
