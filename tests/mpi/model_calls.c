/* Calls about indexes as a whole, and the table of all calls. */
#include "model_calls.h"

#include <math.h>

enum { DIMS = 3, MOST_SERVERS = 64 };

const model_kind_t model_kinds[] = {
    {.name = "flat", .keys = "\"index_builder_type\": \"flat\"", .exact = true, .exact_cosine = true},
    {.name = "ivf_simple",
     .keys = "\"index_builder_type\": \"ivf_simple\", \"centroids\": 6",
     .exact = true,
     .exact_cosine = true,
     .trains = true,
     .sample = 6,
     .lists = 6},
    {.name = "ivfsq", .keys = "\"index_builder_type\": \"ivfsq\", \"centroids\": 5", .trains = true, .sample = 5, .lists = 5, .recall = 0.9},
    {.name = "hnswsq",
     .keys = "\"index_builder_type\": \"hnswsq\", \"store_n\": 16, \"ef_construction\": 40",
     .trains = true,
     .sample = 1,
     .recall = 0.8},
    {.name = "knnlm",
     .keys = "\"index_builder_type\": \"knnlm\", \"centroids\": 4, \"code_size\": 4, \"bits_per_vector\": 4",
     .trains = true,
     .sample = 16,
     .lists = 4,
     .recall = 0.3},
    {.name = "SQfp16", .keys = "\"faiss_factory\": \"SQfp16\"", .exact = true},
    {.name = "SQ8", .keys = "\"faiss_factory\": \"SQ8\"", .trains = true, .sample = 1, .recall = 0.6},
    {.name = "refined", .keys = "\"faiss_factory\": \"SQ8,RFlat\"", .trains = true, .sample = 1, .opaque = true, .recall = 0.6},
};
enum { KINDS = sizeof model_kinds / sizeof *model_kinds };
const int model_kind_count = KINDS;
model_recall_t model_recalls[KINDS];

/* ---- turns ---- */

bool model_turn_acts(const model_turn_t *turn) {
    return !turn->shared || turn->actor == job.number;
}

void model_turn_share(const model_turn_t *turn, void *bytes, size_t size) {
    if (turn->shared)
        api_share(turn->actor, bytes, size);
}

void model_turn_ok(const model_turn_t *turn, dfaiss_status_t status) {
    if (status != DFAISS_OK)
        fail_msg("%s: %s: %s", turn->slot->name, dfaiss_status_name(status), job.error.text);
}

bool model_slot_exists(const model_slot_t *slot) {
    return slot->exists;
}

static bool slot_is_free(const model_slot_t *slot) {
    return !slot->exists;
}

bool model_slot_filled(const model_slot_t *slot) {
    return slot->exists && slot->model.count > 0;
}

/* Few vectors make poor quantizers, whose recall says nothing; far too few are refused. */
static bool slot_is_trainable(const model_slot_t *slot) {
    return slot->exists && slot->dim_known &&
           (slot->trained || slot->model.count >= 60 || (slot->model.count > 0 && slot->model.count < slot->kind->sample));
}

static bool is_trained(const model_slot_t *slot) {
    return slot->trained && slot->dim_known;
}

static bool slot_is_saved(const model_slot_t *slot) {
    return slot->exists && slot->saved;
}

/* ---- made and dropped ---- */

