/* Damerau's distance with neighbours exchanged counted as one slip, over names short enough for three rows on the stack. */
#include "cli/nearest.h"

#include <string.h>

enum { LONGEST = 40 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Letters to insert, remove, replace or exchange; both words have at most LONGEST letters. */
static size_t edit_distance(const char *a, const char *b) {
    size_t rows[3][LONGEST + 1];
    size_t a_length = strlen(a), b_length = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            now[j] = smaller(smaller(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = smaller(now[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b_length];
}

void nearest_offer(nearest_t *nearest, const char *name) {
    size_t length = strlen(nearest->word);
    if (length > LONGEST || strlen(name) > LONGEST)
        return;
    size_t distance = edit_distance(nearest->word, name);
    /* Farther than a third of the word would be a guess. */
    if (distance > smaller(3, 1 + length / 3) || (nearest->name && distance >= nearest->distance))
        return;
    nearest->name = name;
    nearest->distance = distance;
}
