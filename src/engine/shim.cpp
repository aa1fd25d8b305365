// The C++ side of shim.h, but for what scans (shim_scan.cpp) and decodes (shim_decode.cpp): what an index is made of, training, checking, encoding,
// copying.
#include "engine/shim_guard.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

#include <faiss/Index2Layer.h>
#include <faiss/IndexAdditiveQuantizer.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVFAdditiveQuantizer.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexIVFPQFastScan.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexRowwiseMinMax.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/VectorTransform.h>
#include <faiss/clone_index.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <faiss/utils/distances.h>
#include <faiss/utils/utils.h>

namespace {

thread_local char last_error[1024];

} // namespace

int shim_fail(const char *text) {
    snprintf(last_error, sizeof last_error, "%s", text);
    return SHIM_FAILED;
}

namespace {

bool is_flat(const faiss::Index *index) {
    return is_exactly<faiss::IndexFlat>(index) || is_exactly<faiss::IndexFlatL2>(index) || is_exactly<faiss::IndexFlatIP>(index);
}

// What the factory makes as an IndexFlat is read again as an IndexFlatL2 or IndexFlatIP, and an IndexRefine over a flat index as an IndexRefineFlat.
const char *type_of(const faiss::Index *index) {
    if (is_flat(index))
        return typeid(faiss::IndexFlat).name();
    if (is_exactly<faiss::IndexRefineFlat>(index))
        return typeid(faiss::IndexRefine).name();
    return typeid(*index).name();
}

int kind_of(const faiss::Index *index) {
    if (is_flat(index) || is_exactly<faiss::IndexScalarQuantizer>(index) || is_exactly<faiss::IndexPQ>(index))
        return SHIM_CODES;
    if (lists_have_ids(index))
        return SHIM_IVF;
    if (is_exactly<faiss::IndexHNSWFlat>(index) || is_exactly<faiss::IndexHNSWSQ>(index) || is_exactly<faiss::IndexHNSWPQ>(index))
        return SHIM_HNSW;
    return SHIM_OPAQUE;
}

// Visits an index and all indexes inside it.
template <class Visit> void for_each_index(faiss::Index *index, Visit visit) {
    if (!index)
        return;
    visit(index);
    if (auto *transformed = dynamic_cast<faiss::IndexPreTransform *>(index))
        for_each_index(transformed->index, visit);
    else if (auto *ivf = dynamic_cast<faiss::IndexIVF *>(index))
        for_each_index(ivf->quantizer, visit);
    else if (auto *refine = dynamic_cast<faiss::IndexRefine *>(index)) {
        for_each_index(refine->base_index, visit);
        for_each_index(refine->refine_index, visit);
    } else if (auto *graph = dynamic_cast<faiss::IndexHNSW *>(index))
        for_each_index(graph->storage, visit);
    else if (auto *mapped = dynamic_cast<faiss::IndexIDMap *>(index))
        for_each_index(mapped->index, visit);
    else if (auto *scaled = dynamic_cast<faiss::IndexRowwiseMinMaxBase *>(index))
        for_each_index(scaled->index, visit);
    else if (auto *layered = dynamic_cast<faiss::Index2Layer *>(index))
        for_each_index(layered->q1.quantizer, visit);
}

// Whether searches walk a graph of the vectors, rather than of centroids.
bool walks_graph(faiss::Index *index) {
    if (auto *transformed = dynamic_cast<faiss::IndexPreTransform *>(index))
        return walks_graph(transformed->index);
    if (auto *refine = dynamic_cast<faiss::IndexRefine *>(index))
        return walks_graph(refine->base_index);
    if (auto *scaled = dynamic_cast<faiss::IndexRowwiseMinMaxBase *>(index))
        return walks_graph(scaled->index);
    return dynamic_cast<faiss::IndexHNSW *>(index) != nullptr;
}

// The product quantizer of an index, where it has one.
faiss::ProductQuantizer *product_quantizer_of(faiss::Index *index) {
    if (auto *pq = dynamic_cast<faiss::IndexPQ *>(index))
        return &pq->pq;
    if (auto *ivfpq = dynamic_cast<faiss::IndexIVFPQ *>(index))
        return &ivfpq->pq;
    if (auto *fast = dynamic_cast<faiss::IndexPQFastScan *>(index))
        return &fast->pq;
    if (auto *ivf_fast = dynamic_cast<faiss::IndexIVFPQFastScan *>(index))
        return &ivf_fast->pq;
    if (auto *multi = dynamic_cast<faiss::MultiIndexQuantizer *>(index))
        return &multi->pq;
    if (auto *layered = dynamic_cast<faiss::Index2Layer *>(index))
        return &layered->pq;
    return nullptr;
}

faiss::Level1Quantizer *coarse_of(faiss::Index *index) {
    if (auto *ivf = dynamic_cast<faiss::IndexIVF *>(index))
        return ivf;
    if (auto *layered = dynamic_cast<faiss::Index2Layer *>(index))
        return &layered->q1;
    return nullptr;
}

faiss::AdditiveQuantizer *additive_quantizer_of(faiss::Index *index) {
    if (auto *additive = dynamic_cast<faiss::IndexAdditiveQuantizer *>(index))
        return additive->aq;
    if (auto *ivf = dynamic_cast<faiss::IndexIVFAdditiveQuantizer *>(index))
        return ivf->aq;
    return nullptr;
}

void need(shim_layout_t *layout, int64_t at_least, int64_t at_most) {
    layout->train_at_least = std::max(layout->train_at_least, at_least);
    layout->train_at_most = std::max(layout->train_at_most, at_most);
}

// What one index, without those inside it, asks of its training vectors.
void needs_of(faiss::Index *index, shim_layout_t *layout) {
    if (auto *coarse = coarse_of(index)) {
        layout->residuals = true;
        if (coarse->quantizer_trains_alone != 1)
            need(layout, int64_t(coarse->nlist), 256 * int64_t(coarse->nlist));
    }
    if (auto *pq = product_quantizer_of(index)) {
        layout->residuals = true;
        need(layout, int64_t(pq->ksub), 256 * int64_t(pq->ksub));
    }
    if (auto *additive = additive_quantizer_of(index)) {
        layout->residuals = true;
        for (size_t bits : additive->nbits)
            need(layout, int64_t(1) << bits, int64_t(256) << bits);
    }
}

void needs_of_transforms(faiss::Index *index, shim_layout_t *layout) {
    auto *front = dynamic_cast<faiss::IndexPreTransform *>(index);
    if (!front)
        return;
    layout->transformed = true;
    for (faiss::VectorTransform *transform : front->chain)
        if (dynamic_cast<faiss::OPQMatrix *>(transform))
            need(layout, 256, 65536);
        else if (!transform->is_trained)
            need(layout, 1, 1000 * int64_t(std::min(transform->d_in, 1024)));
}

size_t link_bytes(const faiss::HNSW &hnsw) {
    double links = 0;
    for (size_t level = 0; level < hnsw.assign_probas.size() && level + 1 < hnsw.cum_nneighbor_per_level.size(); level++)
        links += hnsw.assign_probas[level] * hnsw.cum_nneighbor_per_level[level + 1];
    return size_t(links * sizeof(faiss::HNSW::storage_idx_t) + sizeof(size_t) + sizeof(int));
}

void describe_inner(faiss::Index *inner, shim_layout_t *layout) {
    layout->holds_vectors = is_flat(inner);
    if (auto *codes = dynamic_cast<faiss::IndexFlatCodes *>(inner))
        layout->code_size = codes->code_size;
    if (auto *ivf = dynamic_cast<faiss::IndexIVF *>(inner))
        layout->code_size = ivf->code_size;
    if (auto *graph = dynamic_cast<faiss::IndexHNSW *>(inner)) {
        if (auto *storage = dynamic_cast<faiss::IndexFlatCodes *>(graph->storage))
            layout->code_size = storage->code_size;
        layout->link_size = link_bytes(graph->hnsw);
    }
}

template <class Parameters> void take_what_comes(Parameters &parameters, bool whole) {
    parameters.min_points_per_centroid = 1;
    if (whole)
        parameters.max_points_per_centroid = 1 << 30;
}

void prepare_clusterings(faiss::Index *part) {
    if (auto *coarse = coarse_of(part))
        take_what_comes(coarse->cp, true);
    if (auto *pq = product_quantizer_of(part))
        take_what_comes(pq->cp, false);
    if (auto *residual = dynamic_cast<faiss::ResidualQuantizer *>(additive_quantizer_of(part)))
        take_what_comes(residual->cp, false);
}

// Polysemous training gives the centroids of a PQ another order, for a filter by Hamming distances that no search here asks for: half a minute and
// more for nothing.
void leave_order_of_centroids(faiss::Index *part) {
    if (auto *ivf = dynamic_cast<faiss::IndexIVFPQ *>(part))
        ivf->do_polysemous_training = false;
    if (auto *pq = dynamic_cast<faiss::IndexPQ *>(part))
        pq->do_polysemous_training = false;
}

// Residuals need the centroids back from the quantizer, which inverted lists give only where they know which vector lies where. Without, faiss throws
// inside an OpenMP region.
void remember_places(faiss::Index *part) {
    auto *coarse = coarse_of(part);
    auto *quantizer = coarse ? dynamic_cast<faiss::IndexIVF *>(coarse->quantizer) : nullptr;
    if (quantizer)
        quantizer->set_direct_map_type(faiss::DirectMap::Array);
}

// OPQ clusters with a quantizer of its own that prints about small samples, unless it is lent another.
struct lent_quantizers {
    std::vector<std::unique_ptr<faiss::ProductQuantizer>> lent;
    std::vector<faiss::OPQMatrix *> rotations;

