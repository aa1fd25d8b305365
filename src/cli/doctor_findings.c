#include "cli/doctor_findings.h"

#include <stdarg.h>
#include <stdlib.h>

#include "cli/report.h"

static const char *const verdicts[] = {[DOCTOR_OK] = "ok", [DOCTOR_ADVICE] = "advice", [DOCTOR_PROBLEM] = "problem"};

void doctor_findings_clear(doctor_findings_t *findings) {
    free(findings->list);
    *findings = (doctor_findings_t){0};
}

void doctor_find(doctor_findings_t *findings, const char *check, doctor_verdict_t verdict, const char *format, ...) {
    doctor_finding_t *grown = realloc(findings->list, ((size_t)findings->count + 1) * sizeof *grown);
    if (!grown) {
        findings->failed = true;
        return;
    }
    findings->list = grown;
    doctor_finding_t *finding = &grown[findings->count++];
    *finding = (doctor_finding_t){.check = check, .verdict = verdict};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
}

void doctor_advise(doctor_findings_t *findings, const char *format, ...) {
    if (findings->failed || findings->count == 0)
        return;
    doctor_finding_t *finding = &findings->list[findings->count - 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->advice, sizeof finding->advice, format, arguments);
    va_end(arguments);
}

int doctor_count(const doctor_findings_t *findings, doctor_verdict_t verdict) {
    int count = 0;
    for (int i = 0; i < findings->count; i++)
        count += findings->list[i].verdict == verdict;
    return count;
}

static json_t *finding_json(const doctor_finding_t *finding) {
    return json_pack("{s:s, s:s, s:o, s:o}", "check", finding->check, "verdict", verdicts[finding->verdict], "text", report_text_json(finding->text),
                     "advice", finding->advice[0] ? report_text_json(finding->advice) : json_null());
}

json_t *doctor_findings_json(const doctor_findings_t *findings) {
    json_t *checks = json_array();
    for (int i = 0; checks && i < findings->count; i++)
        if (json_array_append_new(checks, finding_json(&findings->list[i])) != 0) {
            json_decref(checks);
            return NULL;
        }
    if (findings->failed || !checks) {
        json_decref(checks);
        return NULL;
    }
    return json_pack("{s:o, s:i, s:i}", "checks", checks, "problems", doctor_count(findings, DOCTOR_PROBLEM), "advice",
                     doctor_count(findings, DOCTOR_ADVICE));
}

void doctor_findings_print(FILE *file, const doctor_findings_t *findings) {
    for (int i = 0; i < findings->count; i++) {
        const doctor_finding_t *finding = &findings->list[i];
        fprintf(file, "%-10s %-8s %s\n", finding->check, verdicts[finding->verdict], finding->text);
        if (finding->advice[0])
            fprintf(file, "%-10s %-8s %s\n", "", "->", finding->advice);
    }
}
