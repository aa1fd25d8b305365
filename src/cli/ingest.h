/* Sending vector files to the servers: a random sample to train on, then everything, in batches. */
#ifndef CLI_INGEST_H
#define CLI_INGEST_H

#include "cli/progress.h"
#include "client/bulk_load.h"
#include "config/index_config.h"
#include "dataset/dataset.h"

typedef struct ingest {
    dfaiss_client_t *client;
    const char *index;
    const dataset_t *dataset;
    const index_config_t *config;
    const int64_t *ids; /* own ids, one a row; NULL: row numbers from first_id on */
    int64_t first_id;
    const char *metadata_path; /* NULL: none */
    uint64_t input;            /* the number under which it was declared */
    const ranges_t *missing;   /* rows that the index does not have; of them this client sends part `part` of `parts` */
    int part, parts;
    bool (*cancelled)(void *context); /* asked between batches; NULL: never */
    void *context;
    progress_t *progress;
    double read_seconds, send_seconds; /* out: reading files; waiting for servers */
    int64_t rows, sent;                /* out: of this part, and so many of them so far */
} ingest_t;

/* Sends min(rows, 256 x centroids, max(train_num x servers, 64 x centroids)) random rows, or what the kind of index needs where it has no lists,
 * and trains. Nothing is done for kinds that need no training. */
CHECKED dfaiss_status_t ingest_train(ingest_t *ingest, dfaiss_error_t *err);

/* Sends its part of the missing rows, with ids and metadata, and waits until they are acknowledged. ERR_DATA names file and row of a value that is
 * not finite. When it is cancelled it ends early, and that is no failure. */
CHECKED dfaiss_status_t ingest_stream(ingest_t *ingest, dfaiss_error_t *err);

#endif
