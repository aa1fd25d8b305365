/* Stores and blocks of the fake engine. A block is a copy of the store's table of pieces, in which some pieces have grown or are new; linking swaps
 * the tables and then frees, piece by piece, what was replaced. */
#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"

enum { SEGMENT_ROWS = 128, CHECKSUM_BYTES = 16 };

struct engine_block {
    engine_store_t *store;
    fake_piece_t *pieces; /* the store's with the block's in them; once it is shown, those that it replaced */
    bool *fresh;          /* by piece: its memory is the block's own */
    int64_t count;
    int64_t old_count;
    fake_piece_t open; /* what becomes the store's */
    int64_t rows;
    int64_t built_before;
    int64_t cleaned;
    bool shown;
};

static void free_piece(fake_piece_t *piece) {
    free(piece->vectors);
    free(piece->rows);
    *piece = (fake_piece_t){0};
}

/* A piece of its own memory with what another holds. */
static fake_piece_t copy_piece(const engine_store_t *store, const fake_piece_t *from, int64_t capacity) {
    size_t dim = (size_t)store->template->dim;
    fake_piece_t piece = {.size = from->size, .capacity = capacity};
    piece.vectors = fake_engine_need(malloc((size_t)capacity * dim * sizeof *piece.vectors + 1));
    piece.rows = fake_engine_need(malloc((size_t)capacity * sizeof *piece.rows + 1));
    if (from->size > 0) {
        memcpy(piece.vectors, from->vectors, (size_t)from->size * dim * sizeof *piece.vectors);
        memcpy(piece.rows, from->rows, (size_t)from->size * sizeof *piece.rows);
    }
    return piece;
}

static void put_vector(const engine_store_t *store, fake_piece_t *piece, const float *vector, int64_t row) {
    size_t dim = (size_t)store->template->dim;
    memcpy(piece->vectors + (size_t)piece->size * dim, vector, dim * sizeof *vector);
    piece->rows[piece->size++] = row;
}

dfaiss_status_t engine_store_create(const engine_template_t *template, int64_t segment_rows, engine_store_t **out, dfaiss_error_t *err) {
    if (!template->trained)
        return error_set(err, DFAISS_ERR_STATE, "", "the index is not trained yet");
    engine_store_t *store = fake_engine_need(calloc(1, sizeof *store));
    store->template = (engine_template_t *)(uintptr_t) template; /* its users are counted */
    store->segment_rows = segment_rows ? segment_rows : SEGMENT_ROWS;
    store->count = template->lists;
    store->pieces = fake_engine_need(calloc((size_t)store->count + 1, sizeof *store->pieces));
    fake_template_use(store->template, 1);
    *out = store;
    return DFAISS_OK;
}

void engine_store_destroy(engine_store_t *store) {
    if (!store)
        return;
    if (store->has_block)
        fake_engine_abort("a store was destroyed before its block");
    for (int64_t i = 0; i < store->count; i++)
        free_piece(&store->pieces[i]);
    free_piece(&store->open);
    free(store->next_rows);
    free(store->pieces);
    fake_template_use(store->template, -1);
    free(store);
}

int64_t engine_store_rows(const engine_store_t *store) {
    return store->rows;
}

size_t engine_store_bytes(const engine_store_t *store) {
    return (size_t)store->rows * (size_t)store->template->dim * sizeof(float);
}

/* ---- building ---- */

static fake_piece_t *add_piece(engine_block_t *block, fake_piece_t piece) {
    size_t count = (size_t)block->count + 1;
    block->pieces = fake_engine_need(realloc(block->pieces, count * sizeof *block->pieces));
    block->fresh = fake_engine_need(realloc(block->fresh, count * sizeof *block->fresh));
    block->pieces[block->count] = piece;
    block->fresh[block->count] = true;
    return &block->pieces[block->count++];
}

static fake_piece_t *last_piece(const engine_block_t *block) {
    return block->count > 0 ? &block->pieces[block->count - 1] : NULL;
}

static void build_code(engine_block_t *block, const float *vector, int64_t row) {
    fake_piece_t *last = last_piece(block), none = {0};
    if (!last || last->size == last->capacity)
        last = add_piece(block, copy_piece(block->store, &none, block->store->segment_rows));
    put_vector(block->store, last, vector, row);
}

/* A list that is full moves to larger memory. The memory from before stays what searches read. */
static void build_list(engine_block_t *block, const float *vector, int64_t row) {
    int64_t list = fake_template_list(block->store->template, vector);
    fake_piece_t *piece = &block->pieces[list];
    if (piece->size == piece->capacity) {
        fake_piece_t grown = copy_piece(block->store, piece, piece->size + piece->size / 8 + 8);
        if (block->fresh[list])
            free_piece(piece);
        *piece = grown;
        block->fresh[list] = true;
    }
    put_vector(block->store, piece, vector, row);
}

