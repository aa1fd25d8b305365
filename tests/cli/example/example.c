/* A client of dfaiss servers: makes an index, adds vectors together with the other clients, and searches it.
 *
 *   mpirun -n 4 dfaiss serve --storage DIR : -n 2 ./example
 */
#include <stdio.h>
#include <stdlib.h>

#include <dfaiss/dfaiss.h>
#include <mpi.h>

enum { ROWS = 1000, DIM = 32, K = 3 };

static dfaiss_error_t error;

/* The others wait for this rank, so that a failure ends them all. */
static void must(dfaiss_status_t status) {
    if (status == DFAISS_OK)
        return;
    fprintf(stderr, "example: %s: %s\n", dfaiss_status_name(status), error.text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* All clients ask for it: one of them makes it, and the others are told that it exists. */
static void create_index(dfaiss_client_t *client) {
    dfaiss_config_t *config;
    must(dfaiss_config_create(&config, &error));
    must(dfaiss_config_set(config, "index_builder_type", "flat", &error));
    must(dfaiss_config_set(config, "metric", "l2", &error));
    must(dfaiss_config_set(config, "dim", "32", &error));
    dfaiss_status_t status = dfaiss_create_index(client, "demo", config, NULL, &error);
    if (status != DFAISS_ERR_EXISTS)
        must(status);
    dfaiss_config_destroy(config);
}

/* Random vectors, each with the text "client C, row R" beside it. */
static void add_vectors(dfaiss_client_t *client, int number, float *vectors) {
    static char text[ROWS * 64];
    static uint64_t ends[ROWS];
    size_t size = 0;
    srand((unsigned)number + 1);
    for (int i = 0; i < ROWS * DIM; i++)
        vectors[i] = (float)rand() / (float)RAND_MAX;
    for (int row = 0; row < ROWS; row++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "client %d, row %d", number, row);
        ends[row] = size;
    }
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = ROWS, .dim = DIM, .vectors = vectors, .metadata = text, .metadata_ends = ends};
    must(dfaiss_add(client, "demo", &batch, NULL, &error));
}

/* The nearest of the first vector: it is there itself, at distance 0. */
static void search(dfaiss_client_t *client, int number, const float *query) {
    const char *const indexes[] = {"demo"};
    const dfaiss_search_options_t options = {.metadata = true};
    dfaiss_result_t *result;
    must(dfaiss_search(client, 1, indexes, 1, DIM, query, K, &options, &result, &error));
    for (int64_t hit = 0; hit < dfaiss_result_count(result, 0); hit++) {
        size_t size;
        const char *metadata = dfaiss_result_metadata(result, 0, hit, &size);
        printf("client %d found id %lld at distance %.3f: %.*s\n", number, (long long)dfaiss_result_ids(result)[hit],
               (double)dfaiss_result_scores(result)[hit], (int)size, metadata);
    }
    dfaiss_result_destroy(result);
}

int main(int argc, char **argv) {
    static float vectors[ROWS * DIM];
    dfaiss_world_t *world;
    dfaiss_client_t *client;
    MPI_Init(&argc, &argv);
    must(dfaiss_world_create(MPI_COMM_WORLD, DFAISS_ROLE_CLIENT, &world, &error));
    must(dfaiss_client_create(world, NULL, &client, &error));
    int number = dfaiss_world_number(world);
    create_index(client);
    add_vectors(client, number, vectors);
    search(client, number, vectors);
    dfaiss_client_destroy(client);
    dfaiss_world_destroy(world);
    MPI_Finalize();
    return 0;
}
