/* Every message that travels: what was written is read, and nothing is that was cut off, has bytes left over, or numbers that do not fit each other.
 */
#include "check.h"

#include "message/add.h"
#include "message/centroids.h"
#include "message/create.h"
#include "message/fetch.h"
#include "message/ids.h"
#include "message/load.h"
#include "message/loaded.h"
#include "message/named.h"
#include "message/outcome.h"
#include "message/remove.h"
#include "message/rows.h"
#include "message/search.h"
#include "message/setting.h"
#include "message/spread.h"
#include "message/statistics.h"
#include "message/update.h"

enum { N = 3, DIM = 2, VECTOR_BYTES = N * DIM * 4 };

static dfaiss_error_t error;
static const int64_t ids[N] = {4, 7, 9};

/* ---- one after the other ---- */

static message_add_t an_add(void) {
    static const uint64_t ends[N] = {2, 2, 5};
    return (message_add_t){.index = "index",
                           .element = ELEMENT_f32,
                           .n = N,
                           .dim = DIM,
                           .first_id = 11,
                           .incarnation = 12,
                           .ids = (const uint8_t *)ids,
                           .ends = (const uint8_t *)ends,
                           .metadata = (const uint8_t *)"abcde",
                           .metadata_size = 5,
                           .columns = "columns",
                           .column_bytes = 7};
}

static void put_add(bytes_writer_t *out) {
    message_add_t add = an_add();
    message_add_encode(&add, out);
}

static void check_add(const message_add_t *add) {
    message_add_t expected = an_add();
    assert_string_equal(add->index, expected.index);
    assert_int_equal(add->n, N);
    assert_int_equal(add->dim, DIM);
    assert_int_equal(add->first_id, 11);
    assert_int_equal(add->incarnation, 12);
    assert_memory_equal(add->ids, ids, sizeof ids);
    assert_memory_equal(add->ends, expected.ends, N * 8);
    assert_int_equal(add->metadata_size, 5);
    assert_memory_equal(add->metadata, "abcde", 5);
    assert_int_equal(add->column_bytes, 7);
    assert_memory_equal(add->columns, "columns", 7);
}

static dfaiss_status_t get_add(const void *body, size_t size) {
    message_add_t add;
    TRY(message_add_decode(MESSAGE_ADD, body, size, VECTOR_BYTES, &add, &error));
    check_add(&add);
    return DFAISS_OK;
}

static void put_update(bytes_writer_t *out) {
    message_update_t update = {.add = an_add(), .sorted = (const uint8_t *)ids};
    message_update_encode(&update, out);
}

static dfaiss_status_t get_update(const void *body, size_t size) {
    message_update_t update;
    TRY(message_update_decode(body, size, VECTOR_BYTES, &update, &error));
    check_add(&update.add);
    assert_memory_equal(update.sorted, ids, sizeof ids);
    return DFAISS_OK;
}

static void put_search(bytes_writer_t *out) {
    message_search_t search = {.index = "index",
                               .incarnation = 3,
                               .nq = N,
                               .dim = DIM,
                               .k = MESSAGE_SEARCH_MAX_K + 1,
                               .nprobe = 8,
                               .filter = "a > 3",
                               .filter_size = 5,
                               .has_radius = true,
                               .radius = -1.5F,
                               .client = 9,
                               .updates = 10};
    message_search_encode(&search, out);
}

static dfaiss_status_t get_search(const void *body, size_t size) {
    message_search_t search;
    TRY(message_search_decode(body, size, VECTOR_BYTES, &search, &error));
    assert_string_equal(search.index, "index");
    assert_int_equal(search.k, MESSAGE_SEARCH_MAX_K + 1);
    assert_int_equal(search.nprobe, 8);
    assert_int_equal(search.incarnation + search.updates + (uint64_t)search.client, 3 + 10 + 9);
    assert_int_equal(search.filter_size, 5);
    assert_memory_equal(search.filter, "a > 3", 5);
    assert_true(search.has_radius && search.radius == -1.5F);
    return DFAISS_OK;
}

static void put_found(bytes_writer_t *out) {
    message_found_encode(&(message_found_t){.incarnation = 3, .metric = 2, .larger_is_better = true}, out);
}

static dfaiss_status_t get_found(const void *body, size_t size) {
    bytes_reader_t in = bytes_reader(body, size);
    message_found_t found;
    TRY(message_found_decode(&in, &found, &error));
    assert_true(found.incarnation == 3 && found.metric == 2 && found.larger_is_better);
    return DFAISS_OK;
}