static void create(model_turn_t *turn) {
    static const char *const metrics[] = {"dot", "l2", "cosine"};
    static const int64_t dims[DIMS] = {4, 8, 16};
    model_slot_t *slot = turn->slot;
    char text[1024];
    slot->kind = &model_kinds[random_below(turn->random, KINDS)];
    slot->model.metric = (model_metric_t)random_below(turn->random, 3);
    slot->model.dim = dims[random_below(turn->random, DIMS)];
    slot->own_ids = random_below(turn->random, 2) == 0;
    slot->attributes = random_below(turn->random, 3) > 0;
    slot->dim_known = random_below(turn->random, 3) > 0;
    slot->trained = !slot->kind->trains;
    slot->nprobe = slot->kind->lists ? slot->kind->lists : MODEL_EFFORT;
    slot->saved = false;
    slot->next_id = 0;
    slot->generation = 0;
    slot->exists = true;
    snprintf(text, sizeof text,
             "{%s, \"metric\": \"%s\", \"dim\": %d, \"nprobe\": %d, \"buffer_bsz\": %d, \"segment_rows\": %d%s, \"threads\": %d, \"extra\": {\"of\": "
             "\"%s\"}}",
             slot->kind->keys, metrics[slot->model.metric], slot->dim_known ? (int)slot->model.dim : 0, (int)slot->nprobe,
             16 << random_below(turn->random, 6), random_below(turn->random, 2) ? 0 : 1024,
             slot->attributes ? ", \"attributes\": " MODEL_ATTRIBUTES : "", 1 + (int)random_below(turn->random, 2), slot->name);
    if (model_turn_acts(turn))
        api_create(slot->name, text, slot->own_ids);
}

static void create_again(model_turn_t *turn) {
    dfaiss_config_t *config;
    const char *text = "{\"index_builder_type\": \"flat\", \"dim\": 3}";
    if (!model_turn_acts(turn))
        return;
    assert_ok(dfaiss_config_parse(text, strlen(text), &config, &job.error), job.error);
    assert_fails(dfaiss_create_index(job.client, turn->slot->name, config, NULL, &job.error), DFAISS_ERR_EXISTS, job.error, turn->slot->name);
    dfaiss_config_destroy(config);
}

static void drop(model_turn_t *turn) {
    model_slot_t *slot = turn->slot;
    if (model_turn_acts(turn)) {
        api_drop(slot->name);
        assert_int_equal(api_ntotal(slot->name), 0);
        assert_fails(dfaiss_load_index(job.client, slot->name, NULL, true, &job.error), DFAISS_ERR_NOT_FOUND, job.error, slot->name);
    }
    slot->exists = slot->saved = false;
    model_clear(&slot->model);
    model_clear(&slot->saved_model);
}

/* ---- saved and loaded ---- */

static void save(model_turn_t *turn) {
    model_slot_t *slot = turn->slot;
    int64_t generation = 0;
    slot->generation++;
    if (model_turn_acts(turn)) {
        model_turn_ok(turn, dfaiss_save_index(job.client, slot->name, &generation, &job.error));
        assert_int_equal(generation, slot->generation);
    }
    slot->saved = true;
    slot->saved_trained = slot->trained;
    slot->saved_dim_known = slot->dim_known;
    slot->saved_nprobe = slot->nprobe;
    model_copy(&slot->model, &slot->saved_model);
}

static void load(model_turn_t *turn) {
    model_slot_t *slot = turn->slot;
    char value[32];
    dfaiss_config_t *overrides = NULL;
    bool override = random_below(turn->random, 3) == 0;
    int64_t nprobe = 1 + (int64_t)random_below(turn->random, 64);
    slot->trained = slot->saved_trained;
    slot->dim_known = slot->saved_dim_known;
    slot->nprobe = override ? nprobe : slot->saved_nprobe;
    model_copy(&slot->saved_model, &slot->model);
    if (!model_turn_acts(turn))
        return;
    snprintf(value, sizeof value, "%d", (int)nprobe);
    if (override) {
        assert_ok(dfaiss_config_create(&overrides, &job.error), job.error);
        assert_ok(dfaiss_config_set(overrides, "nprobe", value, &job.error), job.error);
    }
    assert_fails(dfaiss_load_index(job.client, slot->name, overrides, false, &job.error), DFAISS_ERR_EXISTS, job.error, slot->name);
    model_turn_ok(turn, dfaiss_load_index(job.client, slot->name, overrides, true, &job.error));
    dfaiss_config_destroy(overrides);
}

/* ---- training ---- */

