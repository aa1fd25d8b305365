#include "fake_job.h"

#include <string.h>

#include "base/file.h"
#include "fake_world.h"

enum { RANKS = FAKE_SERVERS + FAKE_CLIENTS, THREADS = 2 };

uint64_t fake_seed = 40961;

/* One rank. */
typedef struct rank {
    pthread_t thread;
    MPI_Comm communicator;
    const char *storage; /* of servers; NULL: a client */
    bool shut_down;
    fake_play_t *play;
    member_t member; /* of servers: for its error */
} rank_t;

void expect_ok(const member_t *member, dfaiss_status_t status) {
    if (status == DFAISS_OK)
        return;
    fprintf(stderr, "client %d: %s: %s (seed %llu)\n", member->number, dfaiss_status_name(status), member->error.text, (unsigned long long)fake_seed);
    abort();
}

void expect_possible(const member_t *member, dfaiss_status_t status) {
    if (status != DFAISS_ERR_NOT_FOUND && status != DFAISS_ERR_STATE && status != DFAISS_ERR_CONFIG)
        expect_ok(member, status);
}

void fake_meet(member_t *member) {
    pthread_barrier_wait(member->meeting);
}

void fake_create(member_t *member, const char *index, const char *config, const dfaiss_create_options_t *options) {
    dfaiss_config_t *parsed = NULL;
    expect_ok(member, dfaiss_config_parse(config, strlen(config), &parsed, &member->error));
    expect_ok(member, dfaiss_create_index(member->client, index, parsed, options, &member->error));
    dfaiss_config_destroy(parsed);
}

static void be_client(rank_t *rank, dfaiss_world_t *world) {
    member_t *member = &rank->member;
    dfaiss_client_options_t options = {0};
    expect_ok(member, dfaiss_client_create(world, &options, &member->client, &member->error));
    rank->play(member);
    if (rank->shut_down) {
        fake_meet(member);
        if (member->number == 0)
            expect_ok(member, dfaiss_shutdown(member->client, &member->error));
    }
    dfaiss_client_destroy(member->client);
}

static void *rank_main(void *argument) {
    rank_t *rank = argument;
    member_t *member = &rank->member;
    dfaiss_world_t *world = NULL;
    expect_ok(member, dfaiss_world_create(rank->communicator, rank->storage ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, &member->error));
    if (rank->storage) {
        dfaiss_server_options_t options = {.storage = rank->storage, .threads = THREADS};
        expect_ok(member, dfaiss_serve(world, &options, &member->error));
    } else {
        be_client(rank, world);
    }
    dfaiss_world_destroy(world);
    return NULL;
}

void fake_job_run(const char *storage, uint64_t stream, bool shut_down, fake_play_t *play) {
    static rank_t ranks[RANKS];
    pthread_barrier_t meeting;
    fake_world_t *world = fake_world_create(RANKS, fake_seed + stream);
    expect(pthread_barrier_init(&meeting, NULL, FAKE_CLIENTS) == 0);
    for (int i = 0; i < RANKS; i++) {
        bool server = i < FAKE_SERVERS;
        ranks[i] = (rank_t){
            .communicator = fake_world_rank(world, i),
            .storage = server ? storage : NULL,
            .shut_down = shut_down,
            .play = play,
            .member = {.number = server ? -1 : i - FAKE_SERVERS, .meeting = &meeting, .random = random_stream(fake_seed + stream, (uint64_t)i)}};
        expect(pthread_create(&ranks[i].thread, NULL, rank_main, &ranks[i]) == 0);
    }
    for (int i = 0; i < RANKS; i++)
        expect(pthread_join(ranks[i].thread, NULL) == 0);
    pthread_barrier_destroy(&meeting);
    fake_world_destroy(world);
}

void fake_job_run_alone(uint64_t stream, bool shut_down, fake_play_t *play) {
    const char *root = getenv("TMPDIR");
    char storage[256];
    dfaiss_error_t error;
    snprintf(storage, sizeof storage, "%s/dfaiss-test-XXXXXX", root ? root : "/tmp");
    expect(mkdtemp(storage) != NULL);
    fake_job_run(storage, stream, shut_down, play);
    expect(file_remove_tree(storage, &error) == DFAISS_OK);
}

void fake_job_begin(int argc, char **argv) {
    if (argc > 1)
        fake_seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)fake_seed);
}
