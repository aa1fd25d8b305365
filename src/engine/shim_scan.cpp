// The C++ side of shim.h that searches spend their time in: scanning raw codes into heaps, and products of many queries with many rows.
#include "engine/row_bits.h"
#include "engine/shim_guard.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/VectorTransform.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/utils/distances.h>
#include <faiss/utils/Heap.h>

namespace {

// An IVFPQ without residuals scans the codes of a plain PQ with one table a query, where ProductQuantizer::search would make one a call.
std::unique_ptr<faiss::IndexIVFPQ> scanned_as_ivf(const faiss::IndexPQ *index) {
    auto ivf = std::make_unique<faiss::IndexIVFPQ>();
    ivf->d = index->d;
    ivf->metric_type = index->metric_type;
    ivf->pq = index->pq;
    ivf->code_size = index->code_size;
    ivf->by_residual = false;
    return ivf;
}

std::unique_ptr<faiss::IndexIVFFlat> scanned_as_ivf(const faiss::IndexFlat *index) {
    auto ivf = std::make_unique<faiss::IndexIVFFlat>();
    ivf->d = index->d;
    ivf->metric_type = index->metric_type;
    ivf->code_size = index->code_size;
    return ivf;
}

// What stands for a row in a heap; the label of that is the row again. Of equal scores a heap gives up the largest label first where small scores are
// better, but the smallest where large ones are: there the labels run the other way, so that the lower row stays in both.
constexpr int64_t label_of(bool larger_is_better, int64_t row) {
    return larger_is_better ? INT64_MAX - row : row;
}

// The sums of a code's table entries, for `count` codes one after the other: several at once keep the processor's loads busy.
template <int count> inline void sum_entries(size_t parts, const float *table, const uint8_t *codes, float *sums) {
    for (int i = 0; i < count; i++)
        sums[i] = 0;
    for (size_t part = 0; part < parts; part++, table += 256)
        for (int i = 0; i < count; i++)
            sums[i] += table[codes[size_t(i) * parts + part]];
}

// Where the codes of one scan go.
template <class Heap> struct heap_of_rows {
    const int64_t *rows; // null: base, base + 1, ...
    int64_t base;
    float *scores;
    int64_t *labels;
    int64_t k;

    // Few codes come so far: kept out of the loop over all.
    [[gnu::noinline]] void put(int64_t i, float score) const {
        faiss::heap_replace_top<Heap>(size_t(k), scores, labels, score, label_of(!Heap::is_max, rows ? rows[i] : base + i));
    }
};

// Codes of one byte a sub-quantizer: plain look-ups. faiss's scanner gathers them, which on many processors takes twice as long.
template <class Heap> void scan_bytes(size_t parts, const float *table, int64_t n, const uint8_t *codes, const heap_of_rows<Heap> &heap) {
    constexpr int together = 4;
    const float *worst = heap.scores;
    float sums[together];
    for (int64_t i = 0; i < n; i += together, codes += together * parts) {
        const int count = int(std::min<int64_t>(together, n - i));
        if (count == together)
            sum_entries<together>(parts, table, codes, sums);
        else
            for (int j = 0; j < count; j++)
                sum_entries<1>(parts, table, codes + size_t(j) * parts, sums + j);
        for (int j = 0; j < count; j++)
            if (Heap::cmp(*worst, sums[j]))
                heap.put(i + j, sums[j]);
    }
}

// The rows of a graph that may be found.
struct passing_rows : faiss::IDSelector {
    const uint64_t *const *blocks;
    int64_t end, first;
    const int64_t *rows;

    passing_rows(const uint64_t *const *passing, int64_t covered, int64_t base, const int64_t *numbers)
        : blocks(passing), end(covered), first(base), rows(numbers) {
    }
    bool is_member(idx_t label) const final {
        const int64_t row = rows ? rows[label] : first + label;
        return row < end && row_bits_get(blocks, row);
    }
};

} // namespace

