/* What searches answer that may not find everything: rows by a bitmap, in every kind of index, and within a radius. The measure is the ranking of all
 * rows as the index itself scores them, from which the rows that may not be found are taken out. */
#include "test_engine.h"

enum { ROWS = 1000, QUERIES = 25, WORDS = (ROWS + 63) / 64 };

typedef struct kind {
    const char *factory;
    config_metric_t metric;
} kind_t;

static const kind_t kinds[] = {
    {"Flat", CONFIG_METRIC_l2},
    {"Flat", CONFIG_METRIC_dot},
    {"Flat", CONFIG_METRIC_cosine},
    {"SQ8", CONFIG_METRIC_l2},
    {"SQfp16", CONFIG_METRIC_dot},
    {"PQ8np", CONFIG_METRIC_l2},
    {"PQ8np", CONFIG_METRIC_dot},
    {"PQ8x5np", CONFIG_METRIC_l2},
    {"PCA16,Flat", CONFIG_METRIC_l2},
    {"PCA16,SQ8", CONFIG_METRIC_cosine},
    {"IVF16,Flat", CONFIG_METRIC_l2},
    {"IVF16,Flat", CONFIG_METRIC_cosine},
    {"IVF16,SQ8", CONFIG_METRIC_dot},
    {"IVF16,PQ8x8np", CONFIG_METRIC_l2},
    {"IVF16,PQ8x8np", CONFIG_METRIC_dot},
    {"IVF16_HNSW8,Flat", CONFIG_METRIC_l2},
    {"PCA16,IVF16_HNSW8,PQ4x5np", CONFIG_METRIC_l2},
    {"IVF16(IVF4,Flat),SQ8", CONFIG_METRIC_l2},
    {"HNSW16_SQ8", CONFIG_METRIC_l2},
    {"HNSW16,Flat", CONFIG_METRIC_dot},
    {"HNSW16_PQ4np", CONFIG_METRIC_l2},
    {"PCA16,HNSW16_SQ8", CONFIG_METRIC_cosine},
    {"IVF16,PQ8x4fs", CONFIG_METRIC_l2},
    {"PQ8x4fs", CONFIG_METRIC_dot},
    {"IVF16,SQ8,RFlat", CONFIG_METRIC_l2},
    {"PCA16,IVF16,PQ8x4fs", CONFIG_METRIC_cosine},
    {"HNSW16,Flat,RFlat", CONFIG_METRIC_l2},
    {"LSH", CONFIG_METRIC_l2},
};

typedef enum choice { HALF, FEW, EXACTLY_K, FEWER_THAN_K, NONE, NEARLY_ALL, A_BLOCK, THE_FARTHEST, ALL, CHOICES } choice_t;

static void choose(choice_t choice, const ranking_t *ranking, int64_t k, uint64_t *words) {
    random_state_t random = random_stream(11, choice);
    int64_t wanted = choice == EXACTLY_K ? k : choice == FEWER_THAN_K ? k - 3 : choice == FEW ? ROWS / 100 : 0;
    memset(words, 0, WORDS * sizeof *words);
    for (int64_t row = 0; row < ROWS; row++)
        if ((choice == HALF && random_below(&random, 2) == 0) || (choice == NEARLY_ALL && random_below(&random, 100) > 0) || choice == ALL ||
            (choice == A_BLOCK && row >= 130 && row < 420))
            set_row(words, row);
    for (int64_t held = 0; held < wanted; held = count_set(words, ROWS))
        set_row(words, (int64_t)random_below(&random, ROWS));
    for (int64_t i = ROWS - 2 * k; choice == THE_FARTHEST && i < ROWS; i++) /* from the first query */
        if (ranking->rows[i] >= 0)
            set_row(words, ranking->rows[i]);
}

static void begin_among(world_t *world, const engine_restriction_t *restriction) {
    dfaiss_error_t err;
    assert_ok(engine_search_begin(world->search, world->nq, world->queries, world->k, world->effort, &err), err);
    assert_ok(engine_search_restrict(world->search, restriction, &err), err);
}

static void search_among(world_t *world, const uint64_t *words, int64_t allowed_rows, int64_t slice) {
    engine_restriction_t restriction = {.allowed = one_block(words), .rows = ROWS, .allowed_rows = allowed_rows};
    begin_among(world, &restriction);
    search_store(world, slice);
    engine_search_end(world->search, world->scores, world->rows);
}

