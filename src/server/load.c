/* LOAD: an index from the storage, on any number of servers. Server 0's builder reads the manifest and chooses the generation, the newest, and which
 * server gets which rows of it is planned (plan.c); each server's builder then verifies its share of the files and reads its rows. Where any of them
 * finds damage, all give up what they have loaded, and server 0 chooses the generation before: whatever is loaded in the end is one generation on all
 * servers. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/index_name.h"
#include "message/load.h"
#include "message/named.h"
#include "server/override.h"
#include "server/restoring.h"

/* ---- a server's part ---- */

typedef struct loading {
    job_t job;
    operation_t *operation;
    restoring_t restoring;
    bool own_ids;
    int64_t vectors; /* of the whole index */
    int64_t next_id;
    bytes_writer_t overrides; /* JSON of keys that have precedence over the file's */
    int server;
    int servers;
    spread_t plan;
    int64_t file_bytes; /* of the parts whose files this server has compared with their checksums */
    shard_content_t content;
    basis_t *basis; /* of the next save, where this server has all of its own part and nothing else; NULL: it writes everything */
} loading_t;

static void free_loading(loading_t *loading) {
    shard_content_clear(&loading->content);
    basis_destroy(loading->basis);
    restoring_clear(&loading->restoring);
    spread_clear(&loading->plan);
    bytes_writer_destroy(&loading->overrides);
    free(loading);
}

static bool verifies(const loading_t *loading, int part) {
    return spread_verifier(part, loading->restoring.count, loading->servers) == loading->server;
}

static dfaiss_status_t verify_files(loading_t *loading, dfaiss_error_t *err) {
    const restoring_t *restoring = &loading->restoring;
    for (int i = 0; i < restoring->count; i++) {
        const manifest_part_t *part = &restoring->parts[i];
        for (int64_t file = 0; verifies(loading, i) && file < part->file_count; file++)
            TRY(manifest_verify_file(restoring->storage, restoring->index, &part->files[file], err));
        loading->file_bytes += verifies(loading, i) ? (int64_t)manifest_part_bytes(part) : 0;
    }
    return DFAISS_OK;
}

/* Every file is compared with its checksum by one server, while others may be reading it: nobody is told of the index before all have ended. */
static dfaiss_status_t load_files(void *context, dfaiss_error_t *err) {
    loading_t *loading = context;
    const restore_source_t source = restoring_source(&loading->restoring);
    TRY(verify_files(loading, err));
    TRY(restore_read(&source, &loading->plan, &loading->content, err));
    for (int i = 0; i < source.servers; i++)
        if (verifies(loading, i))
            TRY(restore_inputs(&source, i, &loading->content.inputs, err));
    if (source.servers != loading->servers)
        return DFAISS_OK;
    return basis_of_part(&loading->content, source.generation, &source.parts[loading->server], &loading->basis, err);
}

static dfaiss_status_t host_content(server_t *server, loading_t *loading, dfaiss_error_t *err) {
    shard_content_t *content = &loading->content;
    shard_t *shard = NULL;
    team_t *own;
    index_config_found_in(content->config, loading->restoring.storage);
    TRY(override_apply(content->config, (const char *)loading->overrides.data, loading->overrides.size, loading->restoring.index, err));
    TRY(hosted_team(server, content->config, &own, err));
    shard_restored_t restored = shard_content_restored(content);
    int64_t expected = hosted_expected_rows(server, content->config, loading->vectors);
    dfaiss_status_t status = shard_restore(loading->restoring.index, &restored, expected, server->number, own ? own : server->team, &shard, err);
    if (status != DFAISS_OK) {
        team_destroy(own);
        return status;
    }
    *content = (shard_content_t){0};
    hosted_t *hosted;
    TRY(hosted_add(server, loading->restoring.index, shard, own, &hosted, err));
    hosted->own_ids = loading->own_ids;
    hosted->saved_vectors = loading->vectors;
    hosted->mark_generation = loading->restoring.generation;
    hosted->next_id = loading->next_id;
    hosted->incarnation = loading->operation->number;
    hosted->saved = loading->basis;
    loading->basis = NULL;
    hosted->file_bytes = loading->file_bytes;
    return DFAISS_OK;
}

static void files_loaded(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    loading_t *loading = job->context;
    operation_t *operation = loading->operation;
    dfaiss_error_t failure = *error;
    if (status == DFAISS_OK)
        status = host_content(server, loading, &failure);
    free_loading(loading);
    operation_local_end(server, operation, status, &failure);
}

/* The argument: the generation, overrides, own ids, vectors, next id, then the plan of every server. */
static dfaiss_status_t decode(server_t *server, const operation_t *operation, loading_t *loading, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    TRY(restoring_get(&in, &loading->restoring, err));
    size_t size;
    const void *overrides = bytes_get_block(&in, &size);
    bytes_put(&loading->overrides, overrides, size);
    loading->own_ids = bytes_get_u8(&in) != 0;
    loading->vectors = bytes_get_i64(&in);
    loading->next_id = bytes_get_i64(&in);
    for (int i = 0; i < server->servers; i++) {
        spread_t plan = {0};
        TRY(spread_get(&in, &plan, err));
        if (i == server->number)
            loading->plan = plan;
        else
            spread_clear(&plan);
    }
    if (loading->overrides.failed)
        return error_memory(err, size, "loading");
    return bytes_reader_done(&in) ? DFAISS_OK : message_malformed(MESSAGE_LOAD, err);
}

