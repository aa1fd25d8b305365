/* Whole indexes as plain faiss programs write and read them, one a file.
 *
 * Out: an index is made of a template, the parts of stores, and vectors that wait; its vectors have ids of the caller's. In: a file is looked at from
 * outside, then tried in a process that may die of it, and only then read; what comes of it is a template and a store.
 */
#ifndef ENGINE_PLAIN_H
#define ENGINE_PLAIN_H

#include "engine/engine.h"

/* The checksum of a template's bytes: equal where stores of the two can be put together. */
CHECKED dfaiss_status_t engine_template_checksum(const engine_template_t *template, uint64_t *checksum, dfaiss_error_t *err);

/* ---- out ---- */

typedef struct engine_plain engine_plain_t;

/* An index for plain faiss, without vectors. The template is borrowed. `effort` is what searches of the index begin with: nprobe or efSearch. */
CHECKED dfaiss_status_t engine_plain_create(const engine_template_t *template, int64_t effort, engine_plain_t **out, dfaiss_error_t *err);
void engine_plain_destroy(engine_plain_t *plain);
int64_t engine_plain_vectors(const engine_plain_t *plain);

/* Appends the rows of a store (codes, ivf) whose bits in `alive` are set (NULL: all); ids int64_t[rows of the store]. The store's template and the
 * index's are equal. On failure the index is good for nothing but being destroyed, as it is after the calls below. */
CHECKED dfaiss_status_t engine_plain_add_store(engine_plain_t *plain, const engine_store_t *store, const uint64_t *const *alive, const int64_t *ids,
                                               dfaiss_error_t *err);
/* Puts a segment (hnsw, opaque) into an index without vectors. One of which rows are gone is built anew from the vectors that it gives back:
 * ERR_UNSUPPORTED where it cannot. */
CHECKED dfaiss_status_t engine_plain_add_segment(engine_plain_t *plain, engine_store_t *store, int64_t segment, const uint64_t *const *alive,
                                                 const int64_t *ids, dfaiss_error_t *err);
/* Adds x float[n][dim] (cosine: normalised) as faiss does. */
CHECKED dfaiss_status_t engine_plain_add_vectors(engine_plain_t *plain, int64_t n, const float *x, const int64_t *ids, dfaiss_error_t *err);

/* Writes the index beside `path`, syncs it and renames it. *bytes: of the file. */
CHECKED dfaiss_status_t engine_plain_write(engine_plain_t *plain, const char *path, uint64_t *bytes, dfaiss_error_t *err);

/* ---- in ---- */

/* What the beginning of a file says of the index in it. */
typedef struct engine_plain_header {
    int64_t dim;
    int64_t vectors;
} engine_plain_header_t;

/* Looks at the first bytes of a file: ERR_DATA where no index begins like that, ERR_CONFIG where it does not fit the configuration (dim 0: any does),
 * ERR_UNSUPPORTED for other indexes than of numbers; all name the file and what was expected. */
CHECKED dfaiss_status_t engine_plain_check(const char *path, const index_config_t *config, engine_plain_header_t *out, dfaiss_error_t *err);

/* Has faiss read all of a file, which may end the process where it was made for that, and checks that its parts fit each other: ERR_DATA, with the
 * file's name. */
CHECKED dfaiss_status_t engine_plain_try(const char *path, dfaiss_error_t *err);

typedef struct engine_plain_content {
    engine_template_t *template; /* owned, as all of it */
    engine_store_t *store;       /* of that template */
    int64_t rows;
    int64_t *ids; /* int64_t[rows], >= 0 and different from each other; NULL: the row numbers */
} engine_plain_content_t;

/* Reads a file that both calls above have found good; errors as there. dim must be known. */
CHECKED dfaiss_status_t engine_plain_read(const char *path, const index_config_t *config, engine_plain_content_t *out, dfaiss_error_t *err);
void engine_plain_content_clear(engine_plain_content_t *content);

/* Has content that was trained apart be as if it had been built with another template (copied): its vectors are decoded and encoded anew.
 * ERR_UNSUPPORTED where faiss does not give them back. */
CHECKED dfaiss_status_t engine_plain_encode_anew(const index_config_t *config, const engine_template_t *template, engine_plain_content_t *content,
                                                 dfaiss_error_t *err);

#endif
