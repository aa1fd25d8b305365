/* What `dfaiss status` shows: a look at servers, and what has changed since the one before. */
#ifndef CLI_STATUS_PRINT_H
#define CLI_STATUS_PRINT_H

#include <dfaiss/client.h>
#include <jansson.h>

typedef struct status_index {
    char *name; /* owned */
    dfaiss_state_t state;
    dfaiss_statistics_t *servers; /* [server_count]; owned */
} status_index_t;

typedef struct status_look {
    double at; /* clock_seconds */
    int server_count;
    dfaiss_statistics_t *servers; /* [server_count], of no index; owned */
    int64_t index_count;
    status_index_t *indexes; /* owned */
} status_look_t;

void status_index_clear(status_index_t *index);
void status_clear(status_look_t *look);

/* A table on stdout. */
void status_print(const status_look_t *before, const status_look_t *now);
/* A new reference; NULL: no memory. */
json_t *status_json(const status_look_t *before, const status_look_t *now);

#endif
