#include "cli/build_run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/bench_peers.h"
#include "cli/ingest.h"
#include "cli/job.h"
#include "cli/launch.h"
#include "cli/report.h"

typedef struct building {
    program_t *program;
    const build_options_t *options;
    bench_peers_t peers; /* its clients: the first one does alone what concerns the index as a whole */
    dfaiss_client_t *client;
    build_input_t input;
    progress_t *progress;
    build_result_t *result;
} building_t;

/* What is to be sent: the same on all clients. */
typedef struct plan {
    uint64_t input; /* its number */
    int64_t first_id;
    ranges_t missing;
    bool done; /* the saved index has everything */
} plan_t;

static bool leads(const building_t *building) {
    return building->peers.number == 0;
}

static dfaiss_status_t together(const building_t *building, dfaiss_status_t status, dfaiss_error_t *err) {
    return bench_peers_agree(&building->peers, status, err);
}

/* The configuration as users of the library hold one. */
static dfaiss_status_t make_config(const building_t *building, bool all, dfaiss_config_t **config, dfaiss_error_t *err) {
    char *text;
    TRY(index_config_print(building->input.config, all, &text, err));
    dfaiss_status_t status = dfaiss_config_parse(text, strlen(text), config, err);
    free(text);
    return status;
}

static dfaiss_status_t create_index(const building_t *building, dfaiss_error_t *err) {
    dfaiss_config_t *config = NULL;
    dfaiss_create_options_t options = {
        .own_ids = building->input.ids != NULL,
        .overwrite = building->options->overwrite,
        .expected_vectors = dataset_rows(building->input.dataset),
    };
    TRY(make_config(building, false, &config, err));
    dfaiss_status_t status = dfaiss_create_index(building->client, building->options->index, config, &options, err);
    dfaiss_config_destroy(config);
    return status;
}

/* With --resume the configuration that is given has precedence where that is possible. */
static dfaiss_status_t load_index(const building_t *building, dfaiss_error_t *err) {
    dfaiss_config_t *config = NULL;
    const build_options_t *options = building->options;
    if (!options->resume || !options->config)
        return job_load_index(building->client, options->index, err);
    TRY(make_config(building, true, &config, err));
    dfaiss_status_t status = dfaiss_load_index(building->client, options->index, config, false, err);
    dfaiss_config_destroy(config);
    return status == DFAISS_ERR_EXISTS ? DFAISS_OK : status;
}

/* ---- what is to be sent ---- */

static dfaiss_status_t no_memory(dfaiss_error_t *err) {
    return error_memory(err, 0, "the rows of an input");
}

/* An input that the index does not know: its number comes after all others, and its ids, where the index assigns them. */
static dfaiss_status_t begin_input(const building_t *building, const inputs_t *held, plan_t *plan, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(building->input.dataset);
    plan->input = held->count ? held->list[held->count - 1].number + 1 : 1;
    if (!building->input.ids)
        TRY(client_reserve_ids(building->client, building->options->index, rows, &plan->first_id, err));
    return ranges_add(&plan->missing, 0, rows) ? DFAISS_OK : no_memory(err);
}

static dfaiss_status_t plan_input(const building_t *building, const inputs_t *held, plan_t *plan, dfaiss_error_t *err) {
    const input_t *chosen = NULL;
    input_t input = {.rows = dataset_rows(building->input.dataset), .identity = building->input.identity};
    TRY(build_input_choose(building->options, &building->input, held, &chosen, err));
    if (chosen) {
        plan->input = chosen->number;
        plan->first_id = chosen->first_id;
        input.identity = chosen->identity;
        if (!ranges_missing(&chosen->held, chosen->rows, &plan->missing))
            return no_memory(err);
    } else {
        TRY(begin_input(building, held, plan, err));
    }
    input.number = plan->input;
    input.first_id = plan->first_id;
    return client_declare_input(building->client, building->options->index, &input, err);
}