static void assert_only_set(const world_t *world, const char *factory, const uint64_t *words, int64_t least) {
    for (int64_t query = 0; query < world->nq; query++) {
        int64_t found = 0;
        for (int64_t i = query * world->k; i < (query + 1) * world->k; i++) {
            assert_true(world->rows[i] < 0 || is_set(words, world->rows[i]));
            found += world->rows[i] >= 0;
        }
        if (found < least)
            fail_msg("%s: query %d found %d rows, expected %d", factory, (int)query, (int)found, (int)least);
    }
}

static world_t open_kind(const kind_t *kind, int threads) {
    world_t world = open_world(engine_config(kind->factory, 32, kind->metric), ROWS, QUERIES, threads);
    build_rows(&world, 0, ROWS, 430);
    return world;
}

/* faiss's fast scans round what they compare by the other candidates, refinements look at some, and lists of lists are not all probed without a
 * filter. */
static bool has_exact_order(const char *factory) {
    return !strstr(factory, "fs") && !strstr(factory, "LSH") && !strstr(factory, "RFlat") && !strstr(factory, "(IVF");
}

static void rows_are_chosen(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *factory = kinds[i].factory;
        world_t world = open_kind(&kinds[i], 2);
        ranking_t ranking = rank_all(&world);
        uint64_t words[WORDS];
        for (int choice = 0; choice < 2 * CHOICES; choice++) {
            world.nq = choice % 3 ? QUERIES : 3;
            world.k = choice % 5 == 4 ? 37 : 10;
            choose((choice_t)(choice / 2), &ranking, world.k, words);
            int64_t set = count_set(words, ROWS);
            world.effort = choice % 2 ? ROWS : 1;
            search_among(&world, words, set, choice % 4 < 2 ? NEVER : 0);
            assert_well_formed(&world, ROWS);
            assert_only_set(&world, factory, words, set < world.k ? set : world.k);
            if (choice % 2 && has_exact_order(factory))
                assert_first_of(&world, factory, &ranking, words);
            world.nq = QUERIES;
        }
        free_ranking(&ranking);
        close_world(&world);
    }
}

/* Many are promised and few are there, far from the query: what was tried first has to be widened. */
static void too_few_are_looked_for_further(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_kind(&kinds[i], 1 + (int)(i % 3));
        ranking_t ranking = rank_all(&world);
        uint64_t words[WORDS];
        world.effort = 1;
        for (int choice = 0; choice < CHOICES; choice++) {
            choose((choice_t)choice, &ranking, world.k, words);
            int64_t set = count_set(words, ROWS);
            search_among(&world, words, ROWS, choice % 2 ? NEVER : 0);
            assert_well_formed(&world, ROWS);
            assert_only_set(&world, kinds[i].factory, words, set < world.k ? set : world.k);
        }
        free_ranking(&ranking);
        close_world(&world);
    }
}

/* Graphs that are large enough are walked even with a filter, and found wanting only where it leaves little near a query. */
static void graphs_are_walked_with_filters(void **state) {
    (void)state;
    static const kind_t graphs[] = {{"HNSW16_SQ8", CONFIG_METRIC_l2}, {"HNSW16,Flat", CONFIG_METRIC_dot}};
    enum { MORE_ROWS = 4000 };
    for (size_t g = 0; g < sizeof graphs / sizeof *graphs; g++) {
        world_t world = open_world(engine_config(graphs[g].factory, 16, graphs[g].metric), MORE_ROWS, 30, 2);
        uint64_t words[MORE_ROWS / 64 + 1] = {0};
        float *living = malloc(sizeof *living * MORE_ROWS * (size_t)world.dim);
        int64_t *numbers = malloc(sizeof *numbers * MORE_ROWS), *expected = malloc(sizeof *expected * 300), count = 0;
        random_state_t random = random_stream(5, 5);
        for (int64_t row = 0; row < MORE_ROWS; row++) {
            if (random_below(&random, 10) == 0)
                continue;
            set_row(words, row);
            memcpy(living + count * world.dim, world.x + row * world.dim, sizeof *living * (size_t)world.dim);
            numbers[count++] = row;
        }
        open_store(&world, 2500);
        build_rows(&world, 0, MORE_ROWS, 1000);
        brute_force(&world, count, living, expected);
        for (int64_t i = 0; i < world.nq * world.k; i++)
            expected[i] = numbers[expected[i]];
        world.effort = 40;
        engine_restriction_t restriction = {.allowed = one_block(words), .rows = MORE_ROWS, .allowed_rows = count};
        begin_among(&world, &restriction);
        search_store(&world, 0);
        engine_search_end(world.search, world.scores, world.rows);
        assert_well_formed(&world, MORE_ROWS);
        assert_only_set(&world, graphs[g].factory, words, world.k);
        assert_true(recall(&world, world.rows, expected) > 0.9);
        free(living);
        free(numbers);
        free(expected);
        close_world(&world);
    }
}

