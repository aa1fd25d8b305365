// The C++ side of shim.h for whole indexes with ids: what plain faiss programs read, and what they have written.
#include "engine/shim_guard.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include <faiss/IndexFlatCodes.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <faiss/invlists/InvertedLists.h>

namespace {

std::unique_ptr<faiss::Index> copy_of(const faiss::Index *index) {
    faiss::VectorIOWriter writer;
    faiss::write_index(index, &writer);
    faiss::VectorIOReader reader;
    reader.data.swap(writer.data);
    return std::unique_ptr<faiss::Index>(faiss::read_index(&reader));
}

// ---- indexes that get ids ----

// The numbers of vectors that all indexes of a chain keep, each its own.
void count_in(faiss::Index *index, int64_t n) {
    for (; index; index = next_inside(index))
        index->ntotal += n;
}

faiss::IndexIDMap *map_of(faiss::Index *plain) {
    return dynamic_cast<faiss::IndexIDMap *>(plain);
}

faiss::Index *inner_of(faiss::Index *plain) {
    auto *map = map_of(plain);
    return behind_transforms(map ? map->index : plain);
}

void note_ids(faiss::IndexIDMap *map, int64_t n, const int64_t *ids) {
    map->id_map.insert(map->id_map.end(), ids, ids + n);
}

// ---- indexes without their vectors ----

// Takes an index's vectors out for as long as it lives.
struct codes_aside {
    faiss::IndexFlatCodes *index;
    decltype(faiss::IndexFlatCodes::codes) codes;
    int64_t ntotal;

    explicit codes_aside(faiss::Index *from) : index(dynamic_cast<faiss::IndexFlatCodes *>(from)), ntotal(from->ntotal) {
        check_that(index, "the codes");
        std::swap(codes, index->codes);
        index->ntotal = 0;
    }
    ~codes_aside() {
        std::swap(codes, index->codes);
        index->ntotal = ntotal;
    }
};

struct lists_aside {
    faiss::IndexIVF *ivf;
    faiss::ArrayInvertedLists none;
    faiss::InvertedLists *lists;
    faiss::DirectMap map;
    size_t nprobe;
    int64_t ntotal;

    explicit lists_aside(faiss::IndexIVF *from)
        : ivf(from), none(from->nlist, from->code_size), lists(from->invlists), nprobe(from->nprobe), ntotal(from->ntotal) {
        std::swap(map, ivf->direct_map);
        ivf->invlists = &none;
        ivf->nprobe = 1;
        ivf->ntotal = 0;
    }
    ~lists_aside() {
        ivf->invlists = lists;
        ivf->nprobe = nprobe;
        ivf->ntotal = ntotal;
        std::swap(map, ivf->direct_map);
    }
};

struct graph_aside {
    faiss::IndexHNSW *graph;
    faiss::HNSW empty, full;
    codes_aside codes;
    int64_t ntotal;

    explicit graph_aside(faiss::IndexHNSW *from) : graph(from), codes(from->storage), ntotal(from->ntotal) {
        empty.assign_probas = graph->hnsw.assign_probas;
        empty.cum_nneighbor_per_level = graph->hnsw.cum_nneighbor_per_level;
        empty.efConstruction = graph->hnsw.efConstruction;
        std::swap(graph->hnsw, full);
        std::swap(graph->hnsw, empty);
        graph->ntotal = 0;
    }
    ~graph_aside() {
        std::swap(graph->hnsw, full);
        graph->ntotal = ntotal;
    }
};

// ---- what was read ----

void check_scalar(const faiss::ScalarQuantizer &sq, const faiss::Index *index, size_t code_size) {
    using Quantizer = faiss::ScalarQuantizer;
    check_that(sq.d == size_t(index->d) && sq.code_size == code_size && code_size == Quantizer(sq.d, sq.qtype).code_size, "the scalar quantizer");
    const bool uniform = sq.qtype == Quantizer::QT_8bit_uniform || sq.qtype == Quantizer::QT_4bit_uniform;
    const bool ranged = sq.qtype == Quantizer::QT_8bit || sq.qtype == Quantizer::QT_6bit || sq.qtype == Quantizer::QT_4bit;
    if (index->is_trained && (uniform || ranged))
        check_that(sq.trained.size() == (uniform ? 2 : 2 * sq.d), "the ranges of the scalar quantizer");
}

// Sizes of codes by which memory is read.
void check_sizes(const faiss::Index *index) {
    if (auto *graph = dynamic_cast<const faiss::IndexHNSW *>(index))
        return check_sizes(graph->storage);
    if (auto *scalar = dynamic_cast<const faiss::IndexScalarQuantizer *>(index))
        check_scalar(scalar->sq, index, scalar->code_size);
    if (auto *scalar = dynamic_cast<const faiss::IndexIVFScalarQuantizer *>(index))
        check_scalar(scalar->sq, index, scalar->code_size);
    if (auto *pq = dynamic_cast<const faiss::IndexPQ *>(index))
        check_that(pq->code_size == pq->pq.code_size, "the size of codes");
    if (auto *pq = dynamic_cast<const faiss::IndexIVFPQ *>(index))
        check_that(pq->code_size == pq->pq.code_size, "the size of codes");
}

void check_lists(const faiss::IndexIVF *ivf) {
    size_t all = 0;
    check_that(ivf->invlists->code_size == ivf->code_size, "the size of codes in the lists");
    for (size_t list = 0; list < ivf->nlist; list++)
        all += ivf->invlists->list_size(list);
    check_that(all == size_t(ivf->ntotal), "the number of vectors in the lists");
}

} // namespace

