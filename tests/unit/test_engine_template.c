/* Templates: factory strings and their refusals, classes, training samples, and the way into bytes and back. */
#include "test_engine.h"

static void factories_follow_the_configuration(void **state) {
    (void)state;
    dfaiss_error_t err;
    char text[128];
    static const struct {
        config_kind_t kind;
        const char *expected;
    } cases[] = {{CONFIG_KIND_flat, "Flat"},
                 {CONFIG_KIND_ivf_simple, "IVF16,Flat"},
                 {CONFIG_KIND_knnlm, "IVF16,PQ8x8np"},
                 {CONFIG_KIND_hnswsq, "HNSW16_SQ8"},
                 {CONFIG_KIND_ivfsq, "IVF16,SQfp16"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        index_config_t config = engine_config("", 32, CONFIG_METRIC_l2);
        config.index_builder_type = cases[i].kind;
        assert_ok(engine_factory(&config, 1000, text, sizeof text, &err), err);
        assert_string_equal(text, cases[i].expected);
    }
    index_config_t config = engine_config("IVF{centroids}(IVF{centroids},Flat),PQ8", 32, CONFIG_METRIC_l2);
    assert_ok(engine_factory(&config, 1000, text, sizeof text, &err), err);
    assert_string_equal(text, "IVF16(IVF16,Flat),PQ8");
    config = engine_config("IVF{centroids},Flat", 32, CONFIG_METRIC_l2);
    config.infer_centroids = true;
    config.centroids = 0;
    assert_ok(engine_factory(&config, 10000, text, sizeof text, &err), err);
    assert_string_equal(text, "IVF200,Flat");
    assert_fails(engine_factory(&config, 10000, text, 5, &err), DFAISS_ERR_CONFIG, err, "longer");
}

static void refusals_name_key_and_reason(void **state) {
    (void)state;
    static const struct {
        config_kind_t kind;
        const char *factory;
        config_metric_t metric;
        dfaiss_status_t status;
        const char *part;
    } cases[] = {
        {CONFIG_KIND_ivf_gpu, "", CONFIG_METRIC_l2, DFAISS_ERR_UNSUPPORTED, "no GPU"},
        {CONFIG_KIND_factory, "", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "neither"},
        {CONFIG_KIND_factory, "BFlat", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "binary"},
        {CONFIG_KIND_factory, "BIVF16", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "binary"},
        {CONFIG_KIND_factory, "IDMap,Flat", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "IDMap"},
        {CONFIG_KIND_factory, "Flatt", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "could not parse"},
        {CONFIG_KIND_factory, "PQ7", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "\"PQ7\" for dim 32"},
        {CONFIG_KIND_factory, "IVF0,Flat", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "is 0"},
        {CONFIG_KIND_factory, "PQ0", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "is 0"},
        {CONFIG_KIND_factory, "PQ8x40", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "too large"},
        {CONFIG_KIND_factory, "IVF99999999999,Flat", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "too large"},
        {CONFIG_KIND_factory, "HNSW1,Flat", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "2 to 4096 links"},
        {CONFIG_KIND_factory, "IVF16_HNSW5000,Flat", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "2 to 4096 links"},
        {CONFIG_KIND_factory, "NSG16", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "take HNSW"},
        {CONFIG_KIND_factory, "IVF16_NSG16,Flat", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "take HNSW"},
        {CONFIG_KIND_factory, "IVF16,Flat)", CONFIG_METRIC_l2, DFAISS_ERR_CONFIG, "IVF16"},
        {CONFIG_KIND_factory, "HNSW16_PQ8np", CONFIG_METRIC_dot, DFAISS_ERR_CONFIG, "l2 only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dfaiss_error_t err;
        engine_template_t *template = NULL;
        index_config_t config = engine_config(cases[i].factory, 32, cases[i].metric);
        config.index_builder_type = cases[i].kind;
        assert_fails(engine_template_create(&config, 1000, &template, &err), cases[i].status, err, cases[i].part);
        assert_null(template);
    }
}

static void missing_numbers_are_named(void **state) {
    (void)state;
    dfaiss_error_t err;
    engine_template_t *template = NULL;
    index_config_t config = engine_config("", 32, CONFIG_METRIC_l2);
    config.index_builder_type = CONFIG_KIND_ivf_simple;
    config.centroids = 0;
    assert_fails(engine_template_create(&config, 1000, &template, &err), DFAISS_ERR_CONFIG, err, "centroids");
    assert_string_equal(err.where, "centroids");
    config = engine_config("Flat", 0, CONFIG_METRIC_l2);
    assert_fails(engine_template_create(&config, 1000, &template, &err), DFAISS_ERR_CONFIG, err, "dim");
    config = engine_config("", 30, CONFIG_METRIC_l2);
    config.index_builder_type = CONFIG_KIND_knnlm;
    assert_fails(engine_template_create(&config, 1000, &template, &err), DFAISS_ERR_CONFIG, err, "code_size");
}

static void classes_and_sizes_are_known(void **state) {
    (void)state;
    static const struct {
        const char *factory;
        engine_class_t class;
        size_t code_size;
        int64_t lists, min, max;
    } cases[] = {
        {"Flat", ENGINE_CODES, 128, 0, 0, 0},
        {"SQ8", ENGINE_CODES, 32, 0, 1, 65536},
        {"PQ8", ENGINE_CODES, 8, 0, 256, 65536},
        {"PCA16,Flat", ENGINE_CODES, 64, 0, 1, 65536},
        {"IVF16,Flat", ENGINE_IVF, 128, 16, 16, 65536},
        {"IVF1024,SQfp16", ENGINE_IVF, 64, 1024, 1024, 262144},
        {"OPQ8_16,IVF16_HNSW8,PQ8", ENGINE_IVF, 8, 16, 256, 65536},
        {"IMI2x4,PQ8", ENGINE_IVF, 8, 256, 256, 65536},
        {"HNSW16,Flat", ENGINE_HNSW, 128, 0, 0, 0},
        {"HNSW16_SQ8", ENGINE_HNSW, 32, 0, 1, 65536},
        {"IVF16,PQ8x4fs", ENGINE_OPAQUE, 0, 0, 16, 65536},
        {"IVF16,SQ8,RFlat", ENGINE_OPAQUE, 0, 0, 16, 65536},
        {"IVF16,FlatDedup", ENGINE_OPAQUE, 0, 0, 16, 65536},
        {"IVF16,PQ4+4", ENGINE_OPAQUE, 0, 0, 256, 65536},
        {"PQ8x4fs", ENGINE_OPAQUE, 0, 0, 16, 65536},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dfaiss_error_t err;
        engine_template_t *template = NULL;
        index_config_t config = engine_config(cases[i].factory, 32, CONFIG_METRIC_l2);
        assert_ok(engine_template_create(&config, 1000, &template, &err), err);
        int64_t min, max;
        engine_template_sample(template, &min, &max);
        if (engine_template_class(template) != cases[i].class || engine_template_code_size(template) != cases[i].code_size ||
            engine_template_lists(template) != cases[i].lists || min != cases[i].min || max != cases[i].max)
            fail_msg("%s: class %s, code size %d, lists %d, sample %d to %d", cases[i].factory, engine_class_name(engine_template_class(template)),
                     (int)engine_template_code_size(template), (int)engine_template_lists(template), (int)min, (int)max);
        assert_int_equal(engine_template_dim(template), 32);
        assert_int_equal(engine_template_trained(template), max == 0);
        assert_int_equal(engine_template_link_size(template) > 0, cases[i].class == ENGINE_HNSW);
        assert_int_equal(engine_template_training_bytes(template, 1000) > 0, max > 0);
        engine_template_destroy(template);
    }
    engine_template_destroy(NULL);
}

/* Before anybody knows the dimension. */
static void classes_are_known_without_a_dimension(void **state) {
    (void)state;
    dfaiss_error_t err;
    static const struct {
        const char *factory;
        engine_class_t class;
    } cases[] = {{"Flat", ENGINE_CODES},       {"PQ12", ENGINE_CODES},           {"OPQ100,PQ100", ENGINE_CODES},
                 {"PCA512,SQ8", ENGINE_CODES}, {"IVF16,PQ8np", ENGINE_IVF},      {"HNSW16_SQ8", ENGINE_HNSW},
                 {"SQ8,RFlat", ENGINE_OPAQUE}, {"IVF16,PQ8x4fs", ENGINE_OPAQUE}, {"PQ128x4fs", ENGINE_OPAQUE}};
    engine_class_t class;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        index_config_t config = engine_config(cases[i].factory, 0, CONFIG_METRIC_l2);
        assert_ok(engine_config_class(&config, &class, &err), err);
        assert_int_equal(class, cases[i].class);
    }
    index_config_t config = engine_config("PQ1009", 0, CONFIG_METRIC_l2);
    assert_fails(engine_config_class(&config, &class, &err), DFAISS_ERR_CONFIG, err, "PQ1009");
    config = engine_config("PQ7", 32, CONFIG_METRIC_l2);
    assert_fails(engine_config_class(&config, &class, &err), DFAISS_ERR_CONFIG, err, "\"PQ7\" for dim 32");
}

static void training_asks_for_enough_vectors(void **state) {
    (void)state;
    dfaiss_error_t err;
    engine_template_t *template = NULL;
    engine_store_t *store = NULL;
    index_config_t config = engine_config("IVF16,Flat", 8, CONFIG_METRIC_l2);
    float *x = make_vectors(1, 100, 8), centroids[16 * 8];
    int64_t dim = 0;
    assert_ok(engine_template_create(&config, 100, &template, &err), err);
    assert_fails(engine_store_create(template, 0, &store, &err), DFAISS_ERR_STATE, err, "not trained");
    assert_fails(engine_template_centroids(template, centroids, &dim, &err), DFAISS_ERR_STATE, err, "before it is trained");
    assert_fails(engine_template_train(template, 15, x, &err), DFAISS_ERR_STATE, err, "at least 16");
    assert_ok(engine_template_train(template, 100, x, &err), err);
    assert_true(engine_template_trained(template));
    assert_ok(engine_template_centroids(template, centroids, &dim, &err), err);
    assert_int_equal(dim, 8);
    for (size_t i = 0; i < 16 * 8; i++)
        assert_true(isfinite(centroids[i]) && fabsf(centroids[i]) < 10);
    engine_template_destroy(template);
    config = engine_config("Flat", 8, CONFIG_METRIC_l2);
    assert_ok(engine_template_create(&config, 100, &template, &err), err);
    assert_fails(engine_template_centroids(template, centroids, &dim, &err), DFAISS_ERR_UNSUPPORTED, err, "codes");
    engine_template_destroy(template);
    free(x);
}

static bytes_writer_t written(const engine_template_t *template) {
    dfaiss_error_t err;
    bytes_writer_t bytes = {.data = NULL};
    assert_ok(engine_template_write(template, &bytes, &err), err);
    return bytes;
}

static void templates_come_back(void **state) {
    (void)state;
    static const char *const factories[] = {"Flat", "SQ8", "RR16,IVF16_HNSW8,PQ8x5np", "HNSW16_SQ8", "IVF16,PQ8x4fs", "IVF16,SQ8,RFlat", "PCA8,Flat"};
    dfaiss_error_t err;
    for (size_t i = 0; i < sizeof factories / sizeof *factories; i++) {
        world_t world = open_world(engine_config(factories[i], 32, CONFIG_METRIC_l2), 1500, 20, 1);
        int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
        build_rows(&world, 0, world.n, 800);
        search_all(&world, NEVER);
        memcpy(expected, world.rows, (size_t)(world.nq * world.k) * sizeof *expected);
        bytes_writer_t bytes = written(world.template);
        engine_store_destroy(world.store);
        world.store = NULL;
        engine_template_destroy(world.template);
        assert_ok(engine_template_read(&world.config, bytes.data, bytes.size, &world.template, &err), err);
        assert_true(engine_template_trained(world.template));
        open_store(&world, 0);
        open_search(&world, 2);
        build_rows(&world, 0, world.n, 800);
        search_all(&world, NEVER);
        assert_same_rows(&world, world.rows, expected);
        bytes_writer_destroy(&bytes);
        free(expected);
        close_world(&world);
    }
}

static void damaged_templates_are_refused(void **state) {
    (void)state;
    dfaiss_error_t err;
    engine_template_t *template = NULL;
    world_t world = open_world(engine_config("PCA16,IVF16,PQ8x5np", 32, CONFIG_METRIC_l2), 1000, 1, 1);
    bytes_writer_t bytes = written(world.template);
    random_state_t random = random_stream(5, 5);
    for (int i = 0; i < 300; i++) {
        size_t at = (size_t)random_below(&random, bytes.size);
        uint8_t mask = (uint8_t)(1 + random_below(&random, 255));
        bytes.data[at] ^= mask;
        assert_fails(engine_template_read(&world.config, bytes.data, bytes.size, &template, &err), DFAISS_ERR_CHECKPOINT, err, "damaged");
        bytes.data[at] ^= mask;
        assert_fails(engine_template_read(&world.config, bytes.data, (size_t)random_below(&random, bytes.size), &template, &err),
                     DFAISS_ERR_CHECKPOINT, err, "damaged");
    }
    assert_ok(engine_template_read(&world.config, bytes.data, bytes.size, &template, &err), err);
    engine_template_destroy(template);
    bytes_writer_destroy(&bytes);
    close_world(&world);
}

static void templates_of_other_configurations_are_refused(void **state) {
    (void)state;
    dfaiss_error_t err;
    engine_template_t *template = NULL;
    world_t world = open_world(engine_config("IVF16,SQ8", 32, CONFIG_METRIC_l2), 1000, 1, 1);
    bytes_writer_t bytes = written(world.template);
    static const struct {
        const char *factory;
        int64_t dim;
        config_metric_t metric;
        const char *part;
    } cases[] = {{"IVF16,SQ8", 16, CONFIG_METRIC_l2, "dimension"},
                 {"IVF16,SQ8", 32, CONFIG_METRIC_dot, "metric"},
                 {"IVF16,Flat", 32, CONFIG_METRIC_l2, "kind of index"},
                 {"IVF17,SQ8", 32, CONFIG_METRIC_l2, "number of lists"},
                 {"IVF16,SQ4", 32, CONFIG_METRIC_l2, "size of a code"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        index_config_t config = engine_config(cases[i].factory, cases[i].dim, cases[i].metric);
        assert_fails(engine_template_read(&config, bytes.data, bytes.size, &template, &err), DFAISS_ERR_CHECKPOINT, err, cases[i].part);
    }
    bytes_writer_destroy(&bytes);
    close_world(&world);
}

static void check_cancelled(const char *factory) {
    dfaiss_error_t err;
    engine_template_t *template = NULL;
    index_config_t config = engine_config(factory, 32, CONFIG_METRIC_l2);
    float *x = make_vectors(3, 2000, 32);
    assert_ok(engine_template_create(&config, 2000, &template, &err), err);
    engine_template_cancel(template);
    assert_fails(engine_template_train(template, 2000, x, &err), DFAISS_ERR_INTERRUPTED, err, "cancelled");
    assert_false(engine_template_trained(template));
    engine_template_destroy(template);
    /* Trainings that come later on the same thread go on. */
    assert_ok(engine_template_create(&config, 2000, &template, &err), err);
    assert_ok(engine_template_train(template, 2000, x, &err), err);
    engine_template_destroy(template);
    free(x);
}

static void training_can_be_cancelled(void **state) {
    (void)state;
    check_cancelled("IVF64,Flat");
    check_cancelled("PQ8");
}

static void inferred_lists_come_back(void **state) {
    (void)state;
    dfaiss_error_t err;
    index_config_t config = engine_config("IVF{centroids},Flat", 8, CONFIG_METRIC_l2);
    config.infer_centroids = true;
    world_t world = open_world(config, 900, 1, 1);
    assert_int_equal(engine_template_lists(world.template), 60);
    bytes_writer_t bytes = written(world.template);
    engine_template_t *template = NULL;
    assert_ok(engine_template_read(&world.config, bytes.data, bytes.size, &template, &err), err);
    assert_int_equal(engine_template_lists(template), 60);
    engine_template_destroy(template);
    bytes_writer_destroy(&bytes);
    close_world(&world);
}

static void vectors_are_widened_and_normalised(void **state) {
    (void)state;
    dfaiss_error_t err;
    engine_template_t *template = NULL;
    index_config_t config = engine_config("Flat", 2, CONFIG_METRIC_cosine);
    assert_ok(engine_template_create(&config, 10, &template, &err), err);
    const int8_t rows[] = {3, -4, 0, 0};
    float x[4];
    engine_prepare(template, ELEMENT_i8, rows, 2, x);
    assert_true(fabsf(x[0] - 0.6f) < 1e-6f && fabsf(x[1] + 0.8f) < 1e-6f);
    assert_true(x[2] == 0 && x[3] == 0);
    engine_template_destroy(template);
}

static void versions_are_known(void **state) {
    (void)state;
    assert_true(strchr(engine_faiss_version(), '.') != NULL);
    assert_true(strlen(engine_simd_level()) > 2);
    assert_false(engine_has_gpu());
    assert_string_equal(engine_class_name(ENGINE_OPAQUE), "opaque");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factories_follow_the_configuration),
        cmocka_unit_test(refusals_name_key_and_reason),
        cmocka_unit_test(missing_numbers_are_named),
        cmocka_unit_test(classes_and_sizes_are_known),
        cmocka_unit_test(classes_are_known_without_a_dimension),
        cmocka_unit_test(training_asks_for_enough_vectors),
        cmocka_unit_test(training_can_be_cancelled),
        cmocka_unit_test(templates_come_back),
        cmocka_unit_test(damaged_templates_are_refused),
        cmocka_unit_test(templates_of_other_configurations_are_refused),
        cmocka_unit_test(inferred_lists_come_back),
        cmocka_unit_test(vectors_are_widened_and_normalised),
        cmocka_unit_test(versions_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
