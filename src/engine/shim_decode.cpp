// The C++ side of shim.h that goes from codes back to vectors. faiss's own calls for many codes open OpenMP teams: here it is one code after the
// other.
#include "engine/shim_guard.h"

#include <cstring>
#include <memory>
#include <vector>

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/VectorTransform.h>

struct shim_decoder {
    // One of these, or codes are vectors as they are.
    std::unique_ptr<faiss::ScalarQuantizer::SQuantizer> scalar;
    const faiss::ProductQuantizer *product = nullptr;
    size_t dim = 0;
    // Codes are of what is left of a vector without its list's centroid.
    const faiss::Index *quantizer = nullptr;
    std::vector<float> centroid;
};

namespace {

std::unique_ptr<shim_decoder> decoder_of(const faiss::Index *index) {
    auto made = std::make_unique<shim_decoder>();
    if (auto *graph = dynamic_cast<const faiss::IndexHNSW *>(index))
        index = graph->storage;
    made->dim = size_t(index->d);
    bool residual = false;
    if (auto *scalar = dynamic_cast<const faiss::IndexScalarQuantizer *>(index)) {
        made->scalar.reset(scalar->sq.select_quantizer());
    } else if (auto *pq = dynamic_cast<const faiss::IndexPQ *>(index)) {
        made->product = &pq->pq;
    } else if (auto *ivf_scalar = dynamic_cast<const faiss::IndexIVFScalarQuantizer *>(index)) {
        made->scalar.reset(ivf_scalar->sq.select_quantizer());
        residual = ivf_scalar->by_residual;
    } else if (auto *ivf_pq = dynamic_cast<const faiss::IndexIVFPQ *>(index)) {
        made->product = &ivf_pq->pq;
        residual = ivf_pq->by_residual;
    } else {
        check_that(dynamic_cast<const faiss::IndexFlat *>(index) || dynamic_cast<const faiss::IndexIVFFlat *>(index), "its codes cannot be decoded");
    }
    if (residual) {
        made->quantizer = dynamic_cast<const faiss::IndexIVF *>(index)->quantizer;
        made->centroid.resize(made->dim);
    }
    return made;
}

} // namespace

extern "C" {

int shim_decoder_new(const FaissIndex *handle, shim_decoder_t **out) {
    return guarded([&] { *out = decoder_of(index_of(handle)).release(); });
}

void shim_decoder_free(shim_decoder_t *decoder) {
    delete decoder;
}

int shim_decoder_decode(shim_decoder_t *decoder, int64_t list, const uint8_t *code, float *to) {
    return guarded([&] {
        if (decoder->scalar)
            decoder->scalar->decode_vector(code, to);
        else if (decoder->product)
            decoder->product->decode(code, to);
        else
            std::memcpy(to, code, decoder->dim * sizeof(float));
        if (!decoder->quantizer)
            return;
        decoder->quantizer->reconstruct(list, decoder->centroid.data());
        for (size_t i = 0; i < decoder->dim; i++)
            to[i] += decoder->centroid[i];
    });
}

int shim_reconstruct(const FaissIndex *handle, int64_t row, float *to) {
    return guarded([&] {
        const faiss::Index *index = index_of(handle);
        // Inverted lists that do not know where a row lies look for it.
        auto *ivf = dynamic_cast<const faiss::IndexIVF *>(index);
        if (ivf && ivf->direct_map.no())
            index->reconstruct_n(row, 1, to);
        else
            index->reconstruct(row, to);
    });
}

int shim_reverse_transform(const FaissIndex *handle, int64_t n, const float *x, float *to) {
    return guarded([&] {
        auto *front = dynamic_cast<const faiss::IndexPreTransform *>(index_of(handle));
        check_that(front && !front->chain.empty(), "there are no transforms");
        std::vector<float> between;
        for (size_t i = front->chain.size(); i-- > 0;) {
            const faiss::VectorTransform *transform = front->chain[i];
            // faiss takes any matrix for a rotation once it was read from bytes.
            auto *pca = dynamic_cast<const faiss::PCAMatrix *>(transform);
            check_that(!pca || pca->eigen_power == 0, "whitening cannot be taken back");
            std::vector<float> next(i ? size_t(n) * size_t(transform->d_in) : 0);
            transform->reverse_transform(n, x, i ? next.data() : to);
            between.swap(next);
            x = between.data();
        }
    });
}

} // extern "C"
