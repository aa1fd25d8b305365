#include "config/edit_distance.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

enum { NAME_LIMIT = 64 }; /* what lies beyond it adds nothing to the comparison */

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

unsigned edit_distance(const char *from, const char *to) {
    size_t rows = strnlen(from, NAME_LIMIT), columns = strnlen(to, NAME_LIMIT);
    unsigned distance[NAME_LIMIT + 1][NAME_LIMIT + 1];
    for (size_t i = 0; i <= rows; i++) {
        for (size_t j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                distance[i][j] = (unsigned)(i + j);
                continue;
            }
            int a = tolower((unsigned char)from[i - 1]), b = tolower((unsigned char)to[j - 1]);
            distance[i][j] = least(least(distance[i - 1][j], distance[i][j - 1]) + 1, distance[i - 1][j - 1] + (a == b ? 0 : 2));
            if (i > 1 && j > 1 && a == tolower((unsigned char)to[j - 2]) && b == tolower((unsigned char)from[i - 2]))
                distance[i][j] = least(distance[i][j], distance[i - 2][j - 2] + 1);
        }
    }
    return distance[rows][columns];
}
