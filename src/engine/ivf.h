/* Inside the engine room: inverted lists of our own. */
#ifndef ENGINE_IVF_H
#define ENGINE_IVF_H

#include "engine/store.h"

/* One piece of memory: rows int64_t[capacity] (rounded up to 64 bytes), then codes uint8_t[capacity][code_size]. */
typedef struct ivf_memory {
    uint8_t *data;
    int64_t capacity;
    bool mapped; /* from memory_map, else from the heap */
} ivf_memory_t;

typedef struct ivf_list {
    ivf_memory_t memory;
    int64_t size;
} ivf_list_t;

/* In which list rows lie: four bytes a row, made when it is first asked for. A row that was dropped is where it was, and is not found there. */
typedef struct ivf_located {
    int32_t **blocks; /* the list of each row; NULL: of none of them yet */
    int64_t count;
    int64_t rows; /* that it knows */
    /* While it learns of more: */
    int64_t target; /* rows that it will know */
    int64_t list;   /* where it goes on */
    int64_t row;    /* from which row on there */
} ivf_located_t;

typedef struct ivf_parts {
    ivf_list_t *lists;
    int64_t count;
    int64_t held; /* rows in all of them */
    size_t code_size;
    ivf_located_t located;
    int64_t compacted;  /* the builder's: the list with which dropping rows goes on */
    int64_t *change_of; /* the builder's: the block's change of a list, -1 where there is none */
} ivf_parts_t;

static inline int64_t *ivf_rows(const ivf_memory_t *memory) {
    return (int64_t *)(void *)memory->data;
}

static inline uint8_t *ivf_codes(const ivf_memory_t *memory) {
    return memory->data + ((size_t)memory->capacity * sizeof(int64_t) + 63) / 64 * 64;
}

void ivf_rows_free(ivf_located_t *located);
size_t ivf_rows_bytes(const ivf_located_t *located);
/* All rows of the store are located, since somebody has asked. */
bool ivf_rows_are_located(const engine_store_t *store);
/* The rows of a list from a place on are there. False: no memory. */
CHECKED bool ivf_rows_put(ivf_located_t *located, int64_t number, const ivf_list_t *list, int64_t place);
CHECKED dfaiss_status_t ivf_locate(engine_store_t *store, int64_t deadline, bool *ready, dfaiss_error_t *err);
CHECKED dfaiss_status_t ivf_find_code(engine_store_t *store, int64_t row, const uint8_t **code, int64_t *list, dfaiss_error_t *err);

CHECKED dfaiss_status_t ivf_search(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err);

#endif
