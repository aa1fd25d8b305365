// Inside the shim's C++ files: how their calls begin and end. Everything that may throw runs inside guarded(), which turns exceptions into codes and
// a text.
#ifndef ENGINE_SHIM_GUARD_H
#define ENGINE_SHIM_GUARD_H

#include "engine/shim.h"

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include <faiss/Index.h>

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

#endif
