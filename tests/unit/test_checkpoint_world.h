/* What the tests of saving again and again share: a shard whose rows come, change and go, saved into a storage as a server does it, and a model of
 * what must be in it. */
#ifndef TESTS_CHECKPOINT_WORLD_H
#define TESTS_CHECKPOINT_WORLD_H

#include "test_shard_rows.h"

#include <limits.h>
#include <math.h>

#include "base/file.h"
#include "checkpoint/generation.h"
#include "filter/stored.h"
#include "shard/removal.h"

enum { KEEP_GENERATIONS = 2, IDS_MOST = 1 << 16 };

typedef struct world {
    char storage[PATH_MAX / 4];
    shard_t *shard;
    basis_t *saved;
    manifest_basis_t basis;
    manifest_part_t part;  /* of the last save */
    uint64_t written;      /* bytes of the file that it wrote; 0: it needed none */
    int version[IDS_MOST]; /* of each id's vector and metadata; 0: there is none, or it was removed */
    int64_t next_id, living;
} world_t;

/* ---- rows ---- */

/* What an id has in a version: metadata with a year, and a vector. */
static inline int world_metadata(int64_t id, int version, char text[96]) {
    return snprintf(text, 96, "{\"year\": %d, \"lang\": \"l%d\"}", (int)id * 100 + version, (int)id % 5);
}

static inline void world_vector(int64_t id, int version, float *to) {
    random_state_t random = random_stream(SEED, (uint64_t)(id * 1000 + version));
    for (int i = 0; i < DIM; i++)
        to[i] = (float)(int64_t)random_below(&random, 1000) / 8;
}

static inline int64_t world_append(world_t *world, int64_t n, const int64_t *ids) {
    shard_batch_t batch = {.n = n, .first_id = ids[0], .element = ELEMENT_f32, .vector_bytes = (size_t)n * DIM * sizeof(float)};
    int64_t first = shard_rows(world->shard);
    uint64_t end = 0;
    bool run = true;
    batch.vectors = memory_map(batch.vector_bytes);
    batch.metadata_ends = malloc((size_t)n * sizeof *batch.metadata_ends);
    batch.metadata = malloc((size_t)n * 96);
    batch.ids = malloc((size_t)n * sizeof *batch.ids);
    assert_true(batch.vectors && batch.metadata_ends && batch.metadata && batch.ids);
    for (int64_t i = 0; i < n; i++) {
        int version = abs(world->version[ids[i]]) + 1;
        world->living += world->version[ids[i]] <= 0;
        world->version[ids[i]] = version;
        batch.ids[i] = ids[i];
        run = run && ids[i] == ids[0] + i;
        world_vector(ids[i], version, (float *)batch.vectors + i * DIM);
        batch.metadata_ends[i] = end += (uint64_t)world_metadata(ids[i], version, (char *)batch.metadata + end);
    }
    if (run) {
        free(batch.ids);
        batch.ids = NULL;
    }
    assert_ok(shard_append(world->shard, &batch, NULL, 0, &error), error);
    return first;
}

static inline void world_add(world_t *world, int64_t n) {
    int64_t *ids = malloc((size_t)n * sizeof *ids);
    assert_non_null(ids);
    for (int64_t i = 0; i < n; i++)
        ids[i] = world->next_id++;
    assert_true(world->next_id < IDS_MOST);
    (void)world_append(world, n, ids);
    free(ids);
}

/* Rows with these ids, which ascend, go; those from row `keep` on stay. */
static inline void world_hide(world_t *world, int64_t n, const int64_t *ids, int64_t keep) {
    shard_removal_t *removal = NULL;
    bool done = false;
    assert_ok(shard_removal_by_ids(world->shard, n, ids, &removal, &error), error);
    shard_removal_keep(removal, keep, shard_rows(world->shard) - keep);
    while (!done)
        assert_ok(shard_removal_step(removal, INT64_MAX, &done, &error), error);
    shard_removal_destroy(removal);
}

static inline void world_remove(world_t *world, int64_t n, const int64_t *ids) {
    world_hide(world, n, ids, shard_rows(world->shard));
    for (int64_t i = 0; i < n; i++) {
        world->living -= world->version[ids[i]] > 0;
        world->version[ids[i]] = -abs(world->version[ids[i]]);
    }
}

static inline void world_update(world_t *world, int64_t n, const int64_t *ids) {
    int64_t first = world_append(world, n, ids);
    world_hide(world, n, ids, first);
}

/* ---- saving and loading ---- */

static inline void world_content(const world_t *world, const shard_snapshot_t *snapshot, shard_content_t *content) {
    (void)world;
    *content = shard_content_of_snapshot(snapshot);
    snprintf(content->index, sizeof content->index, "wiki");
    content->servers = 1;
}

