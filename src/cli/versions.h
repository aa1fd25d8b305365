/* The versions of the libraries that dfaiss runs on, as far as only the program asks for them. */
#ifndef CLI_VERSIONS_H
#define CLI_VERSIONS_H

#include <mpi.h>

#include "base/error.h"

typedef struct versions {
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING]; /* "Open MPI v4.1.4" */
    char hdf5[48];                            /* "1.10.8" */
} versions_t;

/* MPI need not run. */
CHECKED dfaiss_status_t versions_find(versions_t *versions, dfaiss_error_t *err);

#endif
