/* What faiss's C API lacks, in the C API's own style: plain C calls, 0 for success, and no exception leaves.
 *
 * SHIM_FAILED: faiss or the C++ library refused, shim_error() has the text; SHIM_NO_MEMORY: an allocation failed. A FaissIndex is the C API's handle.
 * Nothing here knows the rest of dfaiss, so that the C++ part stays these few files (shim*.cpp).
 */
#ifndef ENGINE_SHIM_H
#define ENGINE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <faiss/c_api/Index_c.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SHIM_OK = 0, SHIM_FAILED = -1, SHIM_NO_MEMORY = -2 };

/* The text of this thread's last failure. */
const char *shim_error(void);

const char *shim_faiss_version(void);
const char *shim_simd_level(void);

/* Makes results of k >= 100 come from heaps as well, whose ties stand by label. Once, before any search. */
void shim_prefer_heaps(void);

/* Has faiss ask whether a training was cancelled (shim_train). Once, before any training; a program that has faiss ask something else keeps that. */
void shim_allow_cancelling(void);

/* ---- what an index is made of ---- */

enum { SHIM_CODES, SHIM_IVF, SHIM_HNSW, SHIM_OPAQUE };

typedef struct shim_layout {
    int kind;               /* SHIM_CODES, ... of the index behind its transforms */
    FaissIndex *inner;      /* that index; borrowed */
    const char *type;       /* its C++ type; static */
    bool transformed;       /* there are transforms in front */
    bool holds_vectors;     /* codes are fp32 vectors as they are */
    bool walks;             /* a search walks a graph of the vectors, and takes time that grows with the square of what is asked for */
    bool by_map;            /* vectors have ids of their own (IDMap) somewhere inside */
    int64_t lists;          /* of an IVF of any kind, the outermost that is there; else 0 */
    size_t code_size;       /* codes, ivf, hnsw */
    size_t link_size;       /* hnsw: bytes of links a vector on average */
    int64_t train_at_least; /* vectors that its clusterings need, and at most use */
    int64_t train_at_most;
    bool residuals; /* training makes copies of the vectors, for residuals or rotations */
} shim_layout_t;

int shim_describe(FaissIndex *index, shim_layout_t *out);

/* Trains with clusterings that take what they get, whole where it is the coarse one, and do not print. It fails soon after another thread has set
 * *cancelled, atomically. */
int shim_train(FaissIndex *index, int64_t n, const float *x, const int *cancelled);

/* Checks that the parts of an index that was read fit each other. Vectors in the lists of an ivf are labelled by their rows, or by any ids. */
int shim_check(const FaissIndex *index, bool labels_are_rows);

/* ---- vectors through the transforms in front of an index ---- */

/* to float[n][inner d]. Nothing to do, and an error, where the index has no transforms. */
int shim_transform(const FaissIndex *index, int64_t n, const float *x, float *to);

/* ---- encoding ---- */

/* The codes of an ivf's vectors that belong to the given lists. */
int shim_encode_for_lists(const FaissIndex *ivf, int64_t n, const float *x, const int64_t *lists, uint8_t *codes);

/* ---- from codes back to vectors ---- */

typedef struct shim_decoder shim_decoder_t;

/* For what the classes codes, ivf and hnsw store; `list` matters to ivf alone. */
int shim_decoder_new(const FaissIndex *inner, shim_decoder_t **out);
void shim_decoder_free(shim_decoder_t *decoder);
int shim_decoder_decode(shim_decoder_t *decoder, int64_t list, const uint8_t *code, float *to);

/* A vector of any other index. */
int shim_reconstruct(const FaissIndex *index, int64_t row, float *to);

/* Back through the transforms in front of an index, x float[n][inner d]. Some have no way back. */
int shim_reverse_transform(const FaissIndex *index, int64_t n, const float *x, float *to);

/* ---- scanning raw codes, with one scanner a thread ---- */

typedef struct shim_scanner shim_scanner_t;

/* For ivf, SQ and PQ codes, and what an hnsw stores. */
int shim_scanner_new(const FaissIndex *inner, shim_scanner_t **out);
void shim_scanner_free(shim_scanner_t *scanner);
int shim_scanner_set_query(shim_scanner_t *scanner, const float *query);
int shim_scanner_set_list(shim_scanner_t *scanner, int64_t list, float coarse_score);
/* The same without a score from the quantizer, which is computed. */
int shim_scanner_set_list_of(shim_scanner_t *scanner, int64_t list, const float *query);
/* Puts n codes into a heap of k; rows NULL: they are base, base + 1, ... Rows that come in order: of equal scores the lower ones stay. */
int shim_scanner_scan(shim_scanner_t *scanner, int64_t n, const uint8_t *codes, const int64_t *rows, int64_t base, float *scores, int64_t *labels,
                      int64_t k);

