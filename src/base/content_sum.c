#include "base/content_sum.h"

#include <endian.h>
#include <string.h>

enum { WORD = 8 };

/* Whole words from a place that is a multiple of WORD. */
static content_sum_t sum_words(uint64_t first, const uint8_t *bytes, size_t words) {
    content_sum_t sum = {0};
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * WORD, sizeof word);
        word = le64toh(word);
        sum.words += word;
        sum.weighted += (first + i + 1) * word;
    }
    return sum;
}

/* Less than a word, the other bytes of which count as zero. */
static content_sum_t sum_part(uint64_t offset, const uint8_t *bytes, size_t size) {
    uint8_t word[WORD] = {0};
    if (size == 0)
        return (content_sum_t){0};
    memcpy(word + offset % WORD, bytes, size);
    return sum_words(offset / WORD, word, 1);
}

static content_sum_t sum_all(uint64_t offset, const void *data, size_t size) {
    const uint8_t *bytes = data;
    size_t head = (WORD - offset % WORD) % WORD;
    head = head < size ? head : size;
    size_t words = (size - head) / WORD, tail = head + words * WORD;
    const content_sum_t parts[] = {sum_part(offset, bytes, head), sum_words((offset + head) / WORD, bytes + head, words),
                                   sum_part(offset + tail, bytes + tail, size - tail)};
    content_sum_t sum = {0};
    for (int i = 0; i < 3; i++) {
        sum.words += parts[i].words;
        sum.weighted += parts[i].weighted;
    }
    return sum;
}

void content_sum_add(content_sum_t *sum, uint64_t offset, const void *bytes, size_t size) {
    content_sum_t more = sum_all(offset, bytes, size);
    sum->words += more.words;
    sum->weighted += more.weighted;
}

void content_sum_remove(content_sum_t *sum, uint64_t offset, const void *bytes, size_t size) {
    content_sum_t less = sum_all(offset, bytes, size);
    sum->words -= less.words;
    sum->weighted -= less.weighted;
}

bool content_sum_equal(const content_sum_t *one, const content_sum_t *other) {
    return one->words == other->words && one->weighted == other->weighted;
}
