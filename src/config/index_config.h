/* The configuration of an index: one table of keys that parses, prints and documents it.
 *
 * Text form is a JSON object. Numbers, true and false may come as strings ("dim": "768"). A key that is not in the table is an error that names the
 * nearest known one; keys under "extra" are kept untouched. Values out of range are errors that name key, value and range.
 */
#ifndef CONFIG_INDEX_CONFIG_H
#define CONFIG_INDEX_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/error.h"
#include "config/key_table.h"

typedef enum config_kind {                      /* index_builder_type */
                           CONFIG_KIND_factory, /* none given: faiss_factory says it */
                           CONFIG_KIND_flat,
                           CONFIG_KIND_ivf_simple,
                           CONFIG_KIND_knnlm,
                           CONFIG_KIND_hnswsq,
                           CONFIG_KIND_ivfsq,
                           CONFIG_KIND_ivf_gpu,
} config_kind_t;

typedef enum config_metric { CONFIG_METRIC_dot, CONFIG_METRIC_l2, CONFIG_METRIC_cosine } config_metric_t;
typedef enum config_training { CONFIG_TRAINING_shared, CONFIG_TRAINING_local } config_training_t;
typedef enum config_placement { CONFIG_PLACEMENT_rows, CONFIG_PLACEMENT_lists } config_placement_t;

enum { CONFIG_TEXT = 256 };

typedef struct index_config {
    config_kind_t index_builder_type;
    char faiss_factory[CONFIG_TEXT]; /* "" = none */
    int64_t dim;                     /* 0 = taken from the first batch */
    int64_t train_num;
    double train_ratio;
    int64_t centroids; /* 0 = not given */
    bool infer_centroids;
    config_metric_t metric;
    int64_t nprobe;
    int64_t buffer_bsz;
    double save_interval_sec;
    char index_storage_dir[4096]; /* "" = the server's own */
    int64_t custom_meta_id_idx;
    int64_t code_size;
    int64_t bits_per_vector;
    int64_t store_n;
    int64_t ef_construction;
    config_training_t training;
    config_placement_t placement;
    int64_t keep_generations;
    int64_t threads; /* 0 = as bound */
    int64_t seed;
    int64_t segment_rows; /* 0 = the kind's default */
    json_t *attributes;   /* object or NULL; owned */
    json_t *extra;        /* object or NULL; owned */
} index_config_t;

enum { INDEX_CONFIG_FILE_LIMIT = 1 << 20 }; /* bytes; a configuration of a hundred keys has a few thousand */

/* Parses a JSON text; `where` names the file in errors. On success *config is the caller's, to be freed with index_config_destroy. */
CHECKED dfaiss_status_t index_config_parse(const char *text, size_t size, const char *where, index_config_t **config, dfaiss_error_t *err);
CHECKED dfaiss_status_t index_config_read(const char *path, index_config_t **config, dfaiss_error_t *err);
/* The same from a JSON object (borrowed) that lies in a larger text. */
CHECKED dfaiss_status_t index_config_from_json(const json_t *object, const char *where, index_config_t **config, dfaiss_error_t *err);
void index_config_destroy(index_config_t *config);

/* Where the index is kept: its index_storage_dir, or `otherwise` where it has none. Borrowed of either. */
const char *index_config_storage(const index_config_t *config, const char *otherwise);
/* A storage may have been moved or copied: an index with a folder of its own is where it was found. */
void index_config_found_in(index_config_t *config, const char *storage);

/* A copy that shares nothing. */
CHECKED dfaiss_status_t index_config_copy(const index_config_t *config, index_config_t **out, dfaiss_error_t *err);

/* What parsing is made of: the defaults alone (the rules between keys do not hold then), a JSON text with the place of what is wrong in it, and the
 * key of a name. */
CHECKED dfaiss_status_t index_config_defaults(index_config_t **config, dfaiss_error_t *err);
CHECKED dfaiss_status_t index_config_load_json(const char *text, size_t size, const char *where, json_t **object, dfaiss_error_t *err);
CHECKED dfaiss_status_t index_config_find_key(const char *name, const char *where, const config_key_t **key, dfaiss_error_t *err);

/* The rules between keys (dim is a multiple of code_size, and so on). Parsing applies them; once dim was taken from the data they are checked again.
 */
CHECKED dfaiss_status_t index_config_check(const index_config_t *config, const char *where, dfaiss_error_t *err);

/* The configuration as JSON: every key that differs from its default, or all with `all`. *text is malloc'ed and the caller's. */
CHECKED dfaiss_status_t index_config_print(const index_config_t *config, bool all, char **text, dfaiss_error_t *err);

/* The same as a new JSON object reference (NULL: no memory). With `all` a key that has no value is null, which parses again. */
json_t *index_config_json(const index_config_t *config, bool all);

/* The kind of index for people: index_builder_type ("hnswsq"), or the string of faiss_factory. Borrowed. */
const char *index_config_kind(const index_config_t *config);

/* The number of inverted lists for n vectors: `centroids`, or with infer_centroids 2*sqrt(n) below 1e6, 65536 below 1e7, 262144 below 1e8,
 * else 1048576 (never less than 1). */
int64_t index_config_centroids(const index_config_t *config, int64_t n);

/* How many of `rows` vectors training should learn from, where `most` are what helps: with train_num (for each of the servers that are trained at
 * once) at least that many and a quarter of `most`. Of vectors that have arrived, train_num 0 means a share train_ratio. */
int64_t index_config_sample_rows(const index_config_t *config, int64_t rows, int64_t servers, int64_t most);
int64_t index_config_arrived_sample_rows(const index_config_t *config, int64_t rows, int64_t servers, int64_t most);

/* A table of all keys for people: key, type, default, range, help. Written to `out`. */
void index_config_document(FILE *out);

#endif