    explicit lent_quantizers(faiss::Index *index) {
        auto *front = dynamic_cast<faiss::IndexPreTransform *>(index);
        for (size_t i = 0; front && i < front->chain.size(); i++) {
            auto *rotation = dynamic_cast<faiss::OPQMatrix *>(front->chain[i]);
            if (!rotation || rotation->pq)
                continue;
            lent.push_back(std::make_unique<faiss::ProductQuantizer>(size_t(rotation->d_out), size_t(rotation->M), size_t(8)));
            take_what_comes(lent.back()->cp, false);
            rotations.push_back(rotation);
            rotation->pq = lent.back().get();
        }
    }
    ~lent_quantizers() {
        for (faiss::OPQMatrix *rotation : rotations)
            rotation->pq = nullptr;
    }
};

void check_quantizer(const faiss::ProductQuantizer &pq, size_t dim) {
    check_that(pq.d == dim && pq.M > 0 && pq.d % pq.M == 0, "the sub-quantizers and the dimension");
    check_that(pq.nbits >= 1 && pq.nbits <= 24 && pq.centroids.size() == pq.d * pq.ksub, "the codebooks");
}

void check_levels(const faiss::HNSW &hnsw, int64_t ntotal) {
    constexpr int most_links = 1 << 16; // of a node in one level
    const std::vector<int> &ends = hnsw.cum_nneighbor_per_level;
    check_that(!hnsw.assign_probas.empty() && ends.size() == hnsw.assign_probas.size() + 1 && ends[0] == 0, "the number of levels");
    for (size_t level = 1; level < ends.size(); level++)
        check_that(ends[level] > ends[level - 1] && ends[level] - ends[level - 1] <= most_links, "the links of a level");
    check_that(ntotal > 0 || hnsw.max_level == -1, "the highest level");
}

// The links of a node in a level, which the nodes at their ends must have too.
void check_links_of(const faiss::HNSW &hnsw, size_t node, int level) {
    size_t begin, end;
    hnsw.neighbor_range(int64_t(node), level, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const int64_t other = hnsw.neighbors[i];
        check_that(other == -1 || (other >= 0 && size_t(other) < hnsw.levels.size() && hnsw.levels[size_t(other)] > level), "a link");
    }
}

void check_links(const faiss::HNSW &hnsw, int64_t ntotal) {
    const size_t n = size_t(ntotal);
    check_that(hnsw.levels.size() == n && hnsw.offsets.size() == n + 1 && hnsw.offsets[0] == 0, "the number of nodes");
    check_that(hnsw.offsets[n] == hnsw.neighbors.size(), "the number of links");
    const int most = int(hnsw.cum_nneighbor_per_level.size());
    for (size_t i = 0; i < n; i++) {
        check_that(hnsw.levels[i] >= 1 && hnsw.levels[i] < most && hnsw.levels[i] <= hnsw.max_level + 1, "the level of a node");
        check_that(hnsw.offsets[i + 1] - hnsw.offsets[i] == size_t(hnsw.cum_nneighbor_per_level[size_t(hnsw.levels[i])]), "the links of a node");
    }
    for (size_t i = 0; i < n; i++)
        for (int level = 0; level < hnsw.levels[i]; level++)
            check_links_of(hnsw, i, level);
    check_that(hnsw.entry_point >= -1 && hnsw.entry_point < ntotal && (ntotal == 0 || hnsw.entry_point >= 0), "the entry point");
    check_that(ntotal == 0 || hnsw.levels[size_t(hnsw.entry_point)] == hnsw.max_level + 1, "the level of the entry point");
}

// Labels of vectors, with which a refinement, say, finds what belongs to them.
void check_labels(const faiss::IndexIVF *ivf, bool are_ids) {
    for (size_t list = 0; list < ivf->nlist; list++) {
        const size_t size = ivf->invlists->list_size(list);
        const faiss::InvertedLists::ScopedIds labels(ivf->invlists, list);
        for (size_t i = 0; i < size; i++)
            check_that(labels[i] >= 0 && (are_ids || labels[i] < ivf->ntotal), "a vector of a list");
    }
}

void check_one(const faiss::Index *index, const faiss::Index *with_ids) {
    check_that(index->d > 0 && index->ntotal >= 0, "the dimension");
    if (auto *codes = dynamic_cast<const faiss::IndexFlatCodes *>(index))
        check_that(codes->code_size > 0 && codes->codes.size() == size_t(codes->ntotal) * codes->code_size, "the number of codes");
    if (auto *pq = product_quantizer_of(const_cast<faiss::Index *>(index)))
        check_quantizer(*pq, size_t(index->d));
    if (auto *ivf = dynamic_cast<const faiss::IndexIVF *>(index)) {
        check_that(ivf->quantizer && ivf->quantizer->d == ivf->d && ivf->nlist > 0, "the lists");
        check_that(!ivf->is_trained || size_t(ivf->quantizer->ntotal) == ivf->nlist, "the centroids");
        check_that(ivf->invlists && ivf->invlists->nlist == ivf->nlist, "the inverted lists");
        check_labels(ivf, index == with_ids);
    }
    if (auto *scalar = dynamic_cast<const faiss::IndexIVFScalarQuantizer *>(index))
        check_that(scalar->sq.d == size_t(scalar->d) && scalar->sq.code_size == scalar->code_size, "the scalar quantizer");
    if (auto *graph = dynamic_cast<const faiss::IndexHNSW *>(index)) {
        check_that(graph->storage && graph->storage->d == graph->d && graph->storage->ntotal == graph->ntotal, "the stored vectors");
        check_levels(graph->hnsw, graph->ntotal);
        check_links(graph->hnsw, graph->ntotal);
    }
}

void check_transforms(const faiss::IndexPreTransform *front) {
    int dim = front->d;
    for (const faiss::VectorTransform *transform : front->chain) {
        check_that(transform->d_in == dim && transform->d_out > 0, "the transforms");
        dim = transform->d_out;
    }
    check_that(front->index && front->index->d == dim, "the transforms and the index behind them");
}

// Counts what is written, without looking at it.
struct counting_writer : faiss::IOWriter {
    size_t bytes = 0;
    size_t operator()(const void *, size_t size, size_t count) override {
        bytes += size * count;
        return count;
    }
};

} // namespace