void operation_load(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    loading_t *loading = calloc(1, sizeof *loading);
    dfaiss_status_t status = loading ? decode(server, operation, loading, &error) : error_memory(&error, sizeof *loading, "loading");
    if (status != DFAISS_OK) {
        if (loading)
            free_loading(loading);
        operation_local_end(server, operation, status, &error);
        return;
    }
    loading->operation = operation;
    loading->server = server->number;
    loading->servers = server->servers;
    loading->job = (job_t){.work = load_files, .done = files_loaded, .context = loading};
    job_submit(server, &loading->job);
}

/* ---- server 0's part ---- */

/* A request on server 0, from finding what there is to load to its answer. */
typedef struct finding {
    job_t job;
    request_t *request;
    message_load_t asked; /* overrides lie in the request's message */
    char *storage;        /* where it is looked for */
    manifest_t manifest;
    int64_t left;          /* generations that are not tried yet, the oldest ones */
    dfaiss_error_t damage; /* of the generations that were tried */
} finding_t;

static void free_finding(finding_t *finding) {
    manifest_clear(&finding->manifest);
    free(finding->storage);
    free(finding);
}

/* Nothing was loaded yet. */
static void refuse_finding(server_t *server, finding_t *finding, dfaiss_status_t status, const dfaiss_error_t *error) {
    request_t *request = finding->request;
    free_finding(finding);
    request_answer(server, request, status, error, NULL, NULL, 0);
}

static dfaiss_status_t check_overrides(const finding_t *finding, const manifest_generation_t *generation, dfaiss_error_t *err) {
    index_config_t *saved = NULL;
    const char *index = finding->asked.index;
    TRY(index_config_from_json(generation->config, index, &saved, err));
    dfaiss_status_t status = override_check(saved, finding->asked.overrides, finding->asked.overrides_size, index, err);
    index_config_destroy(saved);
    return status;
}

static dfaiss_status_t encode(const server_t *server, const finding_t *finding, const spread_t *plans, bytes_writer_t *argument,
                              dfaiss_error_t *err) {
    const manifest_generation_t *generation = &finding->manifest.generations[finding->left];
    restoring_put(argument, finding->asked.index, finding->storage, generation);
    bytes_put_block(argument, finding->asked.overrides, finding->asked.overrides_size);
    bytes_put_u8(argument, generation->own_ids);
    bytes_put_i64(argument, generation->vectors);
    bytes_put_i64(argument, generation->next_id);
    for (int i = 0; i < server->servers; i++)
        spread_put(argument, &plans[i]);
    return argument->failed ? error_memory(err, argument->size, "loading") : DFAISS_OK;
}

/* ---- one generation after the other, the newest first ---- */

static void try_next(server_t *server, finding_t *finding);

/* One warning a generation that is passed over; where none is left, the failure says what is wrong with each. */
static void note_damage(finding_t *finding, const dfaiss_error_t *found) {
    dfaiss_error_t *damage = &finding->damage;
    const manifest_generation_t *tried = &finding->manifest.generations[finding->left];
    const char *index = finding->asked.index;
    bool first = finding->left + 1 == finding->manifest.count;
    if (finding->left > 0)
        log_write(LOG_LEVEL_WARNING, "generation %lld of index '%s' is damaged, the one before is tried: %s", (long long)tried->number, index,
                  found->text);
    if (first && finding->left == 0) {
        *damage = *found;
        return;
    }
    dfaiss_error_t before = *damage;
    if (first)
        (void)error_set(damage, DFAISS_ERR_CHECKPOINT, found->where, "no generation of index '%s' is whole: %lld: %s", index,
                        (long long)tried->number, found->text);
    else
        (void)error_set(damage, DFAISS_ERR_CHECKPOINT, before.where, "%s; %lld: %s", before.text, (long long)tried->number, found->text);
}

static void damaged_is_gone(server_t *server, operation_t *operation, void *context) {
    finding_t *finding = context;
    if (operation->status == DFAISS_OK)
        try_next(server, finding);
    else
        refuse_finding(server, finding, operation->status, &operation->error);
}

/* Drops the index from the servers that have it; `end` goes on with the finding. */
static void drop_hosted(server_t *server, finding_t *finding, operation_end_t *end) {
    bytes_writer_t argument = {0};
    message_named_encode(finding->asked.index, &argument);
    operation_start(server, OPERATION_DROP, &argument, NULL, 0, end, finding);
}