static void put_fetch(bytes_writer_t *out) {
    message_fetch_t fetch = {.index = "index", .incarnation = 3, .wanted = FETCH_EMBEDDINGS, .n = N, .rows = (const uint8_t *)ids};
    message_fetch_encode(&fetch, out);
}

static dfaiss_status_t get_fetch(const void *body, size_t size) {
    message_fetch_t fetch;
    TRY(message_fetch_decode(body, size, &fetch, &error));
    assert_true(fetch.n == N && fetch.wanted == FETCH_EMBEDDINGS && fetch.incarnation == 3);
    assert_memory_equal(fetch.rows, ids, sizeof ids);
    return DFAISS_OK;
}

static void put_create(bytes_writer_t *out) {
    message_create_t create = {.index = "index", .overwrite = true, .expected_rows = 77, .config = "{}", .config_size = 2};
    message_create_encode(&create, out);
}

static dfaiss_status_t get_create(const void *body, size_t size) {
    message_create_t create;
    TRY(message_create_decode(body, size, &create, &error));
    assert_true(create.overwrite && !create.own_ids && create.expected_rows == 77 && create.config_size == 2);
    return DFAISS_OK;
}

static void put_load(bytes_writer_t *out) {
    message_load_t load = {.index = "index", .force = true, .overrides = "{}", .overrides_size = 2};
    message_load_encode(&load, out);
}

static dfaiss_status_t get_load(const void *body, size_t size) {
    message_load_t load;
    TRY(message_load_decode(body, size, &load, &error));
    assert_true(load.force && load.overrides_size == 2 && memcmp(load.overrides, "{}", 2) == 0);
    return DFAISS_OK;
}

static void put_loaded(bytes_writer_t *out) {
    message_loaded_t loaded = {.generation = 1, .rows = 2, .next_id = 3, .own_ids = true, .config = "{}", .config_size = 2};
    message_loaded_encode(&loaded, out);
}

static dfaiss_status_t get_loaded(const void *body, size_t size) {
    bytes_reader_t in = bytes_reader(body, size);
    message_loaded_t loaded;
    TRY(message_loaded_decode(&in, &loaded, &error));
    assert_true(loaded.generation == 1 && loaded.rows == 2 && loaded.next_id == 3 && loaded.own_ids && loaded.config_size == 2);
    return DFAISS_OK;
}

static void put_remove(bytes_writer_t *out) {
    message_remove_t message = {.index = "index", .n = N};
    message_remove_encode(&message, out);
}

static dfaiss_status_t get_remove(const void *body, size_t size) {
    message_remove_t message;
    TRY(message_remove_decode(body, size, ids, sizeof ids, &message, &error));
    assert_true(message.n == N && !message.filter);
    return DFAISS_OK;
}

static void put_rows(bytes_writer_t *out) {
    message_rows_encode(&(message_rows_t){.index = "index", .server = 2, .rows = 5}, out);
}

static dfaiss_status_t get_rows(const void *body, size_t size) {
    message_rows_t rows;
    TRY(message_rows_decode(body, size, &rows, &error));
    assert_true(rows.server == 2 && rows.rows == 5);
    return DFAISS_OK;
}

static void put_setting(bytes_writer_t *out) {
    message_setting_encode("index", -5, out);
}

static dfaiss_status_t get_setting(const void *body, size_t size) {
    char index[MESSAGE_NAME];
    int64_t value;
    TRY(message_setting_decode(MESSAGE_SET_DIM, body, size, index, &value, &error));
    assert_int_equal(value, -5);
    return DFAISS_OK;
}

static void put_named(bytes_writer_t *out) {
    message_named_encode("index", out);
}

static dfaiss_status_t get_named(const void *body, size_t size) {
    char index[MESSAGE_NAME];
    TRY(message_named_decode(MESSAGE_SAVE, body, size, index, &error));
    assert_string_equal(index, "index");
    return DFAISS_OK;
}

static void put_centroids(bytes_writer_t *out) {
    message_centroids_encode(&(message_centroids_t){.lists = N, .dim = DIM}, out);
}

static dfaiss_status_t get_centroids(const void *body, size_t size) {
    bytes_reader_t in = bytes_reader(body, size);
    message_centroids_t centroids;
    TRY(message_centroids_decode(&in, VECTOR_BYTES, &centroids, &error));
    assert_true(centroids.lists == N && centroids.dim == DIM);
    return DFAISS_OK;
}

