/* The types that the components of a vector can have in files and on the wire. Inside an index they are what the index makes of them. */
#ifndef BASE_ELEMENT_H
#define BASE_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, bytes. The order is part of messages and of the checkpoint format. */
#define ELEMENT_MAP(X) \
    X(f32, 4)          \
    X(f16, 2)          \
    X(u8, 1)           \
    X(i8, 1)

typedef enum element {
#define ELEMENT_ENUM(name, bytes) ELEMENT_##name,
    ELEMENT_MAP(ELEMENT_ENUM)
#undef ELEMENT_ENUM
        ELEMENT_COUNT
} element_t;

/* Bytes of one component; 0 for a number that is no element type. */
size_t element_size(element_t element);

/* "f32", "f16", "u8", "i8"; "?" for a number that is no element type. */
const char *element_name(element_t element);

/* The type of a name; false where there is none. */
bool element_from_name(const char *name, element_t *element);

/* Widens count components to fp32. */
void element_widen(element_t element, const void *from, size_t count, float *to);

/* Rounds count fp32 values to the type: to the nearest, saturating for the integers, whose least value also stands for NaN. */
void element_narrow(element_t element, const float *from, size_t count, void *to);

/* The number of the first component that is NaN or infinite; count where all are finite. */
size_t element_first_not_finite(element_t element, const void *components, size_t count);

/* Scales each of n rows of dim to length 1; a row of zeros stays as it is. */
void element_normalize(float *rows, int64_t n, int64_t dim);

#endif