extern "C" {

const char *shim_error(void) {
    return last_error;
}

const char *shim_faiss_version(void) {
#define TEXT(number) #number
#define TEXT_OF(number) TEXT(number)
    return TEXT_OF(FAISS_VERSION_MAJOR) "." TEXT_OF(FAISS_VERSION_MINOR) "." TEXT_OF(FAISS_VERSION_PATCH);
}

const char *shim_simd_level(void) {
    try {
        std::string options = faiss::get_compile_options();
        for (const char *level : {"AVX512", "AVX2", "NEON", "SVE"})
            if (options.find(level) != std::string::npos)
                return level;
    } catch (...) { // what cannot be asked counts as the lowest level
    }
    return "generic";
}

void shim_prefer_heaps(void) {
    faiss::distance_compute_min_k_reservoir = 1 << 30;
}

namespace {

// Of the training that this thread is at.
thread_local const int *training_is_cancelled = nullptr;

struct cancelling : faiss::InterruptCallback {
    bool want_interrupt() override {
        return training_is_cancelled && __atomic_load_n(training_is_cancelled, __ATOMIC_RELAXED) != 0;
    }
};

struct cancelled_by {
    explicit cancelled_by(const int *flag) {
        training_is_cancelled = flag;
    }
    ~cancelled_by() {
        training_is_cancelled = nullptr;
    }
};

} // namespace

void shim_allow_cancelling(void) {
    guarded([] {
        if (!faiss::InterruptCallback::instance)
            faiss::InterruptCallback::instance.reset(new cancelling);
    });
}

int shim_describe(FaissIndex *handle, shim_layout_t *out) {
    return guarded([&] {
        shim_layout_t layout = {};
        faiss::Index *index = index_of(handle);
        faiss::Index *inner = behind_transforms(index);
        layout.kind = kind_of(inner);
        layout.inner = handle_of(inner);
        layout.type = type_of(inner);
        needs_of_transforms(index, &layout);
        for_each_index(index, [&](faiss::Index *part) {
            needs_of(part, &layout);
            auto *ivf = dynamic_cast<faiss::IndexIVF *>(part);
            if (ivf && layout.lists == 0)
                layout.lists = int64_t(ivf->nlist);
            layout.by_map = layout.by_map || dynamic_cast<faiss::IndexIDMap *>(part);
        });
        if (!index->is_trained)
            need(&layout, 1, 65536);
        layout.walks = walks_graph(index);
        describe_inner(inner, &layout);
        *out = layout;
    });
}

int shim_train(FaissIndex *handle, int64_t n, const float *x, const int *cancelled) {
    return guarded([&] {
        cancelled_by flag(cancelled);
        faiss::Index *index = index_of(handle);
        for_each_index(index, prepare_clusterings);
        for_each_index(index, leave_order_of_centroids);
        for_each_index(index, remember_places);
        lent_quantizers lent(index);
        index->train(n, x);
    });
}

int shim_check(const FaissIndex *handle, bool labels_are_rows) {
    return guarded([&] {
        faiss::Index *index = const_cast<faiss::Index *>(index_of(handle));
        if (auto *front = dynamic_cast<faiss::IndexPreTransform *>(index))
            check_transforms(front);
        const faiss::Index *inner = behind_transforms(index);
        const faiss::Index *with_ids = !labels_are_rows && lists_have_ids(inner) ? inner : nullptr;
        for_each_index(index, [&](faiss::Index *part) { check_one(part, with_ids); });
    });
}

int shim_transform(const FaissIndex *handle, int64_t n, const float *x, float *to) {
    return guarded([&] {
        auto *front = dynamic_cast<const faiss::IndexPreTransform *>(index_of(handle));
        check_that(front && !front->chain.empty(), "there are no transforms");
        std::unique_ptr<float[]> between;
        for (size_t i = 0; i < front->chain.size(); i++) {
            const faiss::VectorTransform *transform = front->chain[i];
            if (i + 1 == front->chain.size()) {
                transform->apply_noalloc(n, x, to);
            } else {
                std::unique_ptr<float[]> next(transform->apply(n, x));
                between.swap(next);
                x = between.get();
            }
        }
    });
}

int shim_encode_for_lists(const FaissIndex *handle, int64_t n, const float *x, const int64_t *lists, uint8_t *codes) {
    return guarded([&] {
        auto *ivf = dynamic_cast<const faiss::IndexIVF *>(index_of(handle));
        check_that(ivf, "there are no lists");
        ivf->encode_vectors(n, x, lists, codes);
    });
}

int shim_index_bytes(const FaissIndex *handle, size_t *bytes) {
    return guarded([&] {
        counting_writer writer;
        faiss::write_index(index_of(handle), &writer);
        *bytes = writer.bytes;
    });
}

int shim_copy_graph(const FaissIndex *handle, FaissIndex **out) {
    return guarded([&] {
        // faiss's own clone forgets which kind of graph it copies, and then cannot write it.
        const faiss::Index *index = index_of(handle);
        std::unique_ptr<faiss::IndexHNSW> copy;
        if (is_exactly<faiss::IndexHNSWFlat>(index))
            copy.reset(new faiss::IndexHNSWFlat(*static_cast<const faiss::IndexHNSWFlat *>(index)));
        else if (is_exactly<faiss::IndexHNSWSQ>(index))
            copy.reset(new faiss::IndexHNSWSQ(*static_cast<const faiss::IndexHNSWSQ *>(index)));
        else if (is_exactly<faiss::IndexHNSWPQ>(index))
            copy.reset(new faiss::IndexHNSWPQ(*static_cast<const faiss::IndexHNSWPQ *>(index)));
        check_that(copy != nullptr, "it is no graph");
        const faiss::Index *storage = copy->storage;
        copy->own_fields = false;
        copy->storage = faiss::clone_index(storage);
        copy->own_fields = true;
        *out = handle_of(copy.release());
    });
}

int shim_copy_index(const FaissIndex *handle, FaissIndex **out) {
    return guarded([&] {
        faiss::VectorIOWriter writer;
        faiss::write_index(index_of(handle), &writer);
        faiss::VectorIOReader reader;
        reader.data.swap(writer.data);
        *out = handle_of(faiss::read_index(&reader));
    });
}

} // extern "C"