static dfaiss_status_t make_plan(building_t *building, plan_t *plan, dfaiss_error_t *err) {
    inputs_t held = {0};
    plan->done = building->input.complete;
    if (plan->done)
        return DFAISS_OK;
    progress_update(building->progress, building->input.loads ? "load" : "create", PROGRESS_UNKNOWN);
    TRY(building->input.loads ? load_index(building, err) : create_index(building, err));
    TRY(client_inputs(building->client, building->options->index, &held, err));
    dfaiss_status_t status = plan_input(building, &held, plan, err);
    inputs_clear(&held);
    return status;
}

/* Collective over the clients: the first one's plan becomes everybody's. */
static dfaiss_status_t share_plan(const building_t *building, plan_t *plan, dfaiss_error_t *err) {
    plan_t shared = *plan;
    TRY(bench_peers_share(&building->peers, &shared, sizeof shared, err));
    size_t bytes = (size_t)shared.missing.count * sizeof *shared.missing.list;
    if (!leads(building)) {
        *plan = shared;
        plan->missing.list = malloc(bytes ? bytes : 1);
        plan->missing.capacity = shared.missing.count;
    }
    TRY(together(building, plan->missing.list || bytes == 0 ? DFAISS_OK : no_memory(err), err));
    return bench_peers_share(&building->peers, plan->missing.list, bytes, err);
}

/* ---- steps ---- */

/* Times one step into *seconds. */
static void note_time(double *seconds, double *since) {
    double now = clock_seconds();
    *seconds += now - *since;
    *since = now;
}

static dfaiss_status_t collect_result(building_t *building, dfaiss_error_t *err) {
    build_result_t *result = building->result;
    int servers = dfaiss_client_servers(building->client);
    message_statistics_t *statistics = calloc((size_t)servers, sizeof *statistics);
    if (!statistics)
        return error_memory(err, (size_t)servers * sizeof *statistics, "statistics");
    dfaiss_status_t status = client_statistics(building->client, building->options->index, statistics, err);
    for (int i = 0; status == DFAISS_OK && i < servers; i++)
        result->rss_bytes += (uint64_t)statistics[i].resident_bytes;
    free(statistics);
    result->servers = servers;
    return status;
}

/* A build that was cut off before its index was trained trains it; a loaded index keeps what it has, or has to be trained by whoever made it. */
static dfaiss_status_t train(building_t *building, ingest_t *ingest, dfaiss_error_t *err) {
    dfaiss_state_t state = DFAISS_NOT_TRAINED;
    if (building->options->append)
        return DFAISS_OK;
    if (building->input.loads)
        TRY(dfaiss_get_state(building->client, building->options->index, &state, err));
    return state == DFAISS_NOT_TRAINED ? ingest_train(ingest, err) : DFAISS_OK;
}

static dfaiss_status_t index_and_save(building_t *building, dfaiss_error_t *err) {
    build_result_t *result = building->result;
    const char *index = building->options->index;
    double since = clock_seconds();
    int64_t bytes = 0;
    progress_update(building->progress, "index", PROGRESS_UNKNOWN);
    TRY(dfaiss_flush(building->client, index, err));
    note_time(&result->seconds.add, &since);
    progress_update(building->progress, "save", PROGRESS_UNKNOWN);
    TRY(client_save(building->client, index, &result->generation, &bytes, err));
    note_time(&result->seconds.save, &since);
    result->bytes_on_disk = (uint64_t)bytes;
    return collect_result(building, err);
}

/* Asked between two batches. */
static bool another_failed(void *context) {
    const building_t *building = context;
    return bench_peers_failed(&building->peers);
}

