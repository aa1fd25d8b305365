#include "cli/versions.h"

#include <stdio.h>
#include <string.h>

#include <H5public.h>

dfaiss_status_t versions_find(versions_t *versions, dfaiss_error_t *err) {
    unsigned major, minor, release;
    int length = 0;
    /* Both may be asked before MPI_Init and without files. */
    if (MPI_Get_library_version(versions->mpi, &length) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "", "MPI does not tell its version");
    /* Open MPI goes on about its packager, MPICH about its configure line. */
    versions->mpi[strcspn(versions->mpi, ",\n")] = 0;
    for (char *tab = versions->mpi; (tab = strchr(tab, '\t'));)
        *tab = ' ';
    if (H5get_libversion(&major, &minor, &release) < 0)
        return error_set(err, DFAISS_ERR_INTERNAL, "", "HDF5 does not tell its version");
    snprintf(versions->hdf5, sizeof versions->hdf5, "%u.%u.%u", major, minor, release);
    return DFAISS_OK;
}