static void seal_open(engine_block_t *block) {
    add_piece(block, block->open);
    block->open = (fake_piece_t){0};
}

static void build_graph(engine_block_t *block, const float *vector, int64_t row) {
    fake_piece_t none = {0};
    if (block->open.capacity == 0)
        block->open = copy_piece(block->store, &none, block->store->segment_rows);
    put_vector(block->store, &block->open, vector, row);
    if (block->open.size == block->store->segment_rows)
        seal_open(block);
}

static void build_opaque(engine_block_t *block, int64_t n, const float *vector, int64_t row) {
    fake_piece_t *last = last_piece(block), none = {0};
    if (block->count == block->old_count)
        last = add_piece(block, copy_piece(block->store, &none, n));
    put_vector(block->store, last, vector, row);
}

static void build(engine_block_t *block, int64_t first, int64_t n, const float *x, bool seal) {
    engine_class_t class = block->store->template->class;
    for (int64_t i = 0; i < n; i++) {
        const float *vector = x + i * block->store->template->dim;
        if (i == n / 2)
            fake_engine_rest();
        if (class == ENGINE_CODES)
            build_code(block, vector, first + i);
        else if (class == ENGINE_IVF)
            build_list(block, vector, first + i);
        else if (class == ENGINE_HNSW)
            build_graph(block, vector, first + i);
        else
            build_opaque(block, n, vector, first + i);
    }
    if (seal && block->open.size > 0)
        seal_open(block);
}

/* A block in which all is as it is in the store. */
static engine_block_t *begin_block(engine_store_t *store) {
    if (store->has_block)
        fake_engine_abort("a block is built before another was linked");
    engine_block_t *block = fake_engine_need(calloc(1, sizeof *block));
    size_t count = (size_t)store->count;
    block->store = store;
    block->built_before = store->built;
    block->count = block->old_count = store->count;
    block->pieces = fake_engine_need(malloc(count * sizeof *block->pieces + 1));
    block->fresh = fake_engine_need(calloc(count + 1, sizeof *block->fresh));
    memcpy(block->pieces, store->pieces, count * sizeof *block->pieces);
    if (store->open.capacity > 0)
        block->open = copy_piece(store, &store->open, store->open.capacity);
    store->has_block = true;
    return block;
}

dfaiss_status_t engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                   dfaiss_error_t *err) {
    (void)err;
    if (first != store->built || n < 0)
        fake_engine_abort("a block is not built behind the others");
    engine_block_t *block = begin_block(store);
    build(block, first, n, x, seal);
    store->built += n;
    block->rows = store->built - block->open.size - store->rows;
    *out = block;
    return DFAISS_OK;
}

/* ---- rows that are gone ---- */

static int64_t count_alive(const fake_piece_t *piece, const uint64_t *const *alive) {
    int64_t count = 0;
    for (int64_t i = 0; i < piece->size; i++)
        count += row_bits_get(alive, piece->rows[i]);
    return count;
}

static fake_piece_t copy_alive(const engine_store_t *store, const fake_piece_t *from, const uint64_t *const *alive) {
    fake_piece_t none = {0}, piece = copy_piece(store, &none, from->size);
    for (int64_t i = 0; i < from->size; i++) {
        if (i == from->size / 2)
            fake_engine_rest();
        if (row_bits_get(alive, from->rows[i]))
            put_vector(store, &piece, from->vectors + i * store->template->dim, from->rows[i]);
    }
    /* Full: what comes later goes elsewhere. */
    piece.capacity = piece.size;
    return piece;
}

/* One piece that holds a row which is gone is worth it. */
dfaiss_status_t engine_block_compact(engine_store_t *store, const uint64_t *const *alive, engine_block_t **out, dfaiss_error_t *err) {
    (void)err;
    int64_t i = 0;
    while (i < store->count && count_alive(&store->pieces[i], alive) == store->pieces[i].size)
        i++;
    *out = NULL;
    if (i == store->count || store->template->class == ENGINE_OPAQUE)
        return DFAISS_OK;
    engine_block_t *block = begin_block(store);
    block->pieces[i] = copy_alive(store, &store->pieces[i], alive);
    block->fresh[i] = true;
    *out = block;
    return DFAISS_OK;
}

int64_t engine_store_held(const engine_store_t *store) {
    int64_t held = 0;
    for (int64_t i = 0; i < store->count; i++)
        held += store->pieces[i].size;
    return held;
}

