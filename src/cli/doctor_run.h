/* The part of `dfaiss doctor` that runs on the ranks of a job. */
#ifndef CLI_DOCTOR_RUN_H
#define CLI_DOCTOR_RUN_H

#include "cli/doctor_findings.h"
#include "cli/doctor_memory.h"
#include "cli/job.h"

/* Texts are borrowed from argv. */
typedef struct doctor_options {
    const char *storage; /* NULL: not looked at */
    const char *config;  /* NULL: memory is not looked at */
    int64_t rows, dim;   /* of the index; dim 0: as configured */
    doctor_need_t need;  /* of that index */
    job_roles_t roles;
} doctor_options_t;

/* Called by every rank, before MPI is initialised; afterwards MPI is finalized. Every rank gets the same status; program->speaks is set on exactly
 * one rank, which has the findings. Where messages do not arrive it prints what it has found, and aborts the job. */
CHECKED dfaiss_status_t doctor_run(program_t *program, const doctor_options_t *options, doctor_findings_t *findings, dfaiss_error_t *err);

/* Prints the findings as the program prints results. */
CHECKED dfaiss_status_t doctor_report(program_t *program, const doctor_findings_t *findings, dfaiss_error_t *err);

#endif
