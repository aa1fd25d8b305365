/* The only room that knows faiss: what one server keeps of an index, built by one thread while another searches it.
 *
 * A *template* is a faiss index without vectors, as the configuration's factory makes it; training it happens once, afterwards it never
 * changes and may be written, sent and read. A *store* holds the indexed vectors of one server in the form of the template's class:
 *
 *   codes   flat, SQ, PQ, also behind a transform: codes in segments of fixed capacity
 *   ivf     inverted lists of our own, contiguous, growing by an eighth
 *   hnsw    sealed graphs
 *   opaque  any other factory: sealed indexes as faiss made them
 *
 * Vectors are numbered by *rows* of the store, 0 upwards in the order in which they are built in.
 *
 * Two threads work on a store. The *builder* turns vectors into a block (engine_block_build), which no search sees; it may copy a list to larger
 * memory, but never changes what searches read. The *main* thread links the block in (a few pointer swaps), searches, and frees what a link replaced.
 * A block must be linked, or destroyed, before the next one is built. The builder lets faiss use OpenMP with `omp_set_num_threads` of its own
 * thread; searches share out their work over a team and let each faiss call run with one thread.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/element.h"
#include "base/error.h"
#include "base/team.h"
#include "config/index_config.h"
#include "engine/row_bits.h"

/* ---- versions ---- */

/* "1.7.3" and the like; "AVX2", "AVX512", "NEON" or "generic". Static. */
const char *engine_faiss_version(void);
const char *engine_simd_level(void);
bool engine_has_gpu(void);

/* ---- templates ---- */

typedef enum engine_class { ENGINE_CODES, ENGINE_IVF, ENGINE_HNSW, ENGINE_OPAQUE } engine_class_t;

/* "codes", "ivf", "hnsw", "opaque" */
const char *engine_class_name(engine_class_t class);

typedef struct engine_template engine_template_t;

/* The factory string of a configuration for an index of n vectors ({centroids} filled in): text char[capacity]. */
CHECKED dfaiss_status_t engine_factory(const index_config_t *config, int64_t n, char *text, size_t capacity, dfaiss_error_t *err);

/* Makes the untrained template of a configuration for about n vectors (n matters with infer_centroids alone). dim must be known. */
CHECKED dfaiss_status_t engine_template_create(const index_config_t *config, int64_t n, engine_template_t **out, dfaiss_error_t *err);
void engine_template_destroy(engine_template_t *template);

engine_class_t engine_template_class(const engine_template_t *template);
/* The class that the templates of a configuration will have, also of one without dim. ERR_CONFIG where no dimension that is tried makes one. */
CHECKED dfaiss_status_t engine_config_class(const index_config_t *config, engine_class_t *out, dfaiss_error_t *err);
int64_t engine_template_dim(const engine_template_t *template);
bool engine_template_trained(const engine_template_t *template);
/* Number of inverted lists; 0 where the class has none. */
int64_t engine_template_lists(const engine_template_t *template);
/* Dimension of their centroids, which differs from the index's behind a transform; 0 where the class has none. */
int64_t engine_template_list_dim(const engine_template_t *template);
/* Bytes of one stored code, links and ids not counted; 0 for opaque. */
size_t engine_template_code_size(const engine_template_t *template);
/* Bytes of HNSW links a vector on average; 0 where the class has none. */
size_t engine_template_link_size(const engine_template_t *template);

/* Vectors that training should get at least and at most, for the template's quantizers and lists. min <= max; 0 and 0: needs no training. */
void engine_template_sample(const engine_template_t *template, int64_t *min, int64_t *max);

/* Bytes that training on n vectors needs beside them. */
size_t engine_template_training_bytes(const engine_template_t *template, int64_t n);

/* Trains on x float[n][dim] (not changed; cosine: normalised already). Uses the OpenMP threads of the caller. Afterwards the template is trained. */
CHECKED dfaiss_status_t engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err);

/* From another thread: the training of this template that is under way fails soon (ERR_INTERRUPTED), or one that begins later does. */
void engine_template_cancel(engine_template_t *template);

/* The trained template as bytes, and back. A template read from bytes is checked against the configuration (dimension, metric, class). */
CHECKED dfaiss_status_t engine_template_write(const engine_template_t *template, bytes_writer_t *out, dfaiss_error_t *err);
CHECKED dfaiss_status_t engine_template_read(const index_config_t *config, const void *bytes, size_t size, engine_template_t **out,
                                             dfaiss_error_t *err);

/* Centroids: out float[lists][dim of the lists]; *dim receives that dimension (it differs from the index's behind a transform). */
CHECKED dfaiss_status_t engine_template_centroids(const engine_template_t *template, float *out, int64_t *dim, dfaiss_error_t *err);

/* Widens n vectors of a file's type to float[n][dim], normalised for cosine. */
void engine_prepare(const engine_template_t *template, element_t element, const void *from, int64_t n, float *to);

/* ---- stores ---- */

