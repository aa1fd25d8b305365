/* The different strings of one column in one block of rows, numbered in the order in which they first came. Of this room alone. */
#ifndef FILTER_DICTIONARY_H
#define FILTER_DICTIONARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dictionary {
    uint32_t count;
    uint32_t capacity;    /* of ends */
    uint64_t *ends;       /* uint64_t[count]: where each string ends in bytes; owned */
    uint8_t *bytes;       /* owned */
    size_t byte_capacity; /* of bytes */
    uint32_t *slots;      /* hash table of codes + 1, 0: free; NULL: nothing is looked up or added any more; owned */
    uint32_t slot_count;  /* 0 or a power of two */
} dictionary_t;

void dictionary_clear(dictionary_t *dictionary);

/* The code of a string, which is added where it is new. False: no memory, nothing has changed. */
bool dictionary_put(dictionary_t *dictionary, const void *data, size_t size, uint32_t *code);

/* Makes room for so many strings with so many bytes in all. False: no memory, nothing has changed. */
bool dictionary_reserve(dictionary_t *dictionary, uint32_t count, size_t bytes);

/* A string that is there: its bytes (borrowed until the next put) and their number. */
const uint8_t *dictionary_get(const dictionary_t *dictionary, uint32_t code, size_t *size);

static inline size_t dictionary_string_bytes(const dictionary_t *dictionary) {
    return dictionary->count ? (size_t)dictionary->ends[dictionary->count - 1] : 0;
}

/* Drops the strings from code `count` on. */
void dictionary_shrink(dictionary_t *dictionary, uint32_t count);

/* Makes the hash table for strings that came without one. False: no memory. */
bool dictionary_index(dictionary_t *dictionary);

/* Gives back the hash table and the spare room: nothing will be added. */
void dictionary_seal(dictionary_t *dictionary);

/* Copies the strings, without spare room or hash table, into an empty dictionary. False: no memory; `to` is to be cleared. */
bool dictionary_copy(const dictionary_t *from, dictionary_t *to);

/* Bytes allocated. */
size_t dictionary_memory(const dictionary_t *dictionary);

#endif
