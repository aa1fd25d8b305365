/* Rows that updates have replaced. A search may have found one before, and asks for its metadata after; so they keep them for a while. They are
 * remembered in two lists that take turns: those of now, and those of before, which are let go of when the others have become as old.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "shard/removal.h"
#include "shard/shard_internal.h"

enum { LOOSENED_AT_ONCE = 2048 };

void shard_set_keep_replaced(shard_t *shard, int64_t nanoseconds) {
    shard->keep_replaced = nanoseconds;
}

static bool list_row(row_list_t *list, int64_t row) {
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity * 2 + 64;
        int64_t *rows = realloc(list->rows, (size_t)capacity * sizeof *rows);
        if (!rows)
            return false;
        list->rows = rows;
        list->capacity = capacity;
    }
    list->rows[list->count++] = row;
    return true;
}

bool shard_keep_replaced(shard_t *shard, int64_t row) {
    int64_t rows = shard->rows.rows;
    if (!shard->kept)
        shard->kept = bitmap_create_shared(rows, false);
    if (!shard->kept || !bitmap_reserve(&shard->kept, rows) || !bitmap_own(&shard->kept, row) || !list_row(&shard->replaced[0], row))
        return false;
    bitmap_extend(shard->kept, rows, false);
    bitmap_set(shard->kept, row, true);
    if (shard->replaced[0].count == 1)
        shard->replaced_since = clock_nanoseconds();
    return true;
}

/* The list of now becomes that of before, which is empty. */
static void turn(shard_t *shard) {
    row_list_t empty = shard->replaced[1];
    shard->replaced[1] = shard->replaced[0];
    shard->replaced[0] = empty;
    shard->replaced_since = clock_nanoseconds();
}

void shard_loosen_replaced(shard_t *shard) {
    row_list_t *before = &shard->replaced[1];
    if ((shard->replaced[0].count == 0 && before->count == 0) || clock_nanoseconds() - shard->replaced_since < shard->keep_replaced)
        return;
    for (int i = 0; i < LOOSENED_AT_ONCE && before->count > 0; i++) {
        int64_t row = before->rows[--before->count];
        bitmap_set(shard->kept, row, false);
        shard_rows_loosen(&shard->rows, shard_rows_find(&shard->rows, row));
    }
    if (before->count == 0)
        turn(shard);
}

bool shard_was_replaced(const shard_t *shard, int64_t row) {
    return shard->kept && row >= 0 && row < shard->kept->rows && bitmap_get(shard->kept, row);
}
