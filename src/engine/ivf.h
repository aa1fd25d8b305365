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

typedef struct ivf_parts {
    ivf_list_t *lists;
    int64_t count;
    int64_t held; /* rows in all of them */
    size_t code_size;
    int32_t *list_of;   /* of a row, -1: dropped; made when it is first asked for */
    int64_t listed;     /* rows that list_of knows */
    int64_t list_room;  /* and has room for */
    int64_t compacted;  /* the builder's: the list with which dropping rows goes on */
    int64_t *change_of; /* the builder's: the block's change of a list, -1 where there is none */
} ivf_parts_t;

static inline int64_t *ivf_rows(const ivf_memory_t *memory) {
    return (int64_t *)(void *)memory->data;
}

static inline uint8_t *ivf_codes(const ivf_memory_t *memory) {
    return memory->data + ((size_t)memory->capacity * sizeof(int64_t) + 63) / 64 * 64;
}

CHECKED dfaiss_status_t ivf_search(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err);

#endif
