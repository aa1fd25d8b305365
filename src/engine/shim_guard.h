// Inside the shim's C++ files: how their calls begin and end. Everything that may throw runs inside guarded(), which turns exceptions into codes and
// a text.
#ifndef ENGINE_SHIM_GUARD_H
#define ENGINE_SHIM_GUARD_H

#include "engine/shim.h"

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <typeinfo>

#include <faiss/Index.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexScalarQuantizer.h>

// Keeps the text for shim_error(); returns SHIM_FAILED.
int shim_fail(const char *text);

template <class Body> int guarded(Body body) noexcept {
    try {
        body();
        return SHIM_OK;
    } catch (const std::bad_alloc &) {
        shim_fail("not enough memory");
        return SHIM_NO_MEMORY;
    } catch (const std::exception &error) {
        return shim_fail(error.what());
    } catch (...) {
        return shim_fail("an unknown exception");
    }
}

inline void check_that(bool condition, const char *what) {
    if (!condition)
        throw std::runtime_error(std::string("its parts do not fit each other: ") + what);
}

inline faiss::Index *index_of(FaissIndex *handle) {
    return reinterpret_cast<faiss::Index *>(handle);
}

inline const faiss::Index *index_of(const FaissIndex *handle) {
    return reinterpret_cast<const faiss::Index *>(handle);
}

inline FaissIndex *handle_of(faiss::Index *index) {
    return reinterpret_cast<FaissIndex *>(index);
}

// The index behind the transforms in front.
inline faiss::Index *behind_transforms(faiss::Index *index) {
    auto *transformed = dynamic_cast<faiss::IndexPreTransform *>(index);
    return transformed ? transformed->index : index;
}

// What ids or transforms are put around; NULL: nothing.
inline faiss::Index *next_inside(faiss::Index *index) {
    if (auto *map = dynamic_cast<faiss::IndexIDMap *>(index))
        return map->index;
    auto *transformed = dynamic_cast<faiss::IndexPreTransform *>(index);
    return transformed ? transformed->index : nullptr;
}

template <class Exact> bool is_exactly(const faiss::Index *index) {
    return typeid(*index) == typeid(Exact);
}

// Inverted lists of codes, each with the label of its vector beside it.
inline bool lists_have_ids(const faiss::Index *index) {
    return is_exactly<faiss::IndexIVFFlat>(index) || is_exactly<faiss::IndexIVFPQ>(index) || is_exactly<faiss::IndexIVFScalarQuantizer>(index);
}

#endif