static const float *find_vector(const engine_store_t *store, int64_t row) {
    for (int64_t i = 0; i < store->count; i++)
        for (int64_t j = 0; j < store->pieces[i].size; j++)
            if (store->pieces[i].rows[j] == row)
                return store->pieces[i].vectors + j * store->template->dim;
    return NULL;
}

/* Takes some calls every time. */
dfaiss_status_t engine_store_locate(engine_store_t *store, int64_t deadline, bool *ready, dfaiss_error_t *err) {
    enum { CALLS = 3 };
    (void)deadline;
    (void)err;
    *ready = ++store->located % CALLS == 0;
    return DFAISS_OK;
}

dfaiss_status_t engine_store_reconstruct(engine_store_t *store, int64_t n, const int64_t *rows, float *out, dfaiss_error_t *err) {
    for (int64_t i = 0; i < n; i++) {
        const float *vector = find_vector(store, rows[i]);
        if (!vector)
            return error_set(err, DFAISS_ERR_ARG, "row", "there is no row %lld in the store", (long long)rows[i]);
        memcpy(out + i * store->template->dim, vector, (size_t)store->template->dim * sizeof *out);
    }
    return DFAISS_OK;
}

/* ---- linking ---- */

int64_t engine_block_rows(const engine_block_t *block) {
    return block->rows;
}

static void show(engine_store_t *store, engine_block_t *block) {
    fake_piece_t *replaced = store->pieces, open = store->open;
    store->pieces = block->pieces;
    store->count = block->count;
    store->open = block->open;
    store->rows += block->rows;
    store->links++;
    block->pieces = replaced;
    block->open = open;
    block->shown = true;
}

bool engine_block_link(engine_store_t *store, engine_block_t *block, int64_t deadline) {
    (void)deadline;
    if (block->store != store)
        fake_engine_abort("a block is linked into another store than it was built for");
    if (!block->shown) {
        show(store, block);
        return false;
    }
    if (block->cleaned < block->old_count) {
        if (block->fresh[block->cleaned])
            free_piece(&block->pieces[block->cleaned]);
        block->cleaned++;
        return false;
    }
    store->has_block = false;
    return true;
}

/* Replaced pieces that are not freed yet, or where it was not shown its own. */
static void free_pieces(engine_block_t *block) {
    int64_t end = block->shown ? block->old_count : block->count;
    for (int64_t i = block->cleaned; i < end; i++)
        if (block->fresh[i])
            free_piece(&block->pieces[i]);
}

void engine_block_destroy(engine_block_t *block) {
    if (!block)
        return;
    free_pieces(block);
    free_piece(&block->open);
    block->store->has_block = false;
    if (!block->shown)
        block->store->built = block->built_before;
    free(block->pieces);
    free(block->fresh);
    free(block);
}

/* ---- saving and restoring ---- */

/* Segments are the pieces that hold something. */
int64_t engine_store_segments(const engine_store_t *store) {
    int64_t count = 0;
    for (int64_t i = 0; store->template->class != ENGINE_IVF && i < store->count; i++)
        count += store->pieces[i].size > 0;
    return count;
}

static const fake_piece_t *segment_at(const engine_store_t *store, int64_t segment) {
    const fake_piece_t *piece = store->pieces;
    for (; piece->size == 0 || segment > 0; piece++)
        segment -= piece->size > 0;
    return piece;
}

void engine_store_segment(const engine_store_t *store, int64_t segment, int64_t *first, int64_t *rows) {
    *first = segment_at(store, segment)->rows[0];
    *rows = segment_at(store, segment)->size;
}

const int64_t *engine_store_segment_rows(const engine_store_t *store, int64_t segment) {
    const fake_piece_t *piece = segment_at(store, segment);
    return piece->rows[piece->size - 1] - piece->rows[0] == piece->size - 1 ? NULL : piece->rows;
}

const uint8_t *engine_store_segment_codes(const engine_store_t *store, int64_t segment) {
    return store->template->class == ENGINE_CODES ? (const uint8_t *)segment_at(store, segment)->vectors : NULL;
}

static size_t vector_bytes(const engine_store_t *store, int64_t n) {
    return (size_t)n * (size_t)store->template->dim * sizeof(float);
}

dfaiss_status_t engine_store_segment_write(const engine_store_t *store, int64_t segment, engine_sink_t *sink, void *context, dfaiss_error_t *err) {
    static const uint8_t checksum[CHECKSUM_BYTES];
    const fake_piece_t *piece = segment_at(store, segment);
    if (sink(context, piece->vectors, vector_bytes(store, piece->size)) && sink(context, checksum, sizeof checksum))
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_IO, "", "writing a segment was stopped");
}

