#include "cli/build_run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/build_input.h"
#include "cli/ingest.h"
#include "cli/job.h"
#include "cli/launch.h"

typedef struct building {
    program_t *program;
    const build_options_t *options;
    build_input_t input;
    build_result_t *result;
} building_t;

/* The configuration as users of the library hold one. */
static dfaiss_status_t make_config(const building_t *building, dfaiss_config_t **config, dfaiss_error_t *err) {
    char *text;
    TRY(index_config_print(building->input.config, false, &text, err));
    dfaiss_status_t status = dfaiss_config_parse(text, strlen(text), config, err);
    free(text);
    return status;
}

static dfaiss_status_t create_index(const building_t *building, dfaiss_client_t *client, dfaiss_error_t *err) {
    dfaiss_config_t *config = NULL;
    dfaiss_create_options_t options = {
        .own_ids = building->input.ids != NULL,
        .overwrite = building->options->overwrite,
        .expected_vectors = dataset_rows(building->input.dataset),
    };
    TRY(make_config(building, &config, err));
    dfaiss_status_t status = dfaiss_create_index(client, building->options->index, config, &options, err);
    dfaiss_config_destroy(config);
    return status;
}

/* The new index, or the loaded one that is added to; *first_id is the number of the first row. */
static dfaiss_status_t open_index(const building_t *building, dfaiss_client_t *client, int64_t *first_id, dfaiss_error_t *err) {
    const char *index = building->options->index;
    if (building->options->append)
        TRY(dfaiss_load_index(client, index, NULL, false, err));
    else
        TRY(create_index(building, client, err));
    if (building->input.ids)
        return DFAISS_OK;
    return client_reserve_ids(client, index, dataset_rows(building->input.dataset), first_id, err);
}

/* Times one step into *seconds. */
static void note_time(double *seconds, double *since) {
    double now = clock_seconds();
    *seconds += now - *since;
    *since = now;
}

static dfaiss_status_t collect_result(building_t *building, dfaiss_client_t *client, dfaiss_error_t *err) {
    build_result_t *result = building->result;
    int servers = client_servers(client);
    message_statistics_t *statistics = calloc((size_t)servers, sizeof *statistics);
    if (!statistics)
        return error_memory(err, (size_t)servers * sizeof *statistics, "statistics");
    dfaiss_status_t status = client_statistics(client, building->options->index, statistics, err);
    for (int i = 0; status == DFAISS_OK && i < servers; i++)
        result->rss_bytes += (uint64_t)statistics[i].resident_bytes;
    free(statistics);
    result->servers = servers;
    result->vectors = dataset_rows(building->input.dataset);
    result->dim = dataset_dim(building->input.dataset);
    return status;
}

static dfaiss_status_t add_vectors(building_t *building, dfaiss_client_t *client, ingest_t *ingest, double *since, dfaiss_error_t *err) {
    build_result_t *result = building->result;
    if (!building->options->append)
        TRY(ingest_train(ingest, err));
    note_time(&result->seconds.train, since);
    TRY(ingest_stream(ingest, err));
    result->seconds.read = ingest->read_seconds;
    result->seconds.send = ingest->send_seconds;
    *since = clock_seconds();
    progress_update(ingest->progress, "index", PROGRESS_UNKNOWN);
    TRY(dfaiss_flush(client, building->options->index, err));
    note_time(&result->seconds.add, since);
    progress_update(ingest->progress, "save", PROGRESS_UNKNOWN);
    int64_t bytes;
    TRY(client_save(client, building->options->index, &result->generation, &bytes, err));
    note_time(&result->seconds.save, since);
    result->bytes_on_disk = (uint64_t)bytes;
    return collect_result(building, client, err);
}

static dfaiss_status_t open_and_add(building_t *building, dfaiss_client_t *client, progress_t *progress, dfaiss_error_t *err) {
    int64_t first_id = 0;
    if (building->options->append)
        progress_update(progress, "load", PROGRESS_UNKNOWN);
    TRY(open_index(building, client, &first_id, err));
    double since = clock_seconds(); /* loading counts in the total alone */
    ingest_t ingest = {
        .client = client,
        .index = building->options->index,
        .dataset = building->input.dataset,
        .config = building->input.config,
        .ids = building->input.ids,
        .first_id = first_id,
        .metadata_path = building->options->metadata,
        .progress = progress,
    };
    return add_vectors(building, client, &ingest, &since, err);
}

static dfaiss_status_t build(building_t *building, dfaiss_client_t *client, dfaiss_error_t *err) {
    double begin = clock_seconds();
    progress_t *progress = progress_begin(building->program);
    dfaiss_status_t status = open_and_add(building, client, progress, err);
    progress_end(progress);
    build_result_t *result = building->result;
    result->seconds.total = clock_seconds() - begin;
    result->vectors_per_second = (double)result->vectors / result->seconds.total;
    return status;
}

static dfaiss_status_t build_as_client(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    building_t *building = context;
    TRY(build_input_open(building->options, !launch_input_checked(), &building->input, err));
    dfaiss_status_t status = build(building, client, err);
    build_input_close(&building->input);
    return status;
}

dfaiss_status_t build_run(program_t *program, const build_options_t *options, build_result_t *result, dfaiss_error_t *err) {
    char storage[PATH_MAX];
    build_result_t made = {0};
    building_t building = {.program = program, .options = options, .result = &made};
    build_storage(options, storage, sizeof storage);
    job_options_t job = {.storage = storage,
                         .roles = {.servers = options->servers, .per_node = options->servers_per_node},
                         .threads = options->threads,
                         .timeout = options->timeout};
    TRY(job_run(program, &job, build_as_client, &building, err));
    *result = made;
    return DFAISS_OK;
}