/* Heaps of k as faiss keeps them, with labels in place of rows: emptied, and turned into a list of rows, the best first, equal scores by row. */
void shim_heap_clear(bool larger_is_better, int64_t k, float *scores, int64_t *labels);
void shim_heap_sort(bool larger_is_better, int64_t k, float *scores, int64_t *labels_to_rows);

/* ---- searching a graph among some of its rows ---- */

/* Asks with this efSearch, to which the graph itself must be set as well. blocks (row_bits.h): bits of rows before `end`; one that is set may
 * be found. The graph's numbers stand for the rows from `first` on, or for what `rows` says where it is not NULL. scores float[n][k], labels
 * int64_t[n][k]: the graph's numbers. */
int shim_graph_search(const FaissIndex *graph, int64_t n, const float *x, int64_t k, int ef, const uint64_t *const *blocks, int64_t end,
                      int64_t first, const int64_t *rows, float *scores, int64_t *labels);

/* What a graph stores of its vectors: codes of the layout's code_size; borrowed. */
int shim_graph_codes(const FaissIndex *graph, const uint8_t **codes);
/* Bytes that faiss writes of a graph behind its codes, and the size of the items in which it counts these in front of them. */
int shim_graph_written(const FaissIndex *graph, size_t *behind, size_t *item);

/* ---- products of many queries with many rows, through the BLAS that faiss uses ---- */

typedef struct shim_product shim_product_t;

int shim_product_new(shim_product_t **out);
void shim_product_free(shim_product_t *product);
/* Takes a copy of queries float[count][dim]. */
int shim_product_set(shim_product_t *product, int dim, int count, const float *queries);
/* to float[n][count]: the inner products of n rows with the queries. */
int shim_product_run(const shim_product_t *product, int64_t n, const float *rows, float *to);

/* ---- whole indexes ---- */

/* Bytes that an index would take when written, which is about what it takes in memory. */
int shim_index_bytes(const FaissIndex *index, size_t *bytes);

/* A copy of an HNSW graph that can be added to and written. */
int shim_copy_graph(const FaissIndex *graph, FaissIndex **out);
/* A copy of any index, by writing and reading it. */
int shim_copy_index(const FaissIndex *index, FaissIndex **out);

/* ---- whole indexes with ids, as plain faiss programs write and read them ---- */

/* An index trained as the model is, which has no vectors, for vectors with ids: these are in the lists of an ivf, else in an IDMap2 around it. */
int shim_plain_new(const FaissIndex *model, FaissIndex **out);
/* Room for n more vectors, so that codes are not moved while they grow. */
int shim_plain_reserve(FaissIndex *plain, int64_t n);
/* Appends n codes of the class codes, or of an ivf to a list. */
int shim_plain_append(FaissIndex *plain, int64_t list, int64_t n, const uint8_t *codes, const int64_t *ids);
/* Puts an index, which is taken over even on failure, behind the transforms of one without vectors; ids int64_t[its vectors]. */
int shim_plain_put(FaissIndex *plain, FaissIndex *index, const int64_t *ids);

/* Of an index that was read, which may be wrapped in an IDMap. */
int shim_plain_check(const FaissIndex *index);
/* Where *index is an IDMap it becomes the index inside, and *ids int64_t[its vectors], malloc'ed. */
int shim_plain_unwrap(FaissIndex **index, int64_t **ids);
/* A copy without the vectors; the index itself is as before. */
int shim_plain_empty(FaissIndex *index, FaissIndex **out);
/* The index behind the transforms; these are freed. */
int shim_plain_take_inner(FaissIndex *index, FaissIndex **inner);
/* The codes of the class codes; borrowed. */
int shim_plain_codes(const FaissIndex *inner, const uint8_t **codes);
/* A list of an ivf: codes uint8_t[size][code_size] (NULL: they are not asked for) and labels int64_t[size]. */
int shim_plain_list_size(const FaissIndex *inner, int64_t list, int64_t *size);
int shim_plain_read_list(const FaissIndex *inner, int64_t list, uint8_t *codes, int64_t *ids);

#ifdef __cplusplus
}
#endif
#endif
