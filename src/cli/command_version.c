/* dfaiss --version: what runs here, for bug reports and for checking an installation. */
#include <stdio.h>
#include <string.h>

#include <H5public.h>
#include <mpi.h>

#include <dfaiss/version.h>

#include "cli/arguments.h"
#include "cli/report.h"
#include "engine/engine.h"

typedef struct versions {
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    char hdf5[48];
} versions_t;

static const arguments_t arguments = {.command = "--version", .help = "Versions of dfaiss and of what it runs on."};

static dfaiss_status_t find_versions(versions_t *versions, dfaiss_error_t *err) {
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

dfaiss_status_t command_version(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    versions_t versions;
    bool helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, NULL, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(find_versions(&versions, err));
    if (program->json)
        return report_json(program,
                           json_pack("{s:s, s:{s:s, s:s, s:b}, s:s, s:s}", "dfaiss", dfaiss_version(), "faiss", "version", engine_faiss_version(),
                                     "simd", engine_simd_level(), "gpu", (int)engine_has_gpu(), "mpi", versions.mpi, "hdf5", versions.hdf5),
                           err);
    printf("dfaiss  %s\nfaiss   %s, %s, %s GPU\nMPI     %s\nHDF5    %s\n", dfaiss_version(), engine_faiss_version(), engine_simd_level(),
           engine_has_gpu() ? "with" : "without", versions.mpi, versions.hdf5);
    return DFAISS_OK;
}