extern "C" {

int shim_plain_new(const FaissIndex *model, FaissIndex **out) {
    return guarded([&] {
        std::unique_ptr<faiss::Index> copy = copy_of(index_of(model));
        if (!lists_have_ids(behind_transforms(copy.get()))) {
            auto *map = new faiss::IndexIDMap2(copy.get());
            map->own_fields = true;
            (void)copy.release();
            copy.reset(map);
        }
        *out = handle_of(copy.release());
    });
}

int shim_plain_reserve(FaissIndex *handle, int64_t n) {
    return guarded([&] {
        faiss::IndexIDMap *map = map_of(index_of(handle));
        auto *codes = map ? dynamic_cast<faiss::IndexFlatCodes *>(inner_of(map)) : nullptr;
        if (map)
            map->id_map.reserve(map->id_map.size() + size_t(n));
        if (codes) {
            const size_t size = codes->codes.size();
            codes->codes.resize(size + size_t(n) * codes->code_size);
            codes->codes.resize(size);
        }
    });
}

int shim_plain_append(FaissIndex *handle, int64_t list, int64_t n, const uint8_t *codes, const int64_t *ids) {
    return guarded([&] {
        faiss::Index *plain = index_of(handle), *inner = inner_of(plain);
        auto *ivf = dynamic_cast<faiss::IndexIVF *>(inner);
        auto *flat = dynamic_cast<faiss::IndexFlatCodes *>(inner);
        if (ivf && !map_of(plain)) {
            ivf->invlists->add_entries(size_t(list), size_t(n), ids, codes);
        } else {
            check_that(flat && map_of(plain), "codes and this kind of index");
            const size_t size = flat->codes.size();
            flat->codes.resize(size + size_t(n) * flat->code_size);
            std::memcpy(flat->codes.data() + size, codes, size_t(n) * flat->code_size);
            note_ids(map_of(plain), n, ids);
        }
        count_in(plain, n);
    });
}

int shim_plain_put(FaissIndex *handle, FaissIndex *taken, const int64_t *ids) {
    return guarded([&] {
        std::unique_ptr<faiss::Index> index(index_of(taken));
        faiss::IndexIDMap *map = map_of(index_of(handle));
        check_that(map && map->ntotal == 0, "a graph and an index that holds vectors");
        note_ids(map, index->ntotal, ids);
        auto *front = dynamic_cast<faiss::IndexPreTransform *>(map->index);
        faiss::Index *&place = front ? front->index : map->index;
        delete place;
        place = index.release();
        map->ntotal = place->ntotal;
        map->index->ntotal = place->ntotal;
    });
}

int shim_plain_unwrap(FaissIndex **handle, int64_t **ids) {
    return guarded([&] {
        faiss::IndexIDMap *map = map_of(index_of(*handle));
        if (!map)
            return;
        const size_t bytes = map->id_map.size() * sizeof(int64_t);
        auto *copied = static_cast<int64_t *>(std::malloc(bytes + 1));
        if (!copied)
            throw std::bad_alloc();
        std::copy(map->id_map.begin(), map->id_map.end(), copied);
        *ids = copied;
        *handle = handle_of(map->index);
        map->own_fields = false;
        delete map;
    });
}

int shim_plain_empty(FaissIndex *handle, FaissIndex **out) {
    return guarded([&] {
        faiss::Index *index = index_of(handle), *inner = behind_transforms(index);
        const int64_t ntotal = index->ntotal;
        std::unique_ptr<faiss::Index> made;
        if (auto *graph = dynamic_cast<faiss::IndexHNSW *>(inner)) {
            graph_aside aside(graph);
            made = copy_of(index);
        } else if (lists_have_ids(inner)) {
            lists_aside aside(static_cast<faiss::IndexIVF *>(inner));
            made = copy_of(index);
        } else if (dynamic_cast<faiss::IndexFlatCodes *>(inner)) {
            codes_aside aside(inner);
            made = copy_of(index);
        } else {
            made = copy_of(index);
            made->reset();
        }
        made->ntotal = 0;
        index->ntotal = ntotal;
        *out = handle_of(made.release());
    });
}

int shim_plain_take_inner(FaissIndex *handle, FaissIndex **inner) {
    return guarded([&] {
        faiss::Index *index = index_of(handle);
        if (auto *front = dynamic_cast<faiss::IndexPreTransform *>(index)) {
            *inner = handle_of(front->index);
            front->index = nullptr;
            delete front;
        } else {
            *inner = handle;
        }
    });
}

int shim_plain_codes(const FaissIndex *inner, const uint8_t **codes) {
    return guarded([&] {
        auto *flat = dynamic_cast<const faiss::IndexFlatCodes *>(index_of(inner));
        check_that(flat, "the codes");
        *codes = flat->codes.data();
    });
}

int shim_plain_list_size(const FaissIndex *inner, int64_t list, int64_t *size) {
    return guarded([&] {
        auto *ivf = dynamic_cast<const faiss::IndexIVF *>(index_of(inner));
        check_that(ivf && list >= 0 && size_t(list) < ivf->nlist, "the lists");
        *size = int64_t(ivf->invlists->list_size(size_t(list)));
    });
}

int shim_plain_read_list(const FaissIndex *inner, int64_t list, uint8_t *codes, int64_t *ids) {
    return guarded([&] {
        auto *ivf = dynamic_cast<const faiss::IndexIVF *>(index_of(inner));
        check_that(ivf && list >= 0 && size_t(list) < ivf->nlist, "the lists");
        const size_t number = size_t(list), size = ivf->invlists->list_size(number);
        faiss::InvertedLists::ScopedIds from_ids(ivf->invlists, number);
        std::copy(from_ids.get(), from_ids.get() + size, ids);
        if (!codes)
            return;
        faiss::InvertedLists::ScopedCodes from_codes(ivf->invlists, number);
        std::memcpy(codes, from_codes.get(), size * ivf->code_size);
    });
}

int shim_plain_check(const FaissIndex *handle) {
    const faiss::Index *mapped = nullptr;
    int code = guarded([&] {
        const faiss::Index *index = index_of(handle);
        auto *map = dynamic_cast<const faiss::IndexIDMap *>(index);
        if (map)
            check_that(map->index && map->index->d == map->d && map->index->ntotal == map->ntotal && map->id_map.size() == size_t(map->ntotal),
                       "the ids and the index that they are of");
        mapped = map ? map->index : index;
        auto *front = dynamic_cast<const faiss::IndexPreTransform *>(mapped);
        if (front)
            check_that(front->index && front->index->ntotal == front->ntotal, "the transforms and the index behind them");
    });
    if (code == SHIM_OK)
        code = shim_check(handle_of(const_cast<faiss::Index *>(mapped)), mapped != index_of(handle));
    if (code != SHIM_OK)
        return code;
    return guarded([&] {
        faiss::Index *inner = behind_transforms(const_cast<faiss::Index *>(mapped));
        check_sizes(inner);
        if (lists_have_ids(inner))
            check_lists(static_cast<const faiss::IndexIVF *>(inner));
    });
}

} // extern "C"