static void put_ids(bytes_writer_t *out) {
    message_ids_encode(&(message_ids_t){.first = 5, .count = 6, .incarnation = 7}, out);
}

static dfaiss_status_t get_ids(const void *body, size_t size) {
    bytes_reader_t in = bytes_reader(body, size);
    message_ids_t dealt;
    TRY(message_ids_decode(&in, &dealt, &error));
    assert_true(dealt.first == 5 && dealt.count == 6 && dealt.incarnation == 7);
    return DFAISS_OK;
}

static void put_statistics(bytes_writer_t *out) {
    message_statistics_t told = {
        .server = 1, .rows = 2, .build_nanoseconds = 3, .failure = {.code = DFAISS_ERR_FAISS, .text = "text", .where = "where"}};
    message_statistics_encode(&told, out);
}

static dfaiss_status_t get_statistics(const void *body, size_t size) {
    bytes_reader_t in = bytes_reader(body, size);
    message_statistics_t told;
    message_statistics_decode(&in, &told);
    if (!bytes_reader_done(&in))
        return DFAISS_ERR_PEER;
    assert_true(told.server == 1 && told.rows == 2 && told.build_nanoseconds == 3 && told.failure.code == DFAISS_ERR_FAISS);
    assert_string_equal(told.failure.text, "text");
    return DFAISS_OK;
}

static void put_outcome(bytes_writer_t *out) {
    message_outcome_encode(DFAISS_ERR_IO, &(dfaiss_error_t){.text = "text", .where = "where"}, out);
}

static dfaiss_status_t get_outcome(const void *body, size_t size) {
    bytes_reader_t in = bytes_reader(body, size);
    dfaiss_status_t status;
    dfaiss_error_t said;
    TRY(message_outcome_decode(MESSAGE_ANSWER, &in, &status, &said, &error));
    if (in.left > 0)
        return DFAISS_ERR_PEER;
    assert_int_equal(status, DFAISS_ERR_IO);
    assert_string_equal(said.where, "where");
    return DFAISS_OK;
}

static const struct {
    const char *name;
    void (*put)(bytes_writer_t *out);
    dfaiss_status_t (*get)(const void *body, size_t size);
} messages[] = {
    {"add", put_add, get_add},
    {"update", put_update, get_update},
    {"search", put_search, get_search},
    {"found", put_found, get_found},
    {"fetch", put_fetch, get_fetch},
    {"create", put_create, get_create},
    {"load", put_load, get_load},
    {"loaded", put_loaded, get_loaded},
    {"remove", put_remove, get_remove},
    {"rows", put_rows, get_rows},
    {"setting", put_setting, get_setting},
    {"named", put_named, get_named},
    {"centroids", put_centroids, get_centroids},
    {"ids", put_ids, get_ids},
    {"statistics", put_statistics, get_statistics},
    {"outcome", put_outcome, get_outcome},
};

/* In memory of its own, so that AddressSanitizer sees a read past the end. */
static dfaiss_status_t get_part(size_t message, const bytes_writer_t *body, size_t size) {
    uint8_t *part = malloc(size + 1);
    assert_non_null(part);
    memcpy(part, body->data, size < body->size ? size : body->size);
    part[size] = 0;
    uint8_t *exact = realloc(part, size > 0 ? size : 1);
    assert_non_null(exact);
    if (size > body->size)
        exact[size - 1] = 0;
    dfaiss_status_t status = messages[message].get(exact, size);
    free(exact);
    return status;
}

static void test_whole_messages_alone_are_read(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        bytes_writer_t body = {0};
        messages[i].put(&body);
        for (size_t size = 0; size <= body.size + 1; size++) {
            dfaiss_status_t status = get_part(i, &body, size);
            if (status != (size == body.size ? DFAISS_OK : DFAISS_ERR_PEER))
                fail_msg("%s, %zu of %zu bytes: %s", messages[i].name, size, body.size, dfaiss_status_name(status));
        }
        bytes_writer_destroy(&body);
    }
}

/* ---- numbers that do not fit ---- */

static dfaiss_status_t add_with(message_add_t add, size_t bulk_size) {
    bytes_writer_t body = {0};
    message_add_t read;
    message_add_encode(&add, &body);
    dfaiss_status_t status = message_add_decode(MESSAGE_ADD, body.data, body.size, bulk_size, &read, &error);
    bytes_writer_destroy(&body);
    return status;
}