typedef struct engine_store engine_store_t;
typedef struct engine_block engine_block_t;

/* An empty store for a trained template (borrowed: it must outlive the store). segment_rows 0: the class's default. */
CHECKED dfaiss_status_t engine_store_create(const engine_template_t *template, int64_t segment_rows, engine_store_t **out, dfaiss_error_t *err);
void engine_store_destroy(engine_store_t *store);

/* Rows that searches see. */
int64_t engine_store_rows(const engine_store_t *store);
/* Bytes held: codes, rows of lists, links. */
size_t engine_store_bytes(const engine_store_t *store);

/* Builder: takes in x float[n][dim], rows `first` to first + n - 1 where first is what was built in before. The block covers the rows that linking
 * it makes visible: engine_block_rows, from engine_store_rows on. Classes that build graphs cover nothing until `seal` is set or a
 * segment is full; n may be 0 to seal only. On failure the store is as before. */
CHECKED dfaiss_status_t engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                           dfaiss_error_t *err);
int64_t engine_block_rows(const engine_block_t *block);
/* Main: links until done (true) or until `deadline` (clock_nanoseconds) is reached. Rows become visible all at once, with the first step; further
 * steps free what was replaced. Each call does one step at least. */
bool engine_block_link(engine_store_t *store, engine_block_t *block, int64_t deadline);
void engine_block_destroy(engine_block_t *block);

/* ---- search ---- */

typedef struct engine_search engine_search_t;

/* Scratch for searches with one template, reused from one to the next; team is borrowed. */
CHECKED dfaiss_status_t engine_search_create(const engine_template_t *template, team_t *team, engine_search_t **out, dfaiss_error_t *err);
void engine_search_destroy(engine_search_t *search);

/* Begins: queries float[nq][dim] (copied; normalised here for cosine), k >= 1, effort: nprobe, or efSearch for HNSW. nq >= 1. */
CHECKED dfaiss_status_t engine_search_begin(engine_search_t *search, int64_t nq, const float *queries, int64_t k, int64_t effort,
                                            dfaiss_error_t *err);

/* What a search may find. */
typedef struct engine_restriction {
    /* Bits of rows (row_bits.h): one that is set may be found; NULL: every row. They cover the store's rows and those scanned as vectors, and are
     * borrowed until engine_search_end. Between two calls bits may be cleared. */
    const uint64_t *const *allowed;
    int64_t rows;         /* that `allowed` covers, all that there were when the search began: later ones are not found */
    int64_t allowed_rows; /* about how many bits are set: what the way of searching is chosen by */
    bool has_radius;      /* range search: scores must be better than radius (squared L2 below it, products above it) */
    float radius;
} engine_restriction_t;

/* After engine_search_begin, before anything is scanned. With `allowed` every query gets min(k, allowed rows) hits: where the effort asked for finds
 * fewer, inverted lists probe more, graphs and opaque indexes look further, and in the end all allowed rows are scanned. With a radius all rows
 * within it are found, up to k: inverted lists within the lists that the effort says, graphs by scanning their codes. ERR_UNSUPPORTED, naming the
 * kind, for a radius with an opaque index. */
CHECKED dfaiss_status_t engine_search_restrict(engine_search_t *search, const engine_restriction_t *restriction, dfaiss_error_t *err);

/* Scans vectors exactly that are not indexed (yet): rows first to first + n - 1, of a file's type. *cursor starts at 0, and the call goes on from
 * there until *cursor is n or the deadline is reached. */
CHECKED dfaiss_status_t engine_search_vectors(engine_search_t *search, element_t element, const void *vectors, int64_t first, int64_t n,
                                              int64_t *cursor, int64_t deadline, dfaiss_error_t *err);

/* Searches a store; *done tells whether it finished before the deadline (call again to go on). */
CHECKED dfaiss_status_t engine_search_store(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err);

/* The merged answer, best first: scores float[nq][k], rows int64_t[nq][k]; a row found twice appears once; fewer than k: row -1.
 * Scores are squared L2 distances, or inner products. Equal scores stand by row. */
void engine_search_end(engine_search_t *search, float *scores, int64_t *rows);

/* ---- vectors given back ---- */

/* Main thread: finds out where the store's rows lie, until it is known of all (*ready) or the deadline. For inverted lists that makes a map of four
 * bytes a row, which rows that are linked later are put into. */
CHECKED dfaiss_status_t engine_store_locate(engine_store_t *store, int64_t deadline, bool *ready, dfaiss_error_t *err);

/* The stored vectors of n rows (visible, not dropped), decoded: out float[n][dim], in the dimension of the vectors that came (cosine: normalised).
 * Main thread. ERR_UNSUPPORTED, naming the class, where faiss cannot; ERR_ARG for a row that is not there. Rows that are not located yet are located
 * first. */
CHECKED dfaiss_status_t engine_store_reconstruct(engine_store_t *store, int64_t n, const int64_t *rows, float *out, dfaiss_error_t *err);