/* Collective over the clients. */
static dfaiss_status_t add_vectors(building_t *building, const plan_t *plan, dfaiss_error_t *err) {
    build_result_t *result = building->result;
    ingest_t ingest = {
        .client = building->client,
        .index = building->options->index,
        .dataset = building->input.dataset,
        .config = building->input.config,
        .ids = building->input.ids,
        .first_id = plan->first_id,
        .metadata_path = building->options->metadata,
        .input = plan->input,
        .missing = &plan->missing,
        .part = building->peers.number,
        .parts = building->peers.count,
        .cancelled = another_failed,
        .context = building,
        .progress = building->progress,
    };
    double since = clock_seconds(); /* loading counts in the total alone */
    TRY(together(building, leads(building) ? train(building, &ingest, err) : DFAISS_OK, err));
    note_time(&result->seconds.train, &since);
    dfaiss_status_t status = ingest_stream(&ingest, err);
    if (status != DFAISS_OK)
        bench_peers_fail(&building->peers);
    TRY(together(building, status, err));
    result->seconds.read = ingest.read_seconds;
    result->seconds.send = ingest.send_seconds;
    return together(building, leads(building) ? index_and_save(building, err) : DFAISS_OK, err);
}

void build_tell_complete(const program_t *program, const build_options_t *options, const build_input_t *input, build_result_t *result) {
    *result = (build_result_t){
        .servers = input->servers, .dim = dataset_dim(input->dataset), .generation = input->generation, .bytes_on_disk = input->bytes};
    report_notice(program, "the index %s has all %lld vectors of this input: nothing is left to be done", options->index,
                  (long long)dataset_rows(input->dataset));
}

/* Collective over the clients. */
static dfaiss_status_t open_and_add(building_t *building, dfaiss_error_t *err) {
    plan_t plan = {0};
    double begin = clock_seconds();
    dfaiss_status_t status = together(building, leads(building) ? make_plan(building, &plan, err) : DFAISS_OK, err);
    if (status == DFAISS_OK)
        status = share_plan(building, &plan, err);
    if (status == DFAISS_OK && !plan.done)
        status = add_vectors(building, &plan, err);
    progress_end(building->progress);
    build_result_t *result = building->result;
    if (status == DFAISS_OK && plan.done && leads(building))
        build_tell_complete(building->program, building->options, &building->input, result);
    result->vectors = ranges_rows(&plan.missing);
    result->dim = dataset_dim(building->input.dataset);
    result->seconds.total = clock_seconds() - begin;
    result->vectors_per_second = (double)result->vectors / result->seconds.total;
    ranges_clear(&plan.missing);
    return status;
}

static dfaiss_status_t build_as_client(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    building_t *building = context;
    bool every_line = leads(building) && !launch_input_checked();
    building->client = client;
    dfaiss_status_t status = build_input_open(building->options, every_line, &building->input, err);
    bool opened = status == DFAISS_OK;
    status = together(building, status, err);
    if (status == DFAISS_OK) {
        building->progress = progress_begin(building->program);
        status = open_and_add(building, err);
    }
    if (opened)
        build_input_close(&building->input);
    bench_peers_destroy(&building->peers);
    return status;
}

static dfaiss_status_t meet(MPI_Comm ranks, int servers, void *context, dfaiss_error_t *err) {
    building_t *building = context;
    int rank = 0;
    if (building->options->clients)
        return bench_peers_create(ranks, servers, &building->peers, err);
    if (MPI_Comm_rank(ranks, &rank) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Comm_rank", "MPI does not tell the number of a rank");
    /* The first client works alone. */
    return rank == servers ? bench_peers_create(MPI_COMM_SELF, 0, &building->peers, err) : DFAISS_OK;
}

dfaiss_status_t build_run(program_t *program, const build_options_t *options, build_result_t *result, dfaiss_error_t *err) {
    char storage[PATH_MAX];
    build_result_t made = {0};
    building_t building = {.program = program, .options = options, .result = &made};
    build_storage(options, storage, sizeof storage);
    job_options_t job = {.storage = storage,
                         .roles = {.servers = options->servers, .per_node = options->servers_per_node},
                         .clients = options->clients,
                         .threads = options->threads,
                         .timeout = options->timeout,
                         .grace = options->grace,
                         .meet = meet};
    TRY(job_run(program, &job, build_as_client, &building, err));
    *result = made;
    return DFAISS_OK;
}
