/* In which inverted list a row lies. Lists know their rows, and nobody else does; who wants vectors back asks by row. So a map is made when that is
 * first asked, in slices, and rows that are linked later are put into it at once.
 */
#include <string.h>

#include "base/bisect.h"
#include "base/clock.h"
#include "engine/ivf.h"

enum {
    BLOCK_ROWS = 1 << 16,
    ROWS_A_LOOK = 8192, /* between two looks at the clock */
    LISTS_A_LOOK = 256,
};

void ivf_rows_free(ivf_located_t *located) {
    for (int64_t i = 0; i < located->count; i++)
        memory_unmap(located->blocks[i], BLOCK_ROWS * sizeof **located->blocks);
    free(located->blocks);
    *located = (ivf_located_t){.blocks = NULL};
}

size_t ivf_rows_bytes(const ivf_located_t *located) {
    size_t bytes = (size_t)located->count * sizeof *located->blocks;
    for (int64_t i = 0; i < located->count; i++)
        bytes += located->blocks[i] ? BLOCK_ROWS * sizeof **located->blocks : 0;
    return bytes;
}

bool ivf_rows_are_located(const engine_store_t *store) {
    const ivf_located_t *located = &((const ivf_parts_t *)store->parts)->located;
    return located->rows > 0 && located->rows == store->rows;
}

/* ---- putting rows in ---- */

static bool have_room(ivf_located_t *located, int64_t rows) {
    int64_t count = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    if (count <= located->count)
        return true;
    int32_t **blocks = realloc(located->blocks, (size_t)count * sizeof *blocks);
    if (!blocks)
        return false;
    memset(blocks + located->count, 0, (size_t)(count - located->count) * sizeof *blocks);
    located->blocks = blocks;
    located->count = count;
    return true;
}

/* There is room for the row. */
static bool put_row(ivf_located_t *located, int64_t row, int64_t list) {
    int32_t **block = &located->blocks[row / BLOCK_ROWS];
    if (!*block)
        *block = memory_map(BLOCK_ROWS * sizeof **block);
    if (!*block)
        return false;
    (*block)[row % BLOCK_ROWS] = (int32_t)list;
    return true;
}

bool ivf_rows_put(ivf_located_t *located, int64_t number, const ivf_list_t *list, int64_t place) {
    if (place == list->size)
        return true;
    const int64_t *rows = ivf_rows(&list->memory);
    if (!have_room(located, rows[list->size - 1] + 1))
        return false;
    for (; place < list->size; place++) {
        if (!put_row(located, rows[place], number))
            return false;
    }
    return true;
}

/* ---- finding them ---- */

/* The place of the first row of a list that is not below `row`. */
static int64_t place_of(const ivf_list_t *list, int64_t row) {
    return list->size ? bisect_place(ivf_rows(&list->memory), list->size, row) : 0;
}

/* Puts in some rows of the list where it goes on, which may have changed since. */
static bool put_some(ivf_located_t *located, const ivf_parts_t *parts) {
    const ivf_list_t *list = &parts->lists[located->list];
    const int64_t *rows = list->size ? ivf_rows(&list->memory) : NULL;
    int64_t place = place_of(list, located->row), last = list->size - place < ROWS_A_LOOK ? list->size : place + ROWS_A_LOOK;
    for (; place < last && rows[place] < located->target; place++) {
        if (!put_row(located, rows[place], located->list))
            return false;
    }
    bool all = place == list->size || rows[place] >= located->target;
    located->list += all;
    located->row = all ? located->rows : rows[place];
    return true;
}

dfaiss_status_t ivf_locate(engine_store_t *store, int64_t deadline, bool *ready, dfaiss_error_t *err) {
    const ivf_parts_t *parts = store->parts;
    ivf_located_t *located = &((ivf_parts_t *)store->parts)->located;
    for (int64_t looked = 1; located->rows < store->rows; looked++) {
        if (located->target == located->rows) {
            located->target = store->rows;
            located->list = 0;
            located->row = located->rows;
        }
        if (!have_room(located, located->target) || !put_some(located, parts))
            return error_memory(err, BLOCK_ROWS * sizeof **located->blocks, "where rows lie in inverted lists");
        if (located->list == parts->count)
            located->rows = located->target;
        bool long_ago = looked % LISTS_A_LOOK == 0 || (located->list < parts->count && located->row > located->rows);
        if (long_ago && clock_nanoseconds() >= deadline)
            break;
    }
    *ready = located->rows == store->rows;
    return DFAISS_OK;
}

dfaiss_status_t ivf_find_code(engine_store_t *store, int64_t row, const uint8_t **code, int64_t *list, dfaiss_error_t *err) {
    const ivf_parts_t *parts = store->parts;
    const int32_t *block = parts->located.blocks[row / BLOCK_ROWS];
    (void)err;
    *code = NULL;
    *list = block ? block[row % BLOCK_ROWS] : 0;
    const ivf_list_t *holder = &parts->lists[*list];
    int64_t place = place_of(holder, row);
    if (place < holder->size && ivf_rows(&holder->memory)[place] == row)
        *code = ivf_codes(&holder->memory) + (size_t)place * parts->code_size;
    return DFAISS_OK;
}
