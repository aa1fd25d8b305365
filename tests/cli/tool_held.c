/* tool_held STORAGE INDEX ROWS, under mpirun: loads an index on all ranks but the last, which asks for the ids of all vectors. Exit code 0 where they
 * are 0 to ROWS - 1, each once; otherwise the first that is missing, or there twice, is named. */
#include <stdio.h>
#include <stdlib.h>

#include <dfaiss/dfaiss.h>

static int by_value(const void *a, const void *b) {
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static int compare(int64_t *ids, int64_t n, int64_t rows) {
    qsort(ids, (size_t)n, sizeof *ids, by_value);
    for (int64_t i = 0; i < n || i < rows; i++) {
        if (i < n && i < rows && ids[i] == i)
            continue;
        printf("%lld vectors of %lld; place %lld has id %lld\n", (long long)n, (long long)rows, (long long)i, i < n ? (long long)ids[i] : -1LL);
        return 1;
    }
    return 0;
}

static int ask(dfaiss_world_t *world, const char *index, int64_t rows) {
    dfaiss_error_t error = {0};
    dfaiss_client_t *client = NULL;
    int64_t *ids = NULL, n = 0;
    int code = 1;
    if (dfaiss_client_create(world, NULL, &client, &error) == DFAISS_OK && dfaiss_load_index(client, index, NULL, false, &error) == DFAISS_OK &&
        dfaiss_get_ids(client, index, &ids, &n, &error) == DFAISS_OK)
        code = compare(ids, n, rows);
    else
        fprintf(stderr, "tool_held: %s\n", error.text);
    free(ids);
    dfaiss_client_destroy(client);
    return code;
}

int main(int argc, char **argv) {
    int granted, rank, size, code = 0;
    dfaiss_error_t error = {0};
    dfaiss_world_t *world = NULL;
    if (argc != 4 || MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted) != MPI_SUCCESS)
        return 2;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    bool server = rank < size - 1;
    dfaiss_server_options_t options = {.storage = argv[1], .threads = 1};
    if (dfaiss_world_create(MPI_COMM_WORLD, server ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, &error) != DFAISS_OK)
        MPI_Abort(MPI_COMM_WORLD, 1);
    if (!server)
        code = ask(world, argv[2], atoll(argv[3]));
    else if (dfaiss_serve(world, &options, &error) != DFAISS_OK)
        MPI_Abort(MPI_COMM_WORLD, 1);
    dfaiss_world_destroy(world);
    MPI_Finalize();
    return code;
}