/* Vectors that wait and vectors that are indexed, in one bitmap. */
static void waiting_rows_are_chosen_too(void **state) {
    (void)state;
    static const kind_t some[] = {{"Flat", CONFIG_METRIC_l2}, {"IVF16,Flat", CONFIG_METRIC_dot}, {"HNSW16,Flat", CONFIG_METRIC_cosine}};
    enum { INDEXED = 600 };
    dfaiss_error_t err;
    for (size_t i = 0; i < 2 * (sizeof some / sizeof *some); i++) {
        world_t world = open_kind(&some[i / 2], 2);
        ranking_t ranking = rank_all(&world);
        world.effort = ROWS;
        open_store(&world, 0);
        build_rows(&world, 0, INDEXED, INDEXED);
        for (int choice = 0; choice < CHOICES; choice++) {
            uint64_t words[WORDS];
            choose((choice_t)choice, &ranking, world.k, words);
            engine_restriction_t restriction = {.allowed = one_block(words), .rows = ROWS, .allowed_rows = count_set(words, ROWS)};
            begin_among(&world, &restriction);
            if (i % 2)
                search_store(&world, 0);
            for (int64_t cursor = 0; cursor < ROWS - INDEXED;)
                assert_ok(engine_search_vectors(world.search, ELEMENT_f32, world.x + INDEXED * world.dim, INDEXED, ROWS - INDEXED, &cursor, 0, &err),
                          err);
            if (i % 2 == 0)
                search_store(&world, NEVER);
            engine_search_end(world.search, world.scores, world.rows);
            assert_well_formed(&world, ROWS);
            assert_only_set(&world, some[i / 2].factory, words, 0);
            assert_first_of(&world, some[i / 2].factory, &ranking, words);
        }
        free_ranking(&ranking);
        close_world(&world);
    }
}

/* Rows that are removed while a search is under way may be in its answer, but none that was not there when it began, and enough of the others. */
static void bits_may_be_cleared_meanwhile(void **state) {
    (void)state;
    dfaiss_error_t err;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_kind(&kinds[i], 2);
        uint64_t words[WORDS], before[WORDS];
        random_state_t random = random_stream(17, i);
        memset(words, 0, sizeof words);
        for (int64_t row = 0; row < ROWS; row += 2)
            set_row(words, row);
        memcpy(before, words, sizeof words);
        engine_restriction_t restriction = {.allowed = one_block(words), .rows = ROWS, .allowed_rows = ROWS / 2};
        begin_among(&world, &restriction);
        for (bool done = false; !done;) {
            assert_ok(engine_search_store(world.search, world.store, 0, &done, &err), err);
            if (count_set(words, ROWS) > 100)
                words[random_below(&random, WORDS)] &= ~(UINT64_C(1) << random_below(&random, 64));
        }
        engine_search_end(world.search, world.scores, world.rows);
        assert_well_formed(&world, ROWS);
        assert_only_set(&world, kinds[i].factory, before, world.k);
        close_world(&world);
    }
}

/* Rows that came after the search began have no bit, and are not looked up. */
static void later_rows_are_not_found(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_kind(&kinds[i], 2);
        uint64_t words[] = {UINT64_MAX, UINT64_MAX};
        engine_restriction_t restriction = {.allowed = one_block(words), .rows = 100, .allowed_rows = 100};
        begin_among(&world, &restriction);
        search_store(&world, 0);
        engine_search_end(world.search, world.scores, world.rows);
        assert_well_formed(&world, 100);
        assert_true(world.rows[world.k - 1] >= 0);
        /* What is scratch is used again without a restriction. */
        search_all(&world, NEVER);
        assert_well_formed(&world, ROWS);
        close_world(&world);
    }
}

/* ---- within a radius ---- */

/* How far a score lies inside the radius; rounding may move it by `allowed` of what is compared. */
static float inside(const world_t *world, float score, float radius) {
    return world->config.metric == CONFIG_METRIC_l2 ? radius - score : score - radius;
}

/* All of the ranking that are set and inside, up to k; what lies at the radius may be there or not. */
static void assert_within(const world_t *world, const char *factory, const ranking_t *ranking, const uint64_t *words, float radius) {
    float allowed = 1e-4f * (fabsf(radius) + 1);
    for (int64_t query = 0; query < world->nq; query++) {
        int64_t least = 0, most = 0, found = 0, at = query * world->k;
        for (int64_t i = query * ROWS; i < (query + 1) * ROWS; i++) {
            if (ranking->rows[i] < 0 || (words && !is_set(words, ranking->rows[i])))
                continue;
            least += inside(world, ranking->scores[i], radius) > allowed;
            most += inside(world, ranking->scores[i], radius) > -allowed;
        }
        while (found < world->k && world->rows[at + found] >= 0) {
            assert_true(inside(world, world->scores[at + found], radius) > 0);
            assert_true(!words || is_set(words, world->rows[at + found]));
            found++;
        }
        if (found < (least < world->k ? least : world->k) || found > most)
            fail_msg("%s: query %d found %d rows, expected %d to %d", factory, (int)query, (int)found, (int)least, (int)most);
    }
}

