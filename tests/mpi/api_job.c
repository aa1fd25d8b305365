#include "api_job.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"

enum { SEED = 20261123 };

api_job_t job;

/* ---- waiting ---- */

/* MPI's own waiting would keep a core busy that the others need. */
static void wait_for(MPI_Request *request) {
    int done = 0;
    MPI_Test(request, &done, MPI_STATUS_IGNORE);
    while (!done) {
        nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
    }
}

static void wait_for_all_of(MPI_Comm communicator) {
    MPI_Request request;
    MPI_Ibarrier(communicator, &request);
    wait_for(&request);
}

void api_barrier(void) {
    wait_for_all_of(job.fellows);
}

void api_share(int root, void *bytes, size_t size) {
    MPI_Request request;
    MPI_Ibcast(bytes, (int)size, MPI_BYTE, root, job.fellows, &request);
    wait_for(&request);
}

/* ---- the job ---- */

void api_path(const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", job.storage, name);
}

bool api_is_marked(const char *name) {
    char path[512];
    api_path(name, path);
    return access(path, F_OK) == 0;
}

void api_mark(const char *name) {
    char path[512];
    api_path(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

void api_unmark(const char *name) {
    char path[512];
    api_path(name, path);
    (void)remove(path);
}

void api_rest(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

int api_half(int ranks) {
    return ranks / 2;
}

int api_one(int ranks) {
    (void)ranks;
    return 1;
}

int api_two(int ranks) {
    return ranks > 2 ? 2 : 1;
}

static void give_up(const char *what) {
    fprintf(stderr, "%s %d: %s: %s\n", job.client || job.number >= 0 ? "client" : "server", job.number, what, job.error.text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void serve(const api_phase_t *phase) {
    dfaiss_server_options_t options = {
        .storage = job.storage, .threads = phase->threads ? phase->threads : 1, .listen = job.gateway ? job.listen : NULL};
    if (dfaiss_serve(job.world, &options, &job.error) != DFAISS_OK)
        give_up("serving");
}

dfaiss_status_t api_make_client(const dfaiss_client_options_t *options, dfaiss_client_t **client) {
    return job.gateway ? dfaiss_connect(job.listen, options, client, &job.error) : dfaiss_client_create(job.world, options, client, &job.error);
}

/* Servers that listen stay until they are shut down. */
static void end_servers(void) {
    dfaiss_status_t status = DFAISS_OK;
    api_barrier();
    if (job.number == 0)
        status = dfaiss_shutdown(job.client, &job.error);
    if (status != DFAISS_OK && status != DFAISS_ERR_STATE)
        give_up("shutting down");
}

static void run_clients(const api_phase_t *phase) {
    dfaiss_client_options_t options = {.timeout = 120, .long_timeout = 240};
    while (job.gateway && access(job.listen, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (api_make_client(&options, &job.client) != DFAISS_OK)
        give_up("making a client");
    if (phase->run() != 0)
        give_up("a test has failed");
    if (job.gateway)
        end_servers();
    dfaiss_client_destroy(job.client);
    job.client = NULL;
}

static void run_phase(const api_phase_t *phase, int rank) {
    int all_servers = job.ranks - job.clients;
    MPI_Comm communicator;
    job.servers = phase->servers && phase->servers < all_servers ? phase->servers : all_servers;
    bool client = rank >= all_servers, takes_part = client || rank < job.servers;
    MPI_Comm_split(MPI_COMM_WORLD, takes_part ? 1 : MPI_UNDEFINED, rank, &communicator);
    if (takes_part) {
        if (dfaiss_world_create(communicator, client ? DFAISS_ROLE_CLIENT : DFAISS_ROLE_SERVER, &job.world, &job.error) != DFAISS_OK)
            give_up("making a world");
        /* The world has a communicator of its own. */
        MPI_Comm_free(&communicator);
        if (client)
            run_clients(phase);
        else
            serve(phase);
        dfaiss_world_destroy(job.world);
        job.world = NULL;
    }
    wait_for_all_of(MPI_COMM_WORLD);
}

int api_job_main(int argc, char **argv, int (*clients_of)(int ranks), int phase_count, const api_phase_t *phases) {
    int granted, rank;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.ranks);
    job.clients = clients_of(job.ranks);
    job.number = rank - (job.ranks - job.clients);
    MPI_Comm_split(MPI_COMM_WORLD, job.number >= 0, rank, &job.fellows);
    if (rank == 0)
        check_make_folder(job.storage, sizeof job.storage);
    MPI_Bcast(job.storage, sizeof job.storage, MPI_CHAR, 0, MPI_COMM_WORLD);
    job.gateway = getenv("DFAISS_TEST_GATEWAY") != NULL;
    snprintf(job.listen, sizeof job.listen, "%s.listen", job.storage);
    for (int i = 0; i < phase_count; i++)
        run_phase(&phases[i], rank);
    if (rank == 0 && file_remove_tree(job.storage, &job.error) != DFAISS_OK)
        give_up("removing the storage");
    MPI_Comm_free(&job.fellows);
    MPI_Finalize();
    return 0;
}

/* ---- calls ---- */

void api_create(const char *index, const char *config, bool own_ids) {
    dfaiss_config_t *parsed;
    dfaiss_create_options_t options = {.own_ids = own_ids};
    assert_ok(dfaiss_config_parse(config, strlen(config), &parsed, &job.error), job.error);
    assert_ok(dfaiss_create_index(job.client, index, parsed, &options, &job.error), job.error);
    dfaiss_config_destroy(parsed);
}

void api_drop(const char *index) {
    assert_ok(dfaiss_drop_index(job.client, index, &job.error), job.error);
}

void api_add(const char *index, const float *base, int64_t dim, int64_t first, int64_t n, int64_t each) {
    int64_t *ids = malloc((size_t)n * sizeof *ids);
    assert_non_null(ids);
    for (int64_t i = 0; i < n; i++)
        ids[i] = first + i;
    for (int64_t i = 0; i < n; i += each) {
        dfaiss_batch_t batch = {
            .element = DFAISS_F32, .n = n - i < each ? n - i : each, .dim = dim, .vectors = base + (first + i) * dim, .ids = ids + i};
        assert_ok(dfaiss_add(job.client, index, &batch, NULL, &job.error), job.error);
    }
    free(ids);
}

int64_t api_ntotal(const char *index) {
    int64_t ntotal = -1;
    assert_ok(dfaiss_get_ntotal(job.client, index, &ntotal, &job.error), job.error);
    return ntotal;
}

dfaiss_state_t api_state(const char *index) {
    dfaiss_state_t state;
    assert_ok(dfaiss_get_state(job.client, index, &state, &job.error), job.error);
    return state;
}

/* ---- brute force ---- */

float *api_vectors(int64_t n, int64_t dim, uint64_t stream) {
    float *vectors = malloc((size_t)(n * dim) * sizeof *vectors);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, stream);
    for (int64_t i = 0; i < n * dim; i++)
        vectors[i] = (float)(int64_t)random_below(&random, 200) - 100;
    return vectors;
}

static float score_of(bool dot, const float *a, const float *b, int64_t dim) {
    float sum = 0;
    for (int64_t i = 0; i < dim; i++)
        sum += dot ? a[i] * b[i] : (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Best scores float[k] of a query, best first; *found says how many there are. */
static void best_scores(bool dot, const float *base, int64_t n, int64_t dim, const float *query, int64_t k, float *best, int64_t *found) {
    *found = 0;
    for (int64_t row = 0; row < n; row++) {
        float score = score_of(dot, base + row * dim, query, dim);
        int64_t place = *found < k ? (*found)++ : k;
        for (; place > 0 && (dot ? best[place - 1] < score : best[place - 1] > score); place--) {
            if (place < k)
                best[place] = best[place - 1];
        }
        if (place < k)
            best[place] = score;
    }
}

/* Whole numbers: scores are exact, so that hits may differ from brute force among equal scores alone. */
static void check_query(const dfaiss_result_t *result, int64_t query_number, bool dot, const float *base, int64_t n, int64_t dim, const float *query,
                        int64_t k) {
    const float *scores = dfaiss_result_scores(result) + query_number * k;
    const int64_t *ids = dfaiss_result_ids(result) + query_number * k;
    float *best = malloc((size_t)k * sizeof *best);
    int64_t found;
    assert_non_null(best);
    best_scores(dot, base, n, dim, query, k, best, &found);
    assert_int_equal(dfaiss_result_count(result, query_number), found);
    for (int64_t i = 0; i < k; i++) {
        if (i >= found) {
            assert_int_equal(ids[i], -1);
            continue;
        }
        assert_in_range(ids[i], 0, n - 1);
        if (scores[i] != best[i] || score_of(dot, base + ids[i] * dim, query, dim) != best[i])
            fail_msg("query %d, hit %d: id %d with score %g, expected score %g", (int)query_number, (int)i, (int)ids[i], scores[i], best[i]);
        if (i > 0 && scores[i] == scores[i - 1])
            assert_true(ids[i] > ids[i - 1]);
    }
    free(best);
}

void api_check_exact(const char *index, bool dot, const float *base, int64_t n, int64_t dim, const float *queries, int64_t nq, int64_t k) {
    dfaiss_result_t *result;
    assert_ok(dfaiss_search(job.client, 1, &index, nq, dim, queries, k, NULL, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_queries(result), nq);
    assert_int_equal(dfaiss_result_k(result), k);
    for (int64_t query = 0; query < nq; query++)
        check_query(result, query, dot, base, n, dim, queries + query * dim, k);
    dfaiss_result_destroy(result);
}
