/* All calls in any order, from several clients, against a model in memory that knows every answer.
 *
 *   DFAISS_TEST_SEED     another sequence; a failure prints the seed that it had
 *   DFAISS_TEST_STEPS    how many calls on what all clients share (a client makes two on its own indexes meanwhile)
 *   DFAISS_TEST_SECONDS  instead: as long as this
 *
 * The same seed with the same number of ranks and steps gives the same calls. In a second phase new servers load what the first have saved.
 */
#include "model_calls.h"

#include "base/clock.h"

enum { SHARED_SLOTS = 2, OWN_SLOTS = 2, DEFAULT_SEED = 20261123, DEFAULT_STEPS = 80, LAST_CALLS = 24, RECALL_LEAST = 200 };

static uint64_t seed;
static random_state_t shared_random, own_random;
static model_slot_t shared_slots[SHARED_SLOTS], own_slots[OWN_SLOTS];
static int phases_begun;

/* The last calls, which a failure prints. */
static char last_calls[LAST_CALLS][160];
static int64_t call_number;

static double setting(const char *name, double fallback) {
    const char *value = getenv(name);
    return value && *value ? strtod(value, NULL) : fallback;
}

static void set_up(void) {
    seed = (uint64_t)setting("DFAISS_TEST_SEED", DEFAULT_SEED);
    shared_random = random_stream(seed, 0);
    own_random = random_stream(seed, 1 + (uint64_t)job.number);
    for (int i = 0; i < SHARED_SLOTS; i++)
        snprintf(shared_slots[i].name, sizeof shared_slots[i].name, "shared-%d", i);
    for (int i = 0; i < OWN_SLOTS; i++)
        snprintf(own_slots[i].name, sizeof own_slots[i].name, "own-%d-%d", job.number, i);
}

static void print_last_calls(void) {
    fprintf(stderr, "client %d of %d, %d servers, DFAISS_TEST_SEED=%llu, phase %d; the last calls:\n", job.number, job.clients, job.servers,
            (unsigned long long)seed, phases_begun);
    for (int64_t i = call_number > LAST_CALLS ? call_number - LAST_CALLS : 0; i < call_number; i++)
        fprintf(stderr, "  %s\n", last_calls[i % LAST_CALLS]);
}

/* ---- one call ---- */

static const model_call_t *draw_call(const model_turn_t *turn) {
    int sum = 0;
    for (int i = 0; i < model_call_count; i++)
        sum += model_calls[i].allowed(turn->slot) ? model_calls[i].weight : 0;
    int64_t drawn = (int64_t)random_below(turn->random, (uint64_t)sum);
    const model_call_t *call = model_calls;
    for (;; call++) {
        drawn -= call->allowed(turn->slot) ? call->weight : 0;
        if (drawn < 0)
            return call;
    }
}

static void make_call(model_turn_t *turn, const model_call_t *call) {
    const model_slot_t *slot = turn->slot;
    snprintf(last_calls[call_number++ % LAST_CALLS], sizeof *last_calls, "%s %s%s (%s, metric %d, dim %d, %s ids, %d vectors, %strained)", call->name,
             slot->name, model_turn_acts(turn) ? "" : " (by another)", slot->kind ? slot->kind->name : "none", slot->model.metric,
             (int)slot->model.dim, slot->own_ids ? "own" : "assigned", (int)slot->model.count, slot->trained ? "" : "not ");
    call->make(turn);
}

static void own_call(void) {
    model_turn_t turn = {.random = &own_random, .slots = own_slots, .slot_count = OWN_SLOTS};
    turn.slot = &own_slots[random_below(&own_random, OWN_SLOTS)];
    make_call(&turn, draw_call(&turn));
}

/* One client changes what all share, while the others go on with their own; then all look at it. */
static void step(void) {
    model_turn_t turn = {.random = &shared_random, .slots = shared_slots, .slot_count = SHARED_SLOTS, .shared = true};
    turn.slot = &shared_slots[random_below(&shared_random, SHARED_SLOTS)];
    turn.actor = (int)random_below(&shared_random, (uint64_t)job.clients);
    const model_call_t *call = draw_call(&turn);
    bool acts = model_turn_acts(&turn);
    for (int i = 0; i < 2 && !acts; i++)
        own_call();
    make_call(&turn, call);
    if (acts)
        own_call();
    api_barrier();
    if (turn.slot->exists)
        model_call_search(&(model_turn_t){.random = &own_random, .slots = shared_slots, .slot_count = SHARED_SLOTS, .slot = turn.slot});
    api_barrier();
}

/* ---- phases ---- */

static bool goes_on(int64_t steps, double begun) {
    double seconds = setting("DFAISS_TEST_SECONDS", 0);
    bool more = seconds > 0 ? clock_seconds() - begun < seconds : (double)steps < setting("DFAISS_TEST_STEPS", DEFAULT_STEPS);
    api_share(0, &more, sizeof more);
    return more;
}

/* Everything is saved, so that the next servers can load it. */
static void leave(model_slot_t *slots, int count, bool mine) {
    for (int i = 0; i < count; i++) {
        model_slot_t *slot = &slots[i];
        if (mine && slot->exists)
            assert_ok(dfaiss_save_index(job.client, slot->name, &slot->generation, &job.error), job.error);
        slot->saved = false;
    }
}

static void come_back(model_slot_t *slots, int count, bool mine) {
    for (int i = 0; i < count; i++) {
        if (mine && slots[i].exists)
            assert_ok(dfaiss_load_index(job.client, slots[i].name, NULL, false, &job.error), job.error);
    }
}

static void test_calls_in_any_order(void **state) {
    (void)state;
    double begun = clock_seconds();
    come_back(shared_slots, SHARED_SLOTS, job.number == 0);
    come_back(own_slots, OWN_SLOTS, true);
    api_barrier();
    for (int64_t steps = 0; goes_on(steps, begun); steps++)
        step();
    leave(shared_slots, SHARED_SLOTS, job.number == 0);
    leave(own_slots, OWN_SLOTS, true);
    for (int i = 0; i < SHARED_SLOTS; i++)
        api_share(0, &shared_slots[i].generation, sizeof shared_slots[i].generation);
}

/* Kinds that do not answer exactly find most of what they should. Few answers say nothing. */
static void test_recall(void **state) {
    (void)state;
    for (int i = 0; i < model_kind_count; i++) {
        model_recall_t recall = model_recalls[i];
        double share = recall.expected ? (double)recall.found / (double)recall.expected : 1;
        if (recall.expected > 0 && job.number == 0)
            printf("recall of %s: %.3f of %d\n", model_kinds[i].name, share, (int)recall.expected);
        if (recall.expected >= RECALL_LEAST)
            assert_true(share >= model_kinds[i].recall);
    }
}

static int run(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls_in_any_order), cmocka_unit_test(test_recall)};
    if (phases_begun++ == 0)
        set_up();
    if (job.number == 0)
        printf("DFAISS_TEST_SEED=%llu, %d servers, %d clients\n", (unsigned long long)seed, job.servers, job.clients);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    if (failures)
        print_last_calls();
    return failures;
}

int main(int argc, char **argv) {
    const api_phase_t phases[] = {{.run = run}, {.run = run, .threads = 2}};
    return api_job_main(argc, argv, api_half, 2, phases);
}
