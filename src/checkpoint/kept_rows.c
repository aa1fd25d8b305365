#include "checkpoint/kept_rows.h"

#include <stdlib.h>

#include "base/bisect.h"
#include "checkpoint/shard_file.h"

enum { WORTH_PART = 2 }; /* one row in so many is left out at least: what it takes is small beside a vector */

/* ---- which rows ---- */

static void keep_rows(bitmap_t *bits, const int64_t *rows, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        bitmap_set(bits, rows[i], true);
}

static void keep_lists(bitmap_t *bits, const engine_store_t *store, int64_t lists) {
    for (int64_t list = 0; list < lists; list++) {
        int64_t size = 0;
        const uint8_t *codes = NULL;
        const int64_t *rows = NULL;
        engine_store_list(store, list, &size, &codes, &rows);
        keep_rows(bits, rows, size);
    }
}

static void keep_segments(bitmap_t *bits, const engine_store_t *store) {
    for (int64_t segment = 0; segment < engine_store_segments(store); segment++) {
        const int64_t *rows = engine_store_segment_rows(store, segment);
        int64_t first = 0, count = 0;
        engine_store_segment(store, segment, &first, &count);
        if (rows)
            keep_rows(bits, rows, count);
        for (int64_t row = first; !rows && row < first + count; row++)
            bitmap_set(bits, row, true);
    }
}

static void keep_waiting(bitmap_t *bits, const bitmap_t *living, int64_t indexed) {
    for (int64_t row = indexed; row < living->rows; row++)
        bitmap_set(bits, row, bitmap_get(living, row));
}

static bool number_rows(kept_rows_t *kept) {
    int64_t words = (kept->bits->rows + 63) / 64, before = 0;
    kept->before = malloc((size_t)words * sizeof *kept->before);
    for (int64_t word = 0; kept->before && word < words; word++) {
        kept->before[word] = before;
        before += __builtin_popcountll(bitmap_word(kept->bits, word));
    }
    return kept->before != NULL;
}

void kept_rows_make(const shard_content_t *content, kept_rows_t *out) {
    int64_t indexed = shard_content_indexed(content), held = content->store ? engine_store_held(content->store) : 0;
    *out = (kept_rows_t){.rows = content->rows, .indexed = indexed, .held = held};
    int64_t kept = content->living ? held + bitmap_count(content->living, indexed, content->rows) : content->rows;
    if ((content->rows - kept) * WORTH_PART < content->rows || kept == content->rows)
        return;
    kept_rows_t made = {.bits = bitmap_create(content->rows, false), .rows = kept, .indexed = held, .held = held};
    if (!made.bits)
        return;
    if (content->store && engine_template_class(content->template) == ENGINE_IVF)
        keep_lists(made.bits, content->store, engine_template_lists(content->template));
    else if (content->store)
        keep_segments(made.bits, content->store);
    keep_waiting(made.bits, content->living, indexed);
    if (number_rows(&made))
        *out = made;
    else
        kept_rows_clear(&made);
}

/* ---- rows behind those of earlier files ---- */

int64_t kept_rows_place(const kept_rows_t *kept, const int64_t *rows, int64_t count) {
    return kept->follows ? bisect_place(rows, count, kept->start.indexed) : 0;
}

int64_t kept_rows_segment(const kept_rows_t *kept, const engine_store_t *store, int64_t segment) {
    const int64_t *rows = engine_store_segment_rows(store, segment);
    int64_t first = 0, count = 0;
    engine_store_segment(store, segment, &first, &count);
    if (rows)
        return kept_rows_place(kept, rows, count);
    int64_t place = kept->follows ? kept->start.indexed - first : 0;
    return place < 0 ? 0 : place < count ? place : count;
}

static int64_t count_lists(const kept_rows_t *kept, const engine_store_t *store, int64_t lists) {
    int64_t held = 0;
    for (int64_t list = 0; list < lists; list++) {
        int64_t size = 0;
        const uint8_t *codes = NULL;
        const int64_t *rows = NULL;
        engine_store_list(store, list, &size, &codes, &rows);
        held += size - kept_rows_place(kept, rows, size);
    }
    return held;
}