static inline dfaiss_status_t world_write(world_t *world, const shard_content_t *content, manifest_generation_t *generation, basis_t **next) {
    TRY(generation_write(world->storage, content, world->saved, &generation->parts[0], next, &error));
    generation->vectors = generation->parts[0].vectors;
    generation->buffered = generation->parts[0].buffered;
    return generation_commit(world->storage, "wiki", generation, &world->basis, KEEP_GENERATIONS, false, &error);
}

static inline void world_note(world_t *world, const manifest_generation_t *generation, basis_t *next) {
    const manifest_part_t *part = &generation->parts[0];
    basis_destroy(world->saved);
    world->saved = next;
    world->basis = (manifest_basis_t){generation->number, generation->number};
    manifest_clear_part(&world->part);
    assert_ok(manifest_copy_part(part, &world->part, &error), error);
    const manifest_file_t *last = &part->files[part->file_count - 1];
    world->written = manifest_file_generation(last) == generation->number ? last->bytes : 0;
}

/* As a server does it; what fails leaves the basis as it was. */
static inline dfaiss_status_t world_try_to_save(world_t *world) {
    manifest_generation_t generation = {.servers = 1, .next_id = world->next_id, .part_count = 1, .config = json_object()};
    shard_snapshot_t snapshot = {0};
    shard_content_t content;
    basis_t *next = NULL;
    bool named = false;
    generation.parts = calloc(1, sizeof *generation.parts);
    assert_non_null(generation.parts);
    assert_ok(shard_snapshot(world->shard, &snapshot, &error), error);
    world_content(world, &snapshot, &content);
    dfaiss_status_t status = generation_begin(world->storage, "wiki", &world->basis, false, &generation.number, &error);
    content.generation = generation.number;
    if (status == DFAISS_OK)
        status = world_write(world, &content, &generation, &next);
    if (status != DFAISS_OK && generation.number > 0)
        named = generation_abandon(world->storage, "wiki", generation.number, false, &named, NULL) == DFAISS_OK && named;
    if (status == DFAISS_OK || named)
        world_note(world, &generation, next);
    else
        basis_destroy(next);
    shard_snapshot_clear(&snapshot);
    manifest_clear_generation(&generation);
    return status;
}

static inline void world_save(world_t *world) {
    assert_ok(world_try_to_save(world), error);
}

/* The newest generation of the storage. */
static inline void world_read(const world_t *world, manifest_part_t *part, int64_t *number, shard_content_t *content) {
    manifest_t manifest = {0};
    assert_ok(manifest_read(world->storage, "wiki", &manifest, &error), error);
    const manifest_generation_t *newest = manifest_newest(&manifest);
    assert_ok(generation_read(world->storage, "wiki", newest->number, 0, 1, &newest->parts[0], content, &error), error);
    assert_ok(manifest_copy_part(&newest->parts[0], part, &error), error);
    *number = newest->number;
    manifest_clear(&manifest);
}

static inline shard_t *world_restore(shard_content_t *content) {
    shard_t *shard = NULL;
    shard_restored_t restored = shard_content_restored(content);
    assert_ok(shard_restore("wiki", &restored, 1000, 0, team, &shard, &error), error);
    *content = (shard_content_t){0};
    shard_set_keep_replaced(shard, 0);
    return shard;
}

/* A job ends and another one begins. */
static inline void world_load(world_t *world) {
    shard_content_t content;
    manifest_part_t part = {0};
    int64_t number = 0;
    world_read(world, &part, &number, &content);
    basis_destroy(world->saved);
    world->saved = NULL;
    assert_ok(basis_of_part(&content, number, &part, &world->saved, &error), error);
    assert_int_equal(basis_generation(world->saved), number);
    world->basis = (manifest_basis_t){number, number};
    shard_destroy(world->shard);
    world->shard = world_restore(&content);
    manifest_clear_part(&part);
}

static inline world_t *world_create(const char *config) {
    world_t *world = calloc(1, sizeof *world);
    assert_non_null(world);
    check_make_folder(world->storage, sizeof world->storage);
    world->shard = make_shard(config);
    shard_set_keep_replaced(world->shard, 0);
    return world;
}

static inline void world_destroy(world_t *world) {
    shard_destroy(world->shard);
    basis_destroy(world->saved);
    manifest_clear_part(&world->part);
    assert_ok(file_remove_tree(world->storage, &error), error);
    free(world);
}

/* ---- what must be there ---- */

