/* dfaiss --version: what runs here, for bug reports and for checking an installation. */
#include <stdio.h>

#include <dfaiss/version.h>

#include "cli/arguments.h"
#include "cli/report.h"
#include "cli/versions.h"
#include "engine/engine.h"

static const arguments_t arguments = {.command = "--version", .help = "Versions of dfaiss and of what it runs on."};

dfaiss_status_t command_version(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    versions_t versions;
    bool helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, NULL, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(versions_find(&versions, err));
    if (program->json)
        return report_json(program,
                           json_pack("{s:s, s:{s:s, s:s, s:b}, s:s, s:s}", "dfaiss", dfaiss_version(), "faiss", "version", engine_faiss_version(),
                                     "simd", engine_simd_level(), "gpu", (int)engine_has_gpu(), "mpi", versions.mpi, "hdf5", versions.hdf5),
                           err);
    printf("dfaiss  %s\nfaiss   %s, %s, %s GPU\nMPI     %s\nHDF5    %s\n", dfaiss_version(), engine_faiss_version(), engine_simd_level(),
           engine_has_gpu() ? "with" : "without", versions.mpi, versions.hdf5);
    return DFAISS_OK;
}
