#include "base/element.h"

#include <math.h>
#include <string.h>

/* Compiled for the oldest processor and once more for one with AVX2; the loader picks. (A name like haswell in place of the feature would leave other
 * makers' processors with the oldest version.) */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORIZED __attribute__((target_clones("default", "avx2"), optimize("O3")))
#else
#define VECTORIZED
#endif

static const struct {
    const char *name;
    size_t size;
} elements[] = {
#define ELEMENT_ROW(name, bytes) {#name, bytes},
    ELEMENT_MAP(ELEMENT_ROW)
#undef ELEMENT_ROW
};

size_t element_size(element_t element) {
    return (unsigned)element < ELEMENT_COUNT ? elements[element].size : 0;
}

const char *element_name(element_t element) {
    return (unsigned)element < ELEMENT_COUNT ? elements[element].name : "?";
}

bool element_from_name(const char *name, element_t *element) {
    for (int i = 0; i < ELEMENT_COUNT; i++) {
        if (strcmp(name, elements[i].name) == 0) {
            *element = (element_t)i;
            return true;
        }
    }
    return false;
}

/* target_clones does not know F16C, so this one is picked by hand. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target("avx2,f16c"), optimize("O3"))) static bool widen_f16_f16c(const _Float16 *from, size_t count, float *to) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("f16c"))
        return false;
    for (size_t i = 0; i < count; i++)
        to[i] = (float)from[i];
    return true;
}
#else
static bool widen_f16_f16c(const _Float16 *from, size_t count, float *to) {
    (void)from, (void)count, (void)to;
    return false;
}
#endif

static void widen_f16(const _Float16 *from, size_t count, float *to) {
    if (widen_f16_f16c(from, count, to))
        return;
    for (size_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

VECTORIZED static void widen_u8(const uint8_t *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

VECTORIZED static void widen_i8(const int8_t *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

void element_widen(element_t element, const void *from, size_t count, float *to) {
    switch (element) {
    case ELEMENT_f32:
        if (count)
            memcpy(to, from, count * sizeof *to);
        break;
    case ELEMENT_f16:
        widen_f16(from, count, to);
        break;
    case ELEMENT_u8:
        widen_u8(from, count, to);
        break;
    case ELEMENT_i8:
        widen_i8(from, count, to);
        break;
    case ELEMENT_COUNT:
        break;
    }
}

/* A NaN becomes low: its conversion to an integer would be undefined. */
static float clamped_round(float value, float low, float high) {
    float rounded = roundf(value);
    return rounded > low ? fminf(rounded, high) : low;
}

void element_narrow(element_t element, const float *from, size_t count, void *to) {
    switch (element) {
    case ELEMENT_f32:
        if (count)
            memcpy(to, from, count * sizeof *from);
        break;
    case ELEMENT_f16:
        for (size_t i = 0; i < count; i++)
            ((_Float16 *)to)[i] = (_Float16)from[i];
        break;
    case ELEMENT_u8:
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = (uint8_t)clamped_round(from[i], 0, 255);
        break;
    case ELEMENT_i8:
        for (size_t i = 0; i < count; i++)
            ((int8_t *)to)[i] = (int8_t)clamped_round(from[i], -128, 127);
        break;
    case ELEMENT_COUNT:
        break;
    }
}

/* Not finite is an exponent of ones. The loop has no exit so that the compiler vectorizes it; the place is looked for only when there is one. */
VECTORIZED static uint32_t any_not_finite_f32(const uint32_t *bits, size_t count) {
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++)
        found |= (bits[i] & 0x7f800000u) == 0x7f800000u;
    return found;
}

VECTORIZED static uint16_t any_not_finite_f16(const uint16_t *bits, size_t count) {
    uint16_t found = 0;
    for (size_t i = 0; i < count; i++)
        found |= (uint16_t)((bits[i] & 0x7c00u) == 0x7c00u);
    return found;
}

static size_t first_not_finite_f32(const uint32_t *bits, size_t count) {
    size_t i = 0;
    if (any_not_finite_f32(bits, count) == 0)
        return count;
    while ((bits[i] & 0x7f800000u) != 0x7f800000u)
        i++;
    return i;
}

static size_t first_not_finite_f16(const uint16_t *bits, size_t count) {
    size_t i = 0;
    if (any_not_finite_f16(bits, count) == 0)
        return count;
    while ((bits[i] & 0x7c00u) != 0x7c00u)
        i++;
    return i;
}

size_t element_first_not_finite(element_t element, const void *components, size_t count) {
    switch (element) {
    case ELEMENT_f32:
        return first_not_finite_f32(components, count);
    case ELEMENT_f16:
        return first_not_finite_f16(components, count);
    default:
        return count;
    }
}

void element_normalize(float *rows, int64_t n, int64_t dim) {
    for (int64_t row = 0; row < n; row++) {
        float *x = rows + row * dim;
        double sum = 0;
        for (int64_t i = 0; i < dim; i++)
            sum += (double)x[i] * (double)x[i];
        if (sum == 0)
            continue;
        /* In double: the reciprocal of a length below 2^-128 is no float. */
        double scale = 1 / sqrt(sum);
        for (int64_t i = 0; i < dim; i++)
            x[i] = (float)((double)x[i] * scale);
    }
}