static inline void world_check_row(const world_t *world, const shard_content_t *content, const shard_batch_t *batch, int64_t row, int *seen) {
    char expected[96];
    int64_t i = row - batch->first_row, id = shard_batch_id(batch, row), year = 0;
    assert_in_range(id, 0, world->next_id - 1);
    int version = world->version[id], length = world_metadata(id, version, expected);
    if (version <= 0 || seen[id]++)
        fail_msg("id %d is there, or twice: row %d", (int)id, (int)row);
    uint64_t begin = i > 0 ? batch->metadata_ends[i - 1] : 0;
    assert_int_equal(batch->metadata_ends[i] - begin, length);
    assert_memory_equal(batch->metadata + begin, expected, (size_t)length);
    attribute_array_read(content->attributes, attribute_schema_find(content->schema, "year"), ATTRIBUTE_ARRAY_VALUES, row, 1, &year);
    assert_int_equal(year, id * 100 + version);
}

/* A content that was read has what the model says, ids, metadata and attributes. */
static inline void world_check_rows(const world_t *world, const shard_content_t *content) {
    int *seen = calloc(IDS_MOST, sizeof *seen);
    int64_t living = 0;
    assert_non_null(seen);
    for (int64_t b = 0; b < content->batch_count; b++) {
        const shard_batch_t *batch = &content->batches[b];
        for (int64_t row = batch->first_row; row < batch->first_row + batch->n; row++) {
            if (content->living && !bitmap_get(content->living, row))
                continue;
            world_check_row(world, content, batch, row, seen);
            living++;
        }
    }
    assert_int_equal(living, world->living);
    free(seen);
}

/* Rows of living ids; of the others -1. */
static inline int64_t *world_rows_of_ids(const world_t *world, const shard_t *shard) {
    int64_t *rows = malloc(IDS_MOST * sizeof *rows);
    assert_non_null(rows);
    for (int64_t id = 0; id < IDS_MOST; id++)
        rows[id] = -1;
    for (int64_t row = 0; row < shard_rows(shard); row++) {
        int64_t id = 0;
        const uint8_t *metadata = NULL;
        size_t size = 0;
        if (shard_lives(shard, row) && shard_row(shard, row, &id, &metadata, &size) && world->version[id] > 0)
            rows[id] = row;
    }
    return rows;
}

/* The vectors of one shard are those of the other, as far as the kind gives them back; a waiting vector is there as it came. */
static inline void world_check_vectors(const world_t *world, shard_t *shard) {
    int64_t *rows = world_rows_of_ids(world, world->shard), *others = world_rows_of_ids(world, shard);
    for (int64_t id = 0; id < world->next_id; id++) {
        float vector[DIM], other[DIM];
        bool there = false, other_there = false;
        assert_int_equal(rows[id] < 0, others[id] < 0);
        if (rows[id] < 0)
            continue;
        if (shard_vector(world->shard, rows[id], vector, &there, &error) == DFAISS_ERR_UNSUPPORTED)
            break;
        assert_ok(shard_vector(shard, others[id], other, &other_there, &error), error);
        assert_true(there && other_there);
        assert_memory_equal(vector, other, sizeof vector);
    }
    free(rows);
    free(others);
}

static inline void world_search(shard_t *shard, const float *query, int64_t k, topk_t *hits) {
    const shard_question_t question = {.nq = 1, .dim = DIM, .queries = query, .k = k};
    shard_search_t *search = NULL;
    bool done = false;
    assert_ok(shard_search_create(shard, &question, &search, &error), error);
    while (!done)
        assert_ok(shard_search_step(search, INT64_MAX, &done, &error), error);
    shard_search_result(search, hits);
    shard_search_destroy(search);
}

/* Both find the same, but for what another way of scanning leaves in the last bits. */
static inline void world_check_answers(const world_t *world, shard_t *shard) {
    enum { K = 10, QUERIES = 8 };
    for (int query = 0; query < QUERIES; query++) {
        float vector[DIM];
        topk_t hits = make_hits(K), others = make_hits(K);
        world_vector(query * 7, 1, vector);
        world_search(world->shard, vector, K, &hits);
        world_search(shard, vector, K, &others);
        for (int i = 0; i < K; i++)
            assert_true(hits.ids[i] < 0 ? others.ids[i] < 0 : fabsf(hits.scores[i] - others.scores[i]) <= 1e-5f * (1 + fabsf(hits.scores[i])));
        free(hits.ids);
        free(others.ids);
    }
}

/* What the storage has now is what the shard has. */
static inline void world_check(const world_t *world, bool answers) {
    shard_content_t content;
    manifest_part_t part = {0};
    int64_t number = 0;
    world_read(world, &part, &number, &content);
    world_check_rows(world, &content);
    assert_int_equal(content.store ? engine_store_rows(content.store) : 0, part.files[part.file_count - 1].indexed);
    shard_t *shard = world_restore(&content);
    assert_int_equal(shard_living(shard) - shard_living_indexed(shard), part.buffered);
    world_check_vectors(world, shard);
    if (answers)
        world_check_answers(world, shard);
    shard_destroy(shard);
    manifest_clear_part(&part);
}

#endif
