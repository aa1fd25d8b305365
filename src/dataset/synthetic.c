#include "dataset/synthetic.h"

#include <stdlib.h>

#include "base/random.h"

/* Fixed point: latent values and the entries of the matrix count in 1/ONE, the components of a row in 1/ONE^2. A normal number stays within 3.5
 * standard deviations: the sum over the latent dimensions stays below 24 * (7 * 2^10) * (1.2 * 2^10), far below 2^31. */
enum { LATENT = 24, ONE = 1 << 10 };

/* Chosen by trying: with 200,000 x 96 rows, inverted lists of faiss (4 sqrt(n) lists, 10 neighbours) find 0.27 with 1 probe and 0.93 with 32, for l2;
 * dot and cosine are alike. The weight of latent dimension i is 2 / (6 + i); the noise has a standard deviation of 1/16. */
enum { WEIGHT_TOP = 2, WEIGHT_BOTTOM = 6, NOISE = ONE / 16 };

static const float row_unit = 0x1p-20f;

/* Components have a standard deviation near 1. As integers they use most of the range: 1 becomes 32, and u8 lies around 128. Both steps are exact in
 * fp32 but for the rounding of the sum, so that it does not matter whether the compiler fuses them. */
static const float integer_unit = 32 * 0x1p-20f, u8_centre = 128;

enum { STREAM_BASE, STREAM_QUERIES, STREAM_CENTRES, STREAM_AXES, STREAMS };

/* Rows are made in pieces of this many components, which stay in the first-level cache. */
enum { PIECE = 512 };

struct synthetic {
    int64_t dim;
    int64_t clusters;
    element_t element;
    uint64_t seeds[STREAMS];
    int16_t *centres; /* [clusters][LATENT] */
    int16_t *axes;    /* [LATENT][dim] */
};

/* A normal number, times ONE: the sum of four uniform ones, which needs no logarithm and so is the same everywhere. */
static int32_t normal(random_state_t *state) {
    uint64_t bits = random_u64(state);
    int32_t sum = (int32_t)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48)) - 2 * 65535;
    /* Standard deviation of the sum: 65536 / sqrt(3). */
    return (int32_t)((int64_t)sum * ONE * 1732 / (65536 * 1000));
}

static void fill_centres(synthetic_t *synthetic) {
    for (int64_t cluster = 0; cluster < synthetic->clusters; cluster++) {
        random_state_t state = random_stream(synthetic->seeds[STREAM_CENTRES], (uint64_t)cluster);
        for (int i = 0; i < LATENT; i++)
            synthetic->centres[cluster * LATENT + i] = (int16_t)(normal(&state));
    }
}

static void fill_axes(synthetic_t *synthetic) {
    for (int axis = 0; axis < LATENT; axis++) {
        random_state_t state = random_stream(synthetic->seeds[STREAM_AXES], (uint64_t)axis);
        for (int64_t i = 0; i < synthetic->dim; i++)
            synthetic->axes[axis * synthetic->dim + i] = (int16_t)(normal(&state) * WEIGHT_TOP / (WEIGHT_BOTTOM + axis));
    }
}

dfaiss_status_t synthetic_create(uint64_t seed, int64_t dim, int64_t clusters, element_t element, synthetic_t **out, dfaiss_error_t *err) {
    synthetic_t *synthetic = calloc(1, sizeof *synthetic);
    if (!synthetic)
        return error_memory(err, sizeof *synthetic, "generating vectors");
    synthetic->dim = dim;
    synthetic->clusters = clusters;
    synthetic->element = element;
    for (int stream = 0; stream < STREAMS; stream++) {
        random_state_t state = random_stream(seed, (uint64_t)stream);
        synthetic->seeds[stream] = random_u64(&state);
    }
    synthetic->centres = calloc((size_t)clusters, LATENT * sizeof *synthetic->centres);
    synthetic->axes = calloc((size_t)dim, LATENT * sizeof *synthetic->axes);
    if (!synthetic->centres || !synthetic->axes) {
        synthetic_destroy(synthetic);
        return error_memory(err, (size_t)clusters * LATENT * sizeof *synthetic->centres, "the centres of clusters");
    }
    fill_centres(synthetic);
    fill_axes(synthetic);
    *out = synthetic;
    return DFAISS_OK;
}

void synthetic_destroy(synthetic_t *synthetic) {
    if (!synthetic)
        return;
    free(synthetic->centres);
    free(synthetic->axes);
    free(synthetic);
}

static void draw_latent(const synthetic_t *synthetic, random_state_t *state, int32_t *latent) {
    const int16_t *centre = synthetic->centres + (int64_t)random_below(state, (uint64_t)synthetic->clusters) * LATENT;
    for (int i = 0; i < LATENT; i++)
        latent[i] = centre[i] + normal(state);
}

static void add_axis(int32_t *sums, const int16_t *axis, int32_t weight, int64_t count) {
    int16_t factor = (int16_t)weight;
    for (int64_t i = 0; i < count; i++)
        sums[i] += (int32_t)axis[i] * factor;
}

static void convert(const synthetic_t *synthetic, const int32_t *sums, int64_t count, uint8_t *out) {
    float values[PIECE];
    element_t element = synthetic->element;
    float unit = element == ELEMENT_u8 || element == ELEMENT_i8 ? integer_unit : row_unit;
    float centre = element == ELEMENT_u8 ? u8_centre : 0;
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)sums[i] * unit + centre;
    element_narrow(element, values, (size_t)count, out);
}

static void make_row(const synthetic_t *synthetic, uint64_t stream_seed, int64_t row, uint8_t *out) {
    random_state_t state = random_stream(stream_seed, (uint64_t)row);
    int32_t latent[LATENT], sums[PIECE];
    draw_latent(synthetic, &state, latent);
    for (int64_t first = 0; first < synthetic->dim; first += PIECE) {
        int64_t count = synthetic->dim - first < PIECE ? synthetic->dim - first : PIECE;
        for (int64_t i = 0; i < count; i++)
            sums[i] = normal(&state) * NOISE;
        for (int axis = 0; axis < LATENT; axis++)
            add_axis(sums, synthetic->axes + axis * synthetic->dim + first, latent[axis], count);
        convert(synthetic, sums, count, out + (size_t)first * element_size(synthetic->element));
    }
}

void synthetic_rows(const synthetic_t *synthetic, synthetic_part_t part, int64_t first, int64_t n, void *out) {
    size_t row_bytes = (size_t)synthetic->dim * element_size(synthetic->element);
    uint64_t seed = synthetic->seeds[part == SYNTHETIC_BASE ? STREAM_BASE : STREAM_QUERIES];
    for (int64_t row = 0; row < n; row++)
        make_row(synthetic, seed, first + row, (uint8_t *)out + (size_t)row * row_bytes);
}