struct shim_scanner {
    // SQ and ivf: faiss's own. Flat and PQ: through an ivf made for it, or with a table for codes of whole bytes.
    std::unique_ptr<faiss::InvertedListScanner> scanner;
    std::unique_ptr<faiss::IndexIVF> ivf;
    const faiss::Index *quantizer = nullptr; // of an ivf
    std::vector<float> centroid;
    const faiss::IndexPQ *bytes = nullptr;
    std::vector<float> table;
    bool larger_is_better = false;
    std::vector<int64_t> labels; // of the codes of one scan

    const int64_t *labels_of(int64_t n, const int64_t *rows, int64_t base) {
        if (rows && !larger_is_better)
            return rows;
        labels.resize(size_t(n));
        for (int64_t i = 0; i < n; i++)
            labels[size_t(i)] = label_of(larger_is_better, rows ? rows[i] : base + i);
        return labels.data();
    }
};

struct shim_product {
    faiss::LinearTransform transform;
};

extern "C" {

int shim_scanner_new(const FaissIndex *handle, shim_scanner_t **out) {
    return guarded([&] {
        auto made = std::make_unique<shim_scanner>();
        const faiss::Index *index = index_of(handle);
        made->larger_is_better = index->metric_type == faiss::METRIC_INNER_PRODUCT;
        if (auto *graph = dynamic_cast<const faiss::IndexHNSW *>(index))
            index = graph->storage;
        if (auto *ivf = dynamic_cast<const faiss::IndexIVF *>(index)) {
            made->scanner.reset(ivf->get_InvertedListScanner(false));
            made->quantizer = ivf->quantizer;
            made->centroid.resize(size_t(ivf->d));
        } else if (auto *scalar = dynamic_cast<const faiss::IndexScalarQuantizer *>(index)) {
            made->scanner.reset(scalar->sq.select_InvertedListScanner(scalar->metric_type, nullptr, false, nullptr));
        } else if (auto *pq = dynamic_cast<const faiss::IndexPQ *>(index)) {
            made->ivf = scanned_as_ivf(pq);
            made->scanner.reset(made->ivf->get_InvertedListScanner(false));
            made->bytes = pq->pq.nbits == 8 ? pq : nullptr;
            made->table.resize(pq->pq.M * pq->pq.ksub);
        } else if (auto *flat = dynamic_cast<const faiss::IndexFlat *>(index)) {
            made->ivf = scanned_as_ivf(flat);
            made->scanner.reset(made->ivf->get_InvertedListScanner(false));
        }
        check_that(made->scanner != nullptr, "its codes cannot be scanned");
        *out = made.release();
    });
}

void shim_scanner_free(shim_scanner_t *scanner) {
    delete scanner;
}

int shim_scanner_set_query(shim_scanner_t *scanner, const float *query) {
    return guarded([&] {
        if (scanner->bytes && scanner->bytes->metric_type == faiss::METRIC_L2) {
            scanner->bytes->pq.compute_distance_table(query, scanner->table.data());
        } else if (scanner->bytes) {
            scanner->bytes->pq.compute_inner_prod_table(query, scanner->table.data());
        } else {
            scanner->scanner->set_query(query);
            if (scanner->ivf)
                scanner->scanner->set_list(0, 0);
        }
    });
}

int shim_scanner_set_list(shim_scanner_t *scanner, int64_t list, float coarse_score) {
    return guarded([&] { scanner->scanner->set_list(list, coarse_score); });
}

int shim_scanner_set_list_of(shim_scanner_t *scanner, int64_t list, const float *query) {
    return guarded([&] {
        const size_t dim = scanner->centroid.size();
        float *centroid = scanner->centroid.data();
        scanner->quantizer->reconstruct(list, centroid);
        const bool product = scanner->quantizer->metric_type == faiss::METRIC_INNER_PRODUCT;
        scanner->scanner->set_list(list, product ? faiss::fvec_inner_product(query, centroid, dim) : faiss::fvec_L2sqr(query, centroid, dim));
    });
}

int shim_scanner_scan(shim_scanner_t *scanner, int64_t n, const uint8_t *codes, const int64_t *rows, int64_t base, float *scores, int64_t *labels,
                      int64_t k) {
    return guarded([&] {
        const float *table = scanner->table.data();
        if (scanner->bytes && scanner->bytes->metric_type == faiss::METRIC_L2)
            return scan_bytes<faiss::CMax<float, int64_t>>(scanner->bytes->pq.M, table, n, codes, {rows, base, scores, labels, k});
        if (scanner->bytes)
            return scan_bytes<faiss::CMin<float, int64_t>>(scanner->bytes->pq.M, table, n, codes, {rows, base, scores, labels, k});
        scanner->scanner->scan_codes(size_t(n), codes, scanner->labels_of(n, rows, base), scores, labels, size_t(k));
    });
}

void shim_heap_clear(bool larger_is_better, int64_t k, float *scores, int64_t *rows) {
    if (larger_is_better)
        faiss::heap_heapify<faiss::CMin<float, int64_t>>(size_t(k), scores, rows);
    else
        faiss::heap_heapify<faiss::CMax<float, int64_t>>(size_t(k), scores, rows);
}

void shim_heap_sort(bool larger_is_better, int64_t k, float *scores, int64_t *rows) {
    size_t held = larger_is_better ? faiss::heap_reorder<faiss::CMin<float, int64_t>>(size_t(k), scores, rows)
                                   : faiss::heap_reorder<faiss::CMax<float, int64_t>>(size_t(k), scores, rows);
    for (size_t i = 0; larger_is_better && i < held; i++)
        rows[i] = label_of(true, rows[i]);
}

int shim_graph_search(const FaissIndex *handle, int64_t n, const float *x, int64_t k, int ef, const uint64_t *const *blocks, int64_t end,
                      int64_t first, const int64_t *rows, float *scores, int64_t *labels) {
    return guarded([&] {
        passing_rows passing(blocks, end, first, rows);
        faiss::SearchParametersHNSW parameters;
        parameters.efSearch = ef;
        parameters.sel = &passing;
        index_of(handle)->search(n, x, k, scores, labels, &parameters);
    });
}

int shim_graph_codes(const FaissIndex *handle, const uint8_t **codes) {
    return guarded([&] {
        auto *graph = dynamic_cast<const faiss::IndexHNSW *>(index_of(handle));
        auto *storage = graph ? dynamic_cast<const faiss::IndexFlatCodes *>(graph->storage) : nullptr;
        check_that(storage, "it is no graph that stores codes");
        *codes = storage->codes.data();
    });
}

int shim_graph_written(const FaissIndex *handle, size_t *behind, size_t *item) {
    return guarded([&] {
        auto *graph = dynamic_cast<const faiss::IndexHNSW *>(index_of(handle));
        check_that(graph, "it is no graph that stores codes");
        auto *product = dynamic_cast<const faiss::IndexPQ *>(graph->storage);
        *behind = product ? sizeof product->search_type + sizeof product->encode_signs + sizeof product->polysemous_ht : 0;
        *item = dynamic_cast<const faiss::IndexFlat *>(graph->storage) ? sizeof(float) : 1;
    });
}

int shim_product_new(shim_product_t **out) {
    return guarded([&] { *out = new shim_product; });
}

void shim_product_free(shim_product_t *product) {
    delete product;
}

int shim_product_set(shim_product_t *product, int dim, int count, const float *queries) {
    return guarded([&] {
        faiss::LinearTransform &transform = product->transform;
        transform.d_in = dim;
        transform.d_out = count;
        transform.A.assign(queries, queries + size_t(dim) * size_t(count));
        transform.is_trained = true;
    });
}

int shim_product_run(const shim_product_t *product, int64_t n, const float *rows, float *to) {
    return guarded([&] { product->transform.apply_noalloc(n, rows, to); });
}

} // extern "C"