static void a_radius_bounds_what_is_found(void **state) {
    (void)state;
    static const int64_t places[] = {0, 5, 15, 300};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_kind(&kinds[i], 1 + (int)(i % 2));
        if (engine_template_class(world.template) == ENGINE_OPAQUE || strstr(kinds[i].factory, "(IVF")) {
            close_world(&world);
            continue;
        }
        ranking_t ranking = rank_all(&world);
        uint64_t words[WORDS];
        const uint64_t *const blocks[] = {words};
        choose(HALF, &ranking, world.k, words);
        world.effort = INT64_MAX;
        for (size_t p = 0; p < 4 * (sizeof places / sizeof *places); p++) {
            engine_restriction_t restriction = {.has_radius = true, .radius = ranking.scores[places[p / 4]]};
            if (p % 2) {
                restriction.allowed = blocks;
                restriction.rows = ROWS;
                restriction.allowed_rows = count_set(words, ROWS);
            }
            world.k = p % 4 < 2 ? 40 : 5;
            world.nq = p % 3 ? QUERIES : 2;
            begin_among(&world, &restriction);
            search_store(&world, p % 4 == 1 ? 0 : NEVER);
            engine_search_end(world.search, world.scores, world.rows);
            assert_well_formed(&world, ROWS);
            assert_within(&world, kinds[i].factory, &ranking, restriction.allowed ? words : NULL, restriction.radius);
            world.nq = QUERIES;
        }
        free_ranking(&ranking);
        close_world(&world);
    }
}

static void waiting_rows_are_bounded_too(void **state) {
    (void)state;
    enum { INDEXED = 300 };
    dfaiss_error_t err;
    for (size_t m = 0; m < 2; m++) {
        const kind_t kind = {"Flat", m ? CONFIG_METRIC_dot : CONFIG_METRIC_l2};
        world_t world = open_kind(&kind, 2);
        ranking_t ranking = rank_all(&world);
        engine_restriction_t restriction = {.has_radius = true, .radius = ranking.scores[30]};
        open_store(&world, 0);
        build_rows(&world, 0, INDEXED, INDEXED);
        world.k = 50;
        begin_among(&world, &restriction);
        for (int64_t cursor = 0; cursor < ROWS - INDEXED;)
            assert_ok(engine_search_vectors(world.search, ELEMENT_f32, world.x + INDEXED * world.dim, INDEXED, ROWS - INDEXED, &cursor, 0, &err),
                      err);
        search_store(&world, NEVER);
        engine_search_end(world.search, world.scores, world.rows);
        assert_well_formed(&world, ROWS);
        assert_within(&world, kind.factory, &ranking, NULL, restriction.radius);
        free_ranking(&ranking);
        close_world(&world);
    }
}

static void radii_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const kind_t opaque = {"IVF16,PQ8x4fs", CONFIG_METRIC_l2}, flat = {"Flat", CONFIG_METRIC_l2};
    dfaiss_error_t err;
    engine_restriction_t restriction = {.has_radius = true, .radius = 1};
    world_t world = open_kind(&opaque, 1);
    assert_ok(engine_search_begin(world.search, world.nq, world.queries, world.k, world.effort, &err), err);
    assert_int_equal(engine_search_restrict(world.search, &restriction, &err), DFAISS_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "range search"));
    assert_non_null(strstr(err.text, "opaque"));
    close_world(&world);
    world = open_kind(&flat, 1);
    assert_ok(engine_search_begin(world.search, world.nq, world.queries, world.k, world.effort, &err), err);
    restriction.radius = NAN;
    assert_int_equal(engine_search_restrict(world.search, &restriction, &err), DFAISS_ERR_ARG);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_chosen),
        cmocka_unit_test(too_few_are_looked_for_further),
        cmocka_unit_test(graphs_are_walked_with_filters),
        cmocka_unit_test(waiting_rows_are_chosen_too),
        cmocka_unit_test(bits_may_be_cleared_meanwhile),
        cmocka_unit_test(later_rows_are_not_found),
        cmocka_unit_test(a_radius_bounds_what_is_found),
        cmocka_unit_test(waiting_rows_are_bounded_too),
        cmocka_unit_test(radii_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