static int64_t count_segments(const kept_rows_t *kept, const engine_store_t *store) {
    int64_t held = 0;
    for (int64_t segment = 0; segment < engine_store_segments(store); segment++) {
        int64_t first = 0, count = 0;
        engine_store_segment(store, segment, &first, &count);
        held += count - kept_rows_segment(kept, store, segment);
    }
    return held;
}

static int64_t count_held(const kept_rows_t *kept, const shard_content_t *content) {
    if (!content->store)
        return 0;
    if (engine_template_class(content->template) == ENGINE_IVF)
        return count_lists(kept, content->store, engine_template_lists(content->template));
    return count_segments(kept, content->store);
}

/* Rows that were gone while they waited have no numbers where most rows had gone; they are indexed all the same when their turn comes. */
static bool all_numbered(const kept_rows_t *kept, const int64_t *rows, int64_t count) {
    for (int64_t i = kept_rows_place(kept, rows, count); i < count; i++)
        if (!bitmap_get(kept->bits, rows[i]))
            return false;
    return true;
}

static bool lists_are_numbered(const kept_rows_t *kept, const engine_store_t *store, int64_t lists) {
    bool numbered = true;
    for (int64_t list = 0; numbered && list < lists; list++) {
        int64_t size = 0;
        const uint8_t *codes = NULL;
        const int64_t *rows = NULL;
        engine_store_list(store, list, &size, &codes, &rows);
        numbered = all_numbered(kept, rows, size);
    }
    return numbered;
}

static bool segments_are_numbered(const kept_rows_t *kept, const engine_store_t *store) {
    bool numbered = true;
    for (int64_t segment = 0; numbered && segment < engine_store_segments(store); segment++) {
        const int64_t *rows = engine_store_segment_rows(store, segment);
        int64_t first = 0, count = 0, place = kept_rows_segment(kept, store, segment);
        engine_store_segment(store, segment, &first, &count);
        numbered = rows ? all_numbered(kept, rows, count) : bitmap_count(kept->bits, first + place, first + count) == count - place;
    }
    return numbered;
}

static bool is_numbered(const kept_rows_t *kept, const shard_content_t *content) {
    if (!kept->bits || !content->store)
        return true;
    if (engine_template_class(content->template) == ENGINE_IVF)
        return lists_are_numbered(kept, content->store, engine_template_lists(content->template));
    return segments_are_numbered(kept, content->store);
}

static bool extend_bits(kept_rows_t *kept, const bitmap_t *bits, int64_t rows) {
    kept->bits = bitmap_copy(bits);
    if (!kept->bits || !bitmap_reserve(&kept->bits, rows))
        return false;
    bitmap_extend(kept->bits, rows, true);
    return number_rows(kept);
}

bool kept_rows_follow(const shard_content_t *content, const bitmap_t *bits, const kept_start_t *start, kept_rows_t *out) {
    kept_rows_t made = {.follows = true, .start = *start};
    if (bits && (!extend_bits(&made, bits, content->rows) || !is_numbered(&made, content))) {
        kept_rows_clear(&made);
        return false;
    }
    made.rows = kept_rows_count(&made, 0, content->rows);
    made.indexed = kept_rows_count(&made, 0, shard_content_indexed(content));
    made.first_row = kept_rows_count(&made, 0, start->row);
    made.first_indexed = kept_rows_count(&made, 0, start->indexed);
    made.held = count_held(&made, content);
    *out = made;
    return true;
}

void kept_rows_clear(kept_rows_t *kept) {
    bitmap_release(kept->bits);
    free(kept->before);
    *kept = (kept_rows_t){0};
}

/* ---- numbers ---- */

int64_t kept_rows_count(const kept_rows_t *kept, int64_t first, int64_t end) {
    return kept->bits ? bitmap_count(kept->bits, first, end) : end - first;
}

int64_t kept_rows_number(const kept_rows_t *kept, int64_t row) {
    if (!kept->bits)
        return row;
    if (row >= kept->bits->rows)
        return kept->rows;
    uint64_t below = bitmap_word(kept->bits, row / 64) & (((uint64_t)1 << (row % 64)) - 1);
    return kept->before[row / 64] + __builtin_popcountll(below);
}