/* The actor's outcome is everybody's: whether there are enough vectors on each server, only the servers know. */
static void train(model_turn_t *turn) {
    model_slot_t *slot = turn->slot;
    dfaiss_status_t status = DFAISS_OK;
    bool start = random_below(turn->random, 2) == 0;
    if (model_turn_acts(turn)) {
        status = start ? dfaiss_train_start(job.client, slot->name, &job.error) : dfaiss_train(job.client, slot->name, &job.error);
        if (start && status == DFAISS_OK)
            status = dfaiss_wait_state(job.client, slot->name, DFAISS_TRAINED, 0, &job.error);
    }
    model_turn_share(turn, &status, sizeof status);
    if (slot->trained)
        assert_int_equal(status, DFAISS_ERR_STATE);
    else if (status != DFAISS_OK && (status != DFAISS_ERR_CONFIG || slot->model.count >= slot->kind->sample))
        fail_msg("%s has %d vectors: %s: %s", slot->name, (int)slot->model.count, dfaiss_status_name(status), job.error.text);
    slot->trained |= status == DFAISS_OK;
}

static void flush(model_turn_t *turn) {
    dfaiss_statistics_t statistics[MOST_SERVERS];
    model_slot_t *slot = turn->slot;
    if (!model_turn_acts(turn))
        return;
    dfaiss_status_t status = dfaiss_flush(job.client, slot->name, &job.error);
    if (!is_trained(slot)) {
        assert_true(status == DFAISS_ERR_STATE || (status == DFAISS_OK && slot->model.count == 0));
        return;
    }
    model_turn_ok(turn, status);
    model_turn_ok(turn, dfaiss_get_statistics(job.client, slot->name, statistics, &job.error));
    for (int server = 0; server < job.servers; server++)
        assert_int_equal(statistics[server].buffered, 0);
    assert_int_equal(api_state(slot->name), DFAISS_TRAINED);
}

/* ---- what is told ---- */

static int compare_ids(const void *a, const void *b) {
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return first < second ? -1 : first > second;
}

static void look(model_turn_t *turn) {
    dfaiss_statistics_t statistics[MOST_SERVERS];
    const model_slot_t *slot = turn->slot;
    int64_t vectors = 0;
    if (!model_turn_acts(turn))
        return;
    assert_int_equal(api_ntotal(slot->name), slot->model.count);
    dfaiss_state_t state = api_state(slot->name);
    assert_true(is_trained(slot) ? state == DFAISS_TRAINED || state == DFAISS_ADD : state == DFAISS_NOT_TRAINED);
    model_turn_ok(turn, dfaiss_get_statistics(job.client, slot->name, statistics, &job.error));
    for (int server = 0; server < job.servers; server++) {
        assert_true(statistics[server].buffered >= 0);
        assert_true(statistics[server].removed >= 0);
        vectors += statistics[server].vectors;
    }
    assert_int_equal(vectors, slot->model.count);
}

static void look_at_ids(model_turn_t *turn) {
    const model_slot_t *slot = turn->slot;
    int64_t *ids = NULL, n = -1;
    if (!model_turn_acts(turn))
        return;
    int64_t *expected = malloc(((size_t)slot->model.count + 1) * sizeof *expected);
    assert_non_null(expected);
    for (int64_t i = 0; i < slot->model.count; i++)
        expected[i] = slot->model.rows[i].id;
    qsort(expected, (size_t)slot->model.count, sizeof *expected, compare_ids);
    model_turn_ok(turn, dfaiss_get_ids(job.client, slot->name, &ids, &n, &job.error));
    assert_int_equal(n, slot->model.count);
    if (n)
        assert_memory_equal(ids, expected, (size_t)n * sizeof *ids);
    free(ids);
    free(expected);
}

static void look_at_config(model_turn_t *turn) {
    const model_slot_t *slot = turn->slot;
    dfaiss_config_t *config;
    char *nprobe, *extra, number[32];
    if (!model_turn_acts(turn))
        return;
    snprintf(number, sizeof number, "%d", (int)slot->nprobe);
    model_turn_ok(turn, dfaiss_get_config(job.client, slot->name, &config, &job.error));
    assert_ok(dfaiss_config_get(config, "nprobe", &nprobe, &job.error), job.error);
    assert_ok(dfaiss_config_get(config, "extra", &extra, &job.error), job.error);
    assert_string_equal(nprobe, number);
    assert_non_null(strstr(extra, slot->name));
    free(extra);
    free(nprobe);
    dfaiss_config_destroy(config);
}

