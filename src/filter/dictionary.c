#include "filter/dictionary.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

enum { FEWEST_SLOTS = 64, DOUBLED_TO = 4096, MOST_SLOTS = 1 << 17, FEWEST_STRINGS = 32, FEWEST_BYTES = 512 };

void dictionary_clear(dictionary_t *dictionary) {
    free(dictionary->ends);
    free(dictionary->bytes);
    free(dictionary->slots);
    *dictionary = (dictionary_t){0};
}

const uint8_t *dictionary_get(const dictionary_t *dictionary, uint32_t code, size_t *size) {
    uint64_t begin = code ? dictionary->ends[code - 1] : 0;
    *size = (size_t)(dictionary->ends[code] - begin);
    return dictionary->bytes + begin;
}

bool dictionary_reserve(dictionary_t *dictionary, uint32_t count, size_t bytes) {
    if (count > dictionary->capacity) {
        uint64_t *ends = realloc(dictionary->ends, count * sizeof *ends);
        if (!ends)
            return false;
        dictionary->ends = ends;
        dictionary->capacity = count;
    }
    if (bytes > dictionary->byte_capacity) {
        uint8_t *grown = realloc(dictionary->bytes, bytes);
        if (!grown)
            return false;
        dictionary->bytes = grown;
        dictionary->byte_capacity = bytes;
    }
    return true;
}

/* Room for one more string of `size` bytes, and for as many again as there are. */
static bool make_room(dictionary_t *dictionary, size_t size) {
    uint32_t count = dictionary->capacity;
    size_t used = dictionary_string_bytes(dictionary), bytes = dictionary->byte_capacity;
    if (dictionary->count == count)
        count = count ? count * 2 : FEWEST_STRINGS;
    if (!dictionary->bytes || bytes - used < size)
        bytes = used + size > bytes / 2 * 3 ? used + size + FEWEST_BYTES : bytes / 2 * 3;
    return dictionary_reserve(dictionary, count, bytes);
}

/* ---- the hash table: linear probing, at most three quarters full ---- */

static uint64_t hash_of(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

/* The slot that holds the string, or the free one where it belongs. */
static uint32_t find_slot(const dictionary_t *dictionary, const void *data, size_t size) {
    uint32_t mask = dictionary->slot_count - 1, slot = (uint32_t)hash_of(data, size) & mask;
    for (; dictionary->slots[slot]; slot = (slot + 1) & mask) {
        size_t there_size;
        const uint8_t *there = dictionary_get(dictionary, dictionary->slots[slot] - 1, &there_size);
        if (there_size == size && memcmp(there, data, size) == 0)
            break;
    }
    return slot;
}

/* The slot that holds this code, or the free one where it belongs. Equal strings, which only a file can hold, have a slot each. */
static uint32_t slot_of_code(const dictionary_t *dictionary, const uint32_t *slots, uint32_t slot_count, uint32_t code) {
    size_t size;
    const uint8_t *data = dictionary_get(dictionary, code, &size);
    uint32_t mask = slot_count - 1, slot = (uint32_t)hash_of(data, size) & mask;
    while (slots[slot] && slots[slot] != code + 1)
        slot = (slot + 1) & mask;
    return slot;
}

static bool rehash(dictionary_t *dictionary, uint32_t slot_count) {
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t code = 0; code < dictionary->count; code++)
        slots[slot_of_code(dictionary, slots, slot_count, code)] = code + 1;
    free(dictionary->slots);
    dictionary->slots = slots;
    dictionary->slot_count = slot_count;
    return true;
}

/* Beyond a few thousand strings the table gets its final size at once: hashing ever more of them anew would hold up a search. */
bool dictionary_index(dictionary_t *dictionary) {
    uint32_t slot_count = FEWEST_SLOTS;
    while (dictionary->count >= slot_count / 4 * 3)
        slot_count *= slot_count < DOUBLED_TO ? 2 : MOST_SLOTS / DOUBLED_TO;
    return rehash(dictionary, slot_count);
}

bool dictionary_put(dictionary_t *dictionary, const void *data, size_t size, uint32_t *code) {
    if ((!dictionary->slots || dictionary->count >= dictionary->slot_count / 4 * 3) && !dictionary_index(dictionary))
        return false;
    uint32_t slot = find_slot(dictionary, data, size);
    if (dictionary->slots[slot]) {
        *code = dictionary->slots[slot] - 1;
        return true;
    }
    if (!make_room(dictionary, size))
        return false;
    size_t used = dictionary_string_bytes(dictionary);
    memcpy(dictionary->bytes + used, data, size);
    dictionary->ends[dictionary->count] = used + size;
    *code = dictionary->count++;
    dictionary->slots[slot] = *code + 1;
    return true;
}

/* The string that came last can leave its slot empty: no other one was put behind it. */
void dictionary_shrink(dictionary_t *dictionary, uint32_t count) {
    while (dictionary->count > count) {
        uint32_t last = dictionary->count - 1;
        if (dictionary->slots)
            dictionary->slots[slot_of_code(dictionary, dictionary->slots, dictionary->slot_count, last)] = 0;
        dictionary->count = last;
    }
}

void dictionary_seal(dictionary_t *dictionary) {
    size_t bytes = dictionary_string_bytes(dictionary);
    free(dictionary->slots);
    dictionary->slots = NULL;
    dictionary->slot_count = 0;
    if (dictionary->count == 0) {
        dictionary_clear(dictionary);
        return;
    }
    uint64_t *ends = realloc(dictionary->ends, dictionary->count * sizeof *ends);
    uint8_t *kept = realloc(dictionary->bytes, bytes ? bytes : 1);
    if (ends) {
        dictionary->ends = ends;
        dictionary->capacity = dictionary->count;
    }
    if (kept) {
        dictionary->bytes = kept;
        dictionary->byte_capacity = bytes ? bytes : 1;
    }
}

bool dictionary_copy(const dictionary_t *from, dictionary_t *to) {
    size_t bytes = dictionary_string_bytes(from);
    if (from->count == 0)
        return true;
    if (!dictionary_reserve(to, from->count, bytes ? bytes : 1))
        return false;
    memcpy(to->ends, from->ends, from->count * sizeof *to->ends);
    memcpy(to->bytes, from->bytes, bytes);
    to->count = from->count;
    return true;
}

size_t dictionary_memory(const dictionary_t *dictionary) {
    return dictionary->capacity * sizeof *dictionary->ends + dictionary->byte_capacity + dictionary->slot_count * sizeof *dictionary->slots;
}
