#include <errno.h>
#include <math.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/search_forms.h"

/* Metadata is JSON text where it came from a file; a program may have added other bytes, which then come back as a string. */
static json_t *metadata_json(const search_answers_t *answers, int64_t place) {
    uint64_t first = place ? answers->metadata_ends[place - 1] : 0;
    size_t size = (size_t)(answers->metadata_ends[place] - first);
    const char *text = (const char *)answers->metadata + first;
    if (size == 0 || answers->ids[place] < 0)
        return json_null();
    json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!value)
        value = json_stringn(text, size);
    return value ? value : json_null();
}

static json_t *score_json(const search_answers_t *answers, int64_t place) {
    float score = answers->scores[place];
    return answers->ids[place] < 0 || !isfinite(score) ? json_null() : json_real((double)score);
}

static json_t *line_json(const search_answers_t *answers, int64_t query) {
    json_t *ids = json_array(), *scores = json_array(), *metadata = answers->metadata_ends ? json_array() : json_null();
    int failed = 0;
    for (int64_t i = query * answers->k; i < (query + 1) * answers->k; i++) {
        failed |= json_array_append_new(ids, json_integer(answers->ids[i]));
        failed |= json_array_append_new(scores, score_json(answers, i));
        if (answers->metadata_ends)
            failed |= json_array_append_new(metadata, metadata_json(answers, i));
    }
    json_t *line = json_pack("{s:I, s:o, s:o, s:o}", "query", (json_int_t)query, "ids", ids, "scores", scores, "metadata", metadata);
    if (line && failed) {
        json_decref(line);
        return NULL;
    }
    return line;
}

static dfaiss_status_t write_lines(FILE *file, const char *path, const search_answers_t *answers, dfaiss_error_t *err) {
    for (int64_t query = 0; query < answers->nq; query++) {
        json_t *line = line_json(answers, query);
        if (!line)
            return error_memory(err, 0, "a line of answers");
        /* 17 digits, jansson's default: whatever number metadata held comes back as it was. */
        int failed = json_dumpf(line, file, JSON_COMPACT);
        json_decref(line);
        if (failed || fputc('\n', file) == EOF)
            return error_system(err, "write", path, errno);
    }
    return fflush(file) == 0 ? DFAISS_OK : error_system(err, "write", path, errno);
}

dfaiss_status_t search_form_jsonl(const char *path, const search_answers_t *answers, dfaiss_error_t *err) {
    FILE *file = fopen(path, "w");
    if (!file)
        return error_system(err, "create", path, errno);
    dfaiss_status_t status = write_lines(file, path, answers, err);
    if (fclose(file) != 0 && status == DFAISS_OK)
        status = error_system(err, "close", path, errno);
    return status;
}