static void generation_loaded(server_t *server, operation_t *operation, void *context) {
    finding_t *finding = context;
    request_t *request = finding->request;
    const manifest_t *manifest = &finding->manifest;
    if (operation->status == DFAISS_ERR_CHECKPOINT) {
        note_damage(finding, &operation->error);
        drop_hosted(server, finding, damaged_is_gone);
        return;
    }
    if (operation->status == DFAISS_OK) {
        hosted_t *hosted = hosted_find(server, finding->asked.index);
        hosted->basis = (manifest_basis_t){manifest->generations[finding->left].number, manifest_newest(manifest)->number};
    }
    free_finding(finding);
    if (operation->status == DFAISS_OK)
        request_answer_loaded(server, request);
    else
        request_fail_and_drop(server, request, &operation->error);
}

static void generation_planned(server_t *server, dfaiss_status_t status, const dfaiss_error_t *failure, spread_t *plans, void *context) {
    finding_t *finding = context;
    bytes_writer_t argument = {0};
    dfaiss_error_t error = *failure;
    if (status == DFAISS_OK)
        status = encode(server, finding, plans, &argument, &error);
    for (int i = 0; plans && i < server->servers; i++)
        spread_clear(&plans[i]);
    free(plans);
    if (status == DFAISS_OK) {
        operation_start(server, OPERATION_LOAD, &argument, NULL, 0, generation_loaded, finding);
        return;
    }
    bytes_writer_destroy(&argument);
    if (status != DFAISS_ERR_CHECKPOINT) {
        refuse_finding(server, finding, status, &error);
        return;
    }
    note_damage(finding, &error);
    try_next(server, finding);
}

static void start_loading(server_t *server, finding_t *finding) {
    finding->left--;
    plan_start(server, finding->asked.index, finding->storage, &finding->manifest.generations[finding->left], generation_planned, finding);
}

static void try_next(server_t *server, finding_t *finding) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = DFAISS_ERR_CHECKPOINT;
    if (finding->left > 0)
        status = check_overrides(finding, &finding->manifest.generations[finding->left - 1], &error);
    else
        error = finding->damage;
    if (status == DFAISS_OK)
        start_loading(server, finding);
    else
        refuse_finding(server, finding, status, &error);
}

/* ---- finding what there is ---- */

static void replaced_is_gone(server_t *server, operation_t *operation, void *context) {
    finding_t *finding = context;
    if (operation->status == DFAISS_OK)
        start_loading(server, finding);
    else
        refuse_finding(server, finding, operation->status, &operation->error);
}

/* Nothing is lost in memory where the storage has nothing to put in its place. */
static void manifest_was_read(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *failure) {
    finding_t *finding = job->context;
    const char *index = finding->asked.index;
    dfaiss_error_t error = *failure;
    finding->left = finding->manifest.count;
    const manifest_generation_t *newest = status == DFAISS_OK ? manifest_newest(&finding->manifest) : NULL;
    if (newest)
        status = check_overrides(finding, newest, &error);
    else if (status == DFAISS_OK)
        status = error_set(&error, DFAISS_ERR_NOT_FOUND, index, "index '%s' has no generation in %s", index, finding->storage);
    if (status != DFAISS_OK)
        refuse_finding(server, finding, status, &error);
    else if (hosted_find(server, index))
        drop_hosted(server, finding, replaced_is_gone);
    else
        start_loading(server, finding);
}

/* On the builder: the storage may be slow to answer. */
static dfaiss_status_t read_manifest(void *context, dfaiss_error_t *err) {
    finding_t *finding = context;
    return manifest_read(finding->storage, finding->asked.index, &finding->manifest, err);
}

/* Where the overrides say, or an index of that name in memory, or else in the servers' storage. */
static dfaiss_status_t choose_storage(server_t *server, const message_load_t *asked, char **out, dfaiss_error_t *err) {
    const hosted_t *hosted = hosted_find(server, asked->index);
    TRY(override_storage(asked->overrides, asked->overrides_size, asked->index, out, err));
    if (*out)
        return DFAISS_OK;
    const char *storage = hosted ? hosted_storage(server, shard_config(hosted->shard)) : server->options->storage;
    *out = strdup(storage);
    return *out ? DFAISS_OK : error_memory(err, strlen(storage) + 1, "loading");
}

static dfaiss_status_t find_generation(server_t *server, request_t *request, dfaiss_error_t *err) {
    message_load_t asked;
    TRY(message_load_decode(request->message.body, request->message.body_size, &asked, err));
    TRY(index_name_check(asked.index, err));
    if (hosted_find(server, asked.index) && !asked.force)
        return error_set(err, DFAISS_ERR_EXISTS, asked.index, "index '%s' is on the servers already", asked.index);
    char *storage = NULL;
    TRY(choose_storage(server, &asked, &storage, err));
    finding_t *finding = calloc(1, sizeof *finding);
    if (!finding) {
        free(storage);
        return error_memory(err, sizeof *finding, "loading");
    }
    finding->request = request;
    finding->asked = asked;
    finding->storage = storage;
    finding->job = (job_t){.work = read_manifest, .done = manifest_was_read, .context = finding};
    job_submit(server, &finding->job);
    return DFAISS_OK;
}

void request_load(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = find_generation(server, request, &error);
    if (status != DFAISS_OK)
        request_answer(server, request, status, &error, NULL, NULL, 0);
}
