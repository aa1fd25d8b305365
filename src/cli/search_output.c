#include "cli/search_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/search_forms.h"
#include "dataset/vector_writer.h"

void search_answers_clear(search_answers_t *answers) {
    free(answers->ids);
    free(answers->scores);
    free(answers->metadata_ends);
    free(answers->metadata);
    *answers = (search_answers_t){0};
}

static const struct {
    const char *ending;
    search_output_form_t form;
} forms[] = {{".ibin", SEARCH_OUTPUT_IBIN}, {".i64bin", SEARCH_OUTPUT_I64BIN}, {".jsonl", SEARCH_OUTPUT_JSONL}, {".h5", SEARCH_OUTPUT_H5}};

dfaiss_status_t search_output_form(const char *path, search_output_form_t *form, dfaiss_error_t *err) {
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t ending = strlen(forms[i].ending);
        if (length > ending && strcmp(path + length - ending, forms[i].ending) == 0) {
            *form = forms[i].form;
            return DFAISS_OK;
        }
    }
    return error_set(err, DFAISS_ERR_ARG, path, "the output %s must end in .ibin, .i64bin, .jsonl or .h5", path);
}

dfaiss_status_t search_output_check(const char *path, dfaiss_error_t *err) {
    char folder[PATH_MAX];
    struct stat info;
    int length = snprintf(folder, sizeof folder, "%s", path);
    if (length <= 0 || (size_t)length >= sizeof folder)
        return error_set(err, DFAISS_ERR_ARG, "--output", "the output '%s' is empty or too long a path", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    else
        snprintf(folder, sizeof folder, ".");
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return error_system(err, "write", path, EISDIR);
    if (stat(folder, &info) != 0)
        return error_system(err, "write into the folder", folder, errno);
    if (!S_ISDIR(info.st_mode))
        return error_system(err, "write into the folder", folder, ENOTDIR);
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0)
        return error_system(err, "write into the folder", folder, errno);
    return DFAISS_OK;
}

/* ---- .ibin, .i64bin and .fbin ---- */

/* The path with another ending in place of its own, which is there. */
static dfaiss_status_t change_ending(const char *path, const char *ending, char *changed, size_t capacity, dfaiss_error_t *err) {
    int stem = (int)(strrchr(path, '.') - path);
    int length = snprintf(changed, capacity, "%.*s%s", stem, path, ending);
    if (length < 0 || (size_t)length >= capacity)
        return error_set(err, DFAISS_ERR_ARG, path, "the path %s is too long", path);
    return DFAISS_OK;
}

static bool fits_32_bits(const search_answers_t *answers) {
    for (int64_t i = 0; i < answers->nq * answers->k; i++)
        if (answers->ids[i] > INT32_MAX)
            return false;
    return true;
}

static dfaiss_status_t append_narrowed(vector_writer_t *writer, const search_answers_t *answers, dfaiss_error_t *err) {
    int32_t *row = malloc((size_t)answers->k * sizeof *row);
    if (!row)
        return error_memory(err, (size_t)answers->k * sizeof *row, "a row of ids");
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t query = 0; status == DFAISS_OK && query < answers->nq; query++) {
        for (int64_t i = 0; i < answers->k; i++)
            row[i] = (int32_t)answers->ids[query * answers->k + i];
        status = vector_writer_append(writer, row, 1, err);
    }
    free(row);
    return status;
}

static dfaiss_status_t write_ids(const char *path, const search_answers_t *answers, bool narrow, dfaiss_error_t *err) {
    vector_writer_t *writer = NULL;
    TRY(vector_writer_create(path, answers->nq, answers->k, narrow ? sizeof(int32_t) : sizeof(int64_t), &writer, err));
    dfaiss_status_t status = narrow ? append_narrowed(writer, answers, err) : vector_writer_append(writer, answers->ids, answers->nq, err);
    if (status == DFAISS_OK)
        return vector_writer_finish(writer, err);
    vector_writer_abort(writer);
    return status;
}

static dfaiss_status_t write_scores(const char *path, const search_answers_t *answers, dfaiss_error_t *err) {
    vector_writer_t *writer = NULL;
    TRY(vector_writer_create(path, answers->nq, answers->k, sizeof(float), &writer, err));
    dfaiss_status_t status = vector_writer_append(writer, answers->scores, answers->nq, err);
    if (status == DFAISS_OK)
        return vector_writer_finish(writer, err);
    vector_writer_abort(writer);
    return status;
}

/* An older file of the other width would be taken for this search's answer. */
static dfaiss_status_t remove_other(const char *path, const char *ending, dfaiss_error_t *err) {
    char other[PATH_MAX];
    TRY(change_ending(path, ending, other, sizeof other, err));
    return unlink(other) == 0 || errno == ENOENT ? DFAISS_OK : error_system(err, "remove", other, errno);
}

static dfaiss_status_t write_bin(const char *path, search_output_form_t form, const search_answers_t *answers, char *written, size_t capacity,
                                 dfaiss_error_t *err) {
    char ids[PATH_MAX], scores[PATH_MAX];
    bool narrow = form == SEARCH_OUTPUT_IBIN && fits_32_bits(answers);
    TRY(change_ending(path, narrow ? ".ibin" : ".i64bin", ids, sizeof ids, err));
    TRY(change_ending(path, ".fbin", scores, sizeof scores, err));
    TRY(write_scores(scores, answers, err));
    TRY(write_ids(ids, answers, narrow, err));
    TRY(remove_other(path, narrow ? ".i64bin" : ".ibin", err));
    snprintf(written, capacity, "%s", ids);
    return DFAISS_OK;
}

/* ---- forms that write one file ---- */

typedef dfaiss_status_t write_form_t(const char *path, const search_answers_t *answers, dfaiss_error_t *err);

static dfaiss_status_t write_beside(const char *path, write_form_t *write_form, const search_answers_t *answers, dfaiss_error_t *err) {
    char beside[PATH_MAX], folder[PATH_MAX];
    int length = snprintf(beside, sizeof beside, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof beside)
        return error_set(err, DFAISS_ERR_ARG, path, "the path %s is too long", path);
    dfaiss_status_t status = write_form(beside, answers, err);
    if (status == DFAISS_OK)
        status = file_sync(beside, err);
    if (status == DFAISS_OK && rename(beside, path) != 0)
        status = error_system(err, "rename to", path, errno);
    if (status != DFAISS_OK) {
        unlink(beside);
        return status;
    }
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    return file_sync_directory(slash ? folder : ".", err);
}

dfaiss_status_t search_output_write(const char *path, const search_answers_t *answers, char *written, size_t capacity, dfaiss_error_t *err) {
    search_output_form_t form = SEARCH_OUTPUT_IBIN;
    TRY(search_output_form(path, &form, err));
    if (form == SEARCH_OUTPUT_IBIN || form == SEARCH_OUTPUT_I64BIN)
        return write_bin(path, form, answers, written, capacity, err);
    TRY(write_beside(path, form == SEARCH_OUTPUT_JSONL ? search_form_jsonl : search_form_h5, answers, err));
    snprintf(written, capacity, "%s", path);
    return DFAISS_OK;
}