void engine_store_list(const engine_store_t *store, int64_t list, int64_t *size, const uint8_t **codes, const int64_t **rows) {
    const fake_piece_t *piece = &store->pieces[list];
    *size = piece->size;
    *codes = (const uint8_t *)piece->vectors;
    *rows = piece->rows;
}

dfaiss_status_t engine_store_restore_rows(engine_store_t *store, int64_t n, const int64_t *rows, dfaiss_error_t *err) {
    (void)err;
    store->next_rows = fake_engine_need(realloc(store->next_rows, (size_t)n * sizeof *rows));
    memcpy(store->next_rows, rows, (size_t)n * sizeof *rows);
    return DFAISS_OK;
}

/* A piece behind the others whose rows follow theirs, or are those that were told. */
static fake_piece_t *restore_piece(engine_store_t *store, int64_t rows) {
    fake_piece_t none = {0};
    const fake_piece_t *last = store->count > 0 ? &store->pieces[store->count - 1] : NULL;
    int64_t first = last ? last->rows[last->size - 1] + 1 : 0;
    int64_t capacity = store->template->class == ENGINE_CODES && !store->next_rows && rows < store->segment_rows ? store->segment_rows : rows;
    store->pieces = fake_engine_need(realloc(store->pieces, ((size_t)store->count + 1) * sizeof *store->pieces));
    fake_piece_t *piece = &store->pieces[store->count++];
    *piece = copy_piece(store, &none, capacity);
    for (; piece->size < rows; piece->size++)
        piece->rows[piece->size] = store->next_rows ? store->next_rows[piece->size] : first + piece->size;
    free(store->next_rows);
    store->next_rows = NULL;
    return piece;
}

dfaiss_status_t engine_store_restore_segment(engine_store_t *store, int64_t rows, uint8_t **codes, dfaiss_error_t *err) {
    (void)err;
    *codes = (uint8_t *)restore_piece(store, rows)->vectors;
    return DFAISS_OK;
}

dfaiss_status_t engine_store_restore_list(engine_store_t *store, int64_t list, int64_t size, uint8_t **codes, int64_t **rows, dfaiss_error_t *err) {
    (void)err;
    fake_piece_t *piece = &store->pieces[list], none = {0};
    *piece = copy_piece(store, &none, size);
    piece->size = size;
    *codes = (uint8_t *)piece->vectors;
    *rows = piece->rows;
    return DFAISS_OK;
}

/* Its graphs are not cut. */
dfaiss_status_t engine_graph_codes(const engine_template_t *template, int64_t rows, size_t size, engine_graph_codes_t *out, dfaiss_error_t *err) {
    (void)template;
    (void)rows;
    (void)size;
    (void)out;
    return error_set(err, DFAISS_ERR_UNSUPPORTED, "segment", "segments of the fake engine have no codes");
}

dfaiss_status_t engine_decode(const engine_template_t *template, int64_t n, const uint8_t *codes, float *out, dfaiss_error_t *err) {
    (void)template;
    (void)n;
    (void)codes;
    (void)out;
    return error_set(err, DFAISS_ERR_UNSUPPORTED, "segment", "segments of the fake engine have no codes");
}

dfaiss_status_t engine_store_restore_blob(engine_store_t *store, const void *bytes, size_t size, int64_t rows, dfaiss_error_t *err) {
    if (size != vector_bytes(store, rows) + CHECKSUM_BYTES)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segment", "a segment of %lld vectors has %zu bytes", (long long)rows, size);
    memcpy(restore_piece(store, rows)->vectors, bytes, vector_bytes(store, rows));
    return DFAISS_OK;
}

dfaiss_status_t engine_store_restore_end(engine_store_t *store, int64_t rows, const uint64_t *const *alive, dfaiss_error_t *err) {
    bool *seen = fake_engine_need(calloc((size_t)rows + 1, sizeof *seen)), valid = true;
    for (int64_t i = 0; i < store->count; i++) {
        const fake_piece_t *piece = &store->pieces[i];
        for (int64_t j = 0; valid && j < piece->size; j++) {
            int64_t row = piece->rows[j];
            valid = row >= 0 && row < rows && !seen[row];
            if (valid)
                seen[row] = true;
        }
    }
    for (int64_t row = 0; row < rows; row++)
        valid = valid && (seen[row] || (alive && !row_bits_get(alive, row)));
    free(seen);
    if (!valid)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "rows", "the parts of a store do not hold rows 0 to %lld once each", (long long)rows - 1);
    store->rows = store->built = rows;
    return DFAISS_OK;
}