/* The same of codes (codes, hnsw): uint8_t[n][code_size], of any store with this template. ERR_UNSUPPORTED where faiss cannot. */
CHECKED dfaiss_status_t engine_decode(const engine_template_t *template, int64_t n, const uint8_t *codes, float *out, dfaiss_error_t *err);

/* ---- rows that are gone ---- */

/* Builder: drops rows whose bit in `alive` (row_bits.h) is 0 (not changed meanwhile) from a part of the store that holds many of
 * them: codes and lists of which an eighth is gone (codes where that saves memory), some megabytes of them a block; a graph of which a quarter is
 * gone, which is built anew: blocks up to the last one of it change nothing, and others may be built in between. Linking the block (engine_block_rows
 * is 0), while no search is inside the store, frees their memory; all other rows keep their numbers, and dropped ones are never found again. *out
 * NULL: nothing left that is worth it. An opaque index, which cannot give rows up, answers NULL too. On failure the store is as before. */
CHECKED dfaiss_status_t engine_block_compact(engine_store_t *store, const uint64_t *const *alive, engine_block_t **out, dfaiss_error_t *err);
/* Rows in the store that were not dropped. */
int64_t engine_store_held(const engine_store_t *store);

/* ---- saving and restoring a store, by parts ---- */

/* codes, hnsw, opaque: segments of rows in order. */
int64_t engine_store_segments(const engine_store_t *store);
/* How many rows of a segment were not dropped, and the first of them. */
void engine_store_segment(const engine_store_t *store, int64_t segment, int64_t *first, int64_t *rows);
/* Which rows these are, ascending; NULL: they follow each other. Borrowed. */
const int64_t *engine_store_segment_rows(const engine_store_t *store, int64_t segment);
/* codes: the codes of a segment, uint8_t[rows][code_size]; borrowed. */
const uint8_t *engine_store_segment_codes(const engine_store_t *store, int64_t segment);
/* hnsw, opaque: the segment as faiss writes (and reads) an index, without the transforms in front, followed by 16 bytes of checksum. sink gets the
 * bytes in order and returns false to stop (its own error is then in err). */
typedef bool engine_sink_t(void *context, const void *bytes, size_t size);
CHECKED dfaiss_status_t engine_store_segment_write(const engine_store_t *store, int64_t segment, engine_sink_t *sink, void *context,
                                                   dfaiss_error_t *err);
/* hnsw: where the codes of all rows lie in such bytes, and the number that stands, as uint64 (little-endian), in front of them. ERR_CHECKPOINT where
 * a graph of so many rows has more bytes. */
typedef struct engine_graph_codes {
    size_t offset;
    uint64_t number;
} engine_graph_codes_t;
CHECKED dfaiss_status_t engine_graph_codes(const engine_template_t *template, int64_t rows, size_t size, engine_graph_codes_t *out,
                                           dfaiss_error_t *err);
/* ivf: one list: codes uint8_t[*size][code_size] and rows int64_t[*size]; borrowed. */
void engine_store_list(const engine_store_t *store, int64_t list, int64_t *size, const uint8_t **codes, const int64_t **rows);

/* Restoring into an empty store, segment after segment or list after list; memory is the store's and filled by the caller before the next call. Rows
 * of a segment follow those before, unless engine_store_restore_rows says, before the segment, which they are: n rows, ascending, behind those
 * before. */
CHECKED dfaiss_status_t engine_store_restore_rows(engine_store_t *store, int64_t n, const int64_t *rows, dfaiss_error_t *err);
CHECKED dfaiss_status_t engine_store_restore_segment(engine_store_t *store, int64_t rows, uint8_t **codes, dfaiss_error_t *err);
CHECKED dfaiss_status_t engine_store_restore_list(engine_store_t *store, int64_t list, int64_t size, uint8_t **codes, int64_t **rows,
                                                  dfaiss_error_t *err);
CHECKED dfaiss_status_t engine_store_restore_blob(engine_store_t *store, const void *bytes, size_t size, int64_t rows, dfaiss_error_t *err);
/* After the last part: checks that rows are 0 to `rows` - 1, each once, but for those whose bit in `alive` is 0, which may have been dropped
 * (NULL: none), and makes them visible. */
CHECKED dfaiss_status_t engine_store_restore_end(engine_store_t *store, int64_t rows, const uint64_t *const *alive, dfaiss_error_t *err);

/* ---- exact neighbours of whole files ---- */

/* Exact k nearest of nq queries among n vectors float[n][dim], merged into scores/ids [nq][k] that earlier calls filled (start: ids all -1).
 * ids are first_id + position. Metric by config's (cosine: both normalised by the caller). */
CHECKED dfaiss_status_t engine_exact_merge(config_metric_t metric, int64_t dim, int64_t nq, const float *queries, int64_t n, const float *vectors,
                                           int64_t first_id, int64_t k, float *scores, int64_t *ids, team_t *team, dfaiss_error_t *err);

#endif
