/* The version of this dfaiss, for the compiler and at run time. CMake reads it here too. */
#ifndef DFAISS_VERSION_H
#define DFAISS_VERSION_H

#include <dfaiss/export.h>

#define DFAISS_VERSION_MAJOR 0
#define DFAISS_VERSION_MINOR 1
#define DFAISS_VERSION_PATCH 0

/* 102 for version 0.1.2: compares as versions do. */
#define DFAISS_VERSION (DFAISS_VERSION_MAJOR * 10000 + DFAISS_VERSION_MINOR * 100 + DFAISS_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": of the library that the program runs with. Static; thread-safe. */
DFAISS_API const char *dfaiss_version(void);

#ifdef __cplusplus
}
#endif
#endif