static void test_adds_that_cannot_be(void **state) {
    (void)state;
    static const uint64_t falling[N] = {2, 1, 5}, beyond[N] = {2, 3, 6}, large[N] = {0, 0, (uint64_t)1 << 40};
    message_add_t add = an_add();
    assert_int_equal(add_with(add, VECTOR_BYTES), DFAISS_OK);
    assert_int_equal(add_with(add, VECTOR_BYTES - 1), DFAISS_ERR_PEER);
    assert_int_equal(add_with(add, 0), DFAISS_ERR_PEER);
    add.element = (element_t)77;
    assert_int_equal(add_with(add, VECTOR_BYTES), DFAISS_ERR_PEER);
    add = an_add();
    add.dim = (int64_t)1 << 62;
    assert_int_equal(add_with(add, VECTOR_BYTES), DFAISS_ERR_PEER);
    add.dim = -DIM;
    assert_int_equal(add_with(add, VECTOR_BYTES), DFAISS_ERR_PEER);
    const uint64_t *const wrong[] = {falling, beyond, large};
    for (int i = 0; i < 3; i++) {
        add = an_add();
        add.ends = (const uint8_t *)wrong[i];
        assert_int_equal(add_with(add, VECTOR_BYTES), DFAISS_ERR_PEER);
    }
}

static dfaiss_status_t search_with(message_search_t search, size_t bulk_size) {
    bytes_writer_t body = {0};
    message_search_t read;
    snprintf(search.index, sizeof search.index, "index");
    message_search_encode(&search, &body);
    dfaiss_status_t status = message_search_decode(body.data, body.size, bulk_size, &read, &error);
    bytes_writer_destroy(&body);
    return status;
}

static void test_searches_that_cannot_be(void **state) {
    (void)state;
    const message_search_t good = {.nq = N, .dim = DIM, .k = 5};
    assert_int_equal(search_with(good, VECTOR_BYTES), DFAISS_OK);
    assert_int_equal(search_with(good, VECTOR_BYTES + 1), DFAISS_ERR_PEER);
    message_search_t bad = good;
    bad.k = 0;
    assert_int_equal(search_with(bad, VECTOR_BYTES), DFAISS_ERR_PEER);
    bad.k = MESSAGE_SEARCH_MAX_K + 1;
    assert_int_equal(search_with(bad, VECTOR_BYTES), DFAISS_ERR_PEER);
    bad = good;
    bad.nprobe = -1;
    assert_int_equal(search_with(bad, VECTOR_BYTES), DFAISS_ERR_PEER);
    bad = good;
    bad.radius = (float)(1e300 * 1e300);
    assert_int_equal(search_with(bad, VECTOR_BYTES), DFAISS_ERR_PEER);
    bad = good;
    bad.nq = (int64_t)1 << 62;
    assert_int_equal(search_with(bad, VECTOR_BYTES), DFAISS_ERR_PEER);
    bad.nq = -N;
    assert_int_equal(search_with(bad, VECTOR_BYTES), DFAISS_ERR_PEER);
}

/* Ids that are looked up must be in order, each once, and what ids can be. */
static void test_ids_out_of_order(void **state) {
    (void)state;
    static const int64_t wrong[][N] = {{4, 9, 7}, {4, 4, 9}, {-1, 7, 9}, {4, 7, INT64_MAX}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bytes_writer_t body = {0};
        message_remove_t read;
        message_update_t update = {.add = an_add(), .sorted = (const uint8_t *)wrong[i]};
        put_remove(&body);
        assert_int_equal(message_remove_decode(body.data, body.size, wrong[i], sizeof wrong[i], &read, &error), DFAISS_ERR_PEER);
        bytes_writer_destroy(&body);
        body = (bytes_writer_t){0};
        message_update_encode(&update, &body);
        assert_int_equal(message_update_decode(body.data, body.size, VECTOR_BYTES, &update, &error), DFAISS_ERR_PEER);
        bytes_writer_destroy(&body);
    }
}

static void test_names_of_kinds(void **state) {
    (void)state;
    assert_string_equal(message_kind_name(MESSAGE_SEARCH), "SEARCH");
    assert_string_equal(message_kind_name(MESSAGE_KIND_COUNT), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_messages_alone_are_read),
        cmocka_unit_test(test_adds_that_cannot_be),
        cmocka_unit_test(test_searches_that_cannot_be),
        cmocka_unit_test(test_ids_out_of_order),
        cmocka_unit_test(test_names_of_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
