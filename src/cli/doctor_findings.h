/* What the doctor has found: one line a check, and what to do about it. */
#ifndef CLI_DOCTOR_FINDINGS_H
#define CLI_DOCTOR_FINDINGS_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

typedef enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_ADVICE, /* it works, but slower or less safely than it could */
    DOCTOR_PROBLEM,
} doctor_verdict_t;

typedef struct doctor_finding {
    const char *check; /* "network"; static */
    doctor_verdict_t verdict;
    char text[320];
    char advice[480]; /* "": none is needed */
} doctor_finding_t;

/* Starts as {0}; doctor_findings_clear frees it. */
typedef struct doctor_findings {
    doctor_finding_t *list; /* owned */
    int count;
    bool failed; /* there was no memory for one of them */
} doctor_findings_t;

void doctor_findings_clear(doctor_findings_t *findings);

/* Adds a finding, and the advice that belongs to the last one added. */
void doctor_find(doctor_findings_t *findings, const char *check, doctor_verdict_t verdict, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void doctor_advise(doctor_findings_t *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));

int doctor_count(const doctor_findings_t *findings, doctor_verdict_t verdict);

/* {"checks": [{"check", "verdict", "text", "advice"}], "problems", "advice"} as a new reference; NULL: no memory. */
json_t *doctor_findings_json(const doctor_findings_t *findings);
void doctor_findings_print(FILE *file, const doctor_findings_t *findings);

#endif