static void look_at_names(model_turn_t *turn) {
    char **names;
    int64_t count;
    if (!model_turn_acts(turn))
        return;
    model_turn_ok(turn, dfaiss_list_indexes(job.client, &names, &count, &job.error));
    for (int i = 0; i < turn->slot_count; i++) {
        bool listed = false;
        for (int64_t name = 0; name < count; name++)
            listed |= strcmp(names[name], turn->slots[i].name) == 0;
        assert_int_equal(listed, turn->slots[i].exists);
    }
    for (int64_t name = 1; name < count; name++)
        assert_true(strcmp(names[name - 1], names[name]) < 0);
    free(names);
}

static void look_at_centroids(model_turn_t *turn) {
    const model_slot_t *slot = turn->slot;
    int server = (int)random_below(turn->random, (uint64_t)job.servers);
    float *centroids = NULL;
    int64_t lists, dim;
    if (!model_turn_acts(turn))
        return;
    dfaiss_status_t status = dfaiss_get_centroids(job.client, slot->name, server, &centroids, &lists, &dim, &job.error);
    if (slot->kind->lists == 0) {
        assert_true(status == DFAISS_ERR_UNSUPPORTED || (!is_trained(slot) && status == DFAISS_ERR_STATE));
    } else if (!is_trained(slot)) {
        assert_int_equal(status, DFAISS_ERR_STATE);
    } else {
        model_turn_ok(turn, status);
        assert_int_equal(lists, slot->kind->lists);
        assert_int_equal(dim, slot->model.dim);
        for (int64_t i = 0; i < lists * dim; i++)
            assert_true(isfinite(centroids[i]));
    }
    free(centroids);
}

static void set_nprobe(model_turn_t *turn) {
    turn->slot->nprobe = 1 + (int64_t)random_below(turn->random, 64);
    if (model_turn_acts(turn))
        model_turn_ok(turn, dfaiss_set_nprobe(job.client, turn->slot->name, turn->slot->nprobe, &job.error));
}

static void set_threads(model_turn_t *turn) {
    int threads = 1 + (int)random_below(turn->random, 2);
    if (model_turn_acts(turn))
        model_turn_ok(turn, dfaiss_set_threads(job.client, threads, &job.error));
}

/* ---- the table ---- */

const model_call_t model_calls[] = {
    {"create", 12, slot_is_free, create},
    {"create again", 1, model_slot_exists, create_again},
    {"drop", 1, model_slot_exists, drop},
    {"save", 3, model_slot_exists, save},
    {"load", 2, slot_is_saved, load},
    {"add", 14, model_slot_exists, model_call_add},
    {"update", 5, model_slot_filled, model_call_update},
    {"remove ids", 4, model_slot_filled, model_call_remove_ids},
    {"remove matching", 2, model_slot_filled, model_call_remove_matching},
    {"train", 5, slot_is_trainable, train},
    {"flush", 3, model_slot_exists, flush},
    {"search", 12, model_slot_exists, model_call_search},
    {"search several", 3, model_slot_exists, model_call_search_several},
    {"range search", 5, model_slot_exists, model_call_range_search},
    {"requests", 4, model_slot_exists, model_call_requests},
    {"look", 3, model_slot_exists, look},
    {"look at ids", 2, model_slot_exists, look_at_ids},
    {"look at config", 1, model_slot_exists, look_at_config},
    {"look at names", 1, model_slot_exists, look_at_names},
    {"look at centroids", 1, model_slot_exists, look_at_centroids},
    {"set nprobe", 1, model_slot_exists, set_nprobe},
    {"set threads", 1, model_slot_exists, set_threads},
};
const int model_call_count = sizeof model_calls / sizeof *model_calls;
