/* Filters of searches over a shard, with the rows that match them. The last few that were asked for are kept, since searches come back with the same
 * ones, and are looked up again only for rows that came since. Of this room alone.
 */
#ifndef SHARD_FILTERS_H
#define SHARD_FILTERS_H

#include "filter/expression.h"
#include "shard/bitmap.h"

typedef struct shard_filter {
    struct shard_filter *next;
    int users;
    filter_t *program;
    bitmap_t *matches; /* bits of the rows that were looked at so far */
    int64_t matched;   /* how many of them are set */
    size_t size;
    char text[];
} shard_filter_t;

/* Those that are known, the last one used first. */
typedef struct shard_filters {
    shard_filter_t *first;
} shard_filters_t;

/* One user more of the filter of a text, which is parsed where it is not known. ERR_ARG as filter_parse. */
CHECKED dfaiss_status_t shard_filters_use(shard_filters_t *filters, const attribute_schema_t *schema, const char *text, size_t size,
                                          shard_filter_t **out, dfaiss_error_t *err);
/* One user less. */
void shard_filters_leave(shard_filters_t *filters, shard_filter_t *filter);
/* Nobody may be using any. */
void shard_filters_clear(shard_filters_t *filters);

/* Looks at rows up to the last one (*done), or the deadline. */
CHECKED dfaiss_status_t shard_filter_advance(shard_filter_t *filter, const attribute_columns_t *columns, int64_t deadline, bool *done,
                                             dfaiss_error_t *err);

#endif
