#include "dataset/metadata_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"

enum { PIECE = 1 << 20, LINE_MAX_BYTES = 16 << 20 };

struct metadata_file {
    char *path;
    int descriptor;
    char *buffer;
    size_t capacity;
    size_t begin;   /* of what was read and not given out */
    size_t scanned; /* no newline from begin to here */
    size_t end;
    bool at_end;  /* the file has no more bytes */
    int64_t line; /* number of the line given out last, from 1 */
};

dfaiss_status_t metadata_file_open(const char *path, metadata_file_t **out, dfaiss_error_t *err) {
    uint64_t bytes = 0;
    TRY(file_size(path, &bytes, err));
    metadata_file_t *file = calloc(1, sizeof *file);
    if (!file)
        return error_memory(err, sizeof *file, path);
    dfaiss_status_t status = DFAISS_OK;
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (file->descriptor < 0)
        status = error_system(err, "open", path, errno);
    file->path = strdup(path);
    file->capacity = PIECE;
    file->buffer = malloc(file->capacity);
    if (status == DFAISS_OK && (!file->path || !file->buffer))
        status = error_memory(err, file->capacity, path);
    if (status != DFAISS_OK) {
        metadata_file_close(file);
        return status;
    }
    (void)posix_fadvise(file->descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    *out = file;
    return DFAISS_OK;
}

void metadata_file_close(metadata_file_t *file) {
    if (!file)
        return;
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file->path);
    free(file->buffer);
    free(file);
}

/* ERR_DATA that names file and line: "meta.jsonl line 17: WHAT". */
static dfaiss_status_t fail_line(const metadata_file_t *file, int64_t line, dfaiss_error_t *err, const char *what) {
    return error_set(err, DFAISS_ERR_DATA, file->path, "%s line %lld: %s", file->path, (long long)line, what);
}

/* Makes room for more bytes behind the line that is being read: first what was given out goes, then the buffer grows. */
static dfaiss_status_t make_room(metadata_file_t *file, dfaiss_error_t *err) {
    if (file->begin > 0) {
        memmove(file->buffer, file->buffer + file->begin, file->end - file->begin);
        file->scanned -= file->begin;
        file->end -= file->begin;
        file->begin = 0;
    }
    if (file->end < file->capacity)
        return DFAISS_OK;
    if (file->capacity > LINE_MAX_BYTES)
        return fail_line(file, file->line + 1, err, "the line is longer than 16 MiB");
    char *buffer = realloc(file->buffer, file->capacity * 2);
    if (!buffer)
        return error_memory(err, file->capacity * 2, file->path);
    file->buffer = buffer;
    file->capacity *= 2;
    return DFAISS_OK;
}

static dfaiss_status_t read_more(metadata_file_t *file, dfaiss_error_t *err) {
    TRY(make_room(file, err));
    ssize_t got;
    do
        got = read(file->descriptor, file->buffer + file->end, file->capacity - file->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_system(err, "read", file->path, errno);
    file->end += (size_t)got;
    file->at_end = got == 0;
    return DFAISS_OK;
}

/* The next line without its newline, borrowed until the next call; *text is NULL at the end of the file. */
static dfaiss_status_t next_line(metadata_file_t *file, const char **text, size_t *size, dfaiss_error_t *err) {
    const char *newline;
    for (;;) {
        newline = memchr(file->buffer + file->scanned, '\n', file->end - file->scanned);
        file->scanned = file->end;
        if (newline || file->at_end)
            break;
        TRY(read_more(file, err));
    }
    const char *begin = file->buffer + file->begin;
    if (!newline && file->begin == file->end) {
        *text = NULL;
        return DFAISS_OK;
    }
    *size = newline ? (size_t)(newline - begin) : file->end - file->begin;
    if (*size > LINE_MAX_BYTES)
        return fail_line(file, file->line + 1, err, "the line is longer than 16 MiB");
    file->begin += newline ? *size + 1 : *size;
    file->scanned = file->begin;
    file->line++;
    if (*size > 0 && begin[*size - 1] == '\r')
        --*size;
    *text = begin;
    return DFAISS_OK;
}

static bool is_blank(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (text[i] != ' ' && text[i] != '\t')
            return false;
    }
    return true;
}

/* The next line that is not blank; blank ones may only follow the last. */
static dfaiss_status_t next_filled_line(metadata_file_t *file, const char **text, size_t *size, dfaiss_error_t *err) {
    int64_t blank = 0;
    for (;;) {
        TRY(next_line(file, text, size, err));
        if (!*text)
            break;
        if (!is_blank(*text, *size))
            return blank ? fail_line(file, blank, err, "expected a JSON object, found an empty line") : DFAISS_OK;
        if (!blank)
            blank = file->line;
    }
    if (blank)
        file->line = blank - 1;
    return DFAISS_OK;
}

static const char *type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "true or false";
    }
}

static dfaiss_status_t check_object(const metadata_file_t *file, const char *text, size_t size, dfaiss_error_t *err) {
    json_error_t failure;
    json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &failure);
    if (!value)
        return error_set(err, DFAISS_ERR_DATA, file->path, "%s line %lld, column %d: expected a JSON object: %s", file->path, (long long)file->line,
                         failure.column, failure.text);
    dfaiss_status_t status = DFAISS_OK;
    if (!json_is_object(value))
        status = error_set(err, DFAISS_ERR_DATA, file->path, "%s line %lld: expected a JSON object, found %s", file->path, (long long)file->line,
                           type_name(value));
    json_decref(value);
    return status;
}

/* The next object; *text is NULL after the last. */
static dfaiss_status_t next_object(metadata_file_t *file, const char **text, size_t *size, dfaiss_error_t *err) {
    TRY(next_filled_line(file, text, size, err));
    return *text ? check_object(file, *text, *size, err) : DFAISS_OK;
}

static dfaiss_status_t fail_end(const metadata_file_t *file, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_DATA, file->path, "%s ends after line %lld, but each vector needs a line", file->path, (long long)file->line);
}

static dfaiss_status_t read_lines(metadata_file_t *file, int64_t n, bytes_writer_t *out, uint64_t *ends, dfaiss_error_t *err) {
    size_t before = out->size;
    for (int64_t i = 0; i < n; i++) {
        const char *text = NULL;
        size_t size = 0;
        TRY(next_object(file, &text, &size, err));
        if (!text)
            return fail_end(file, err);
        bytes_put(out, text, size);
        if (out->failed)
            return error_memory(err, size, file->path);
        ends[i] = out->size - before;
    }
    return DFAISS_OK;
}

dfaiss_status_t metadata_file_read(metadata_file_t *file, int64_t n, bytes_writer_t *out, uint64_t *ends, dfaiss_error_t *err) {
    size_t before = out->size;
    dfaiss_status_t status = read_lines(file, n, out, ends, err);
    if (status != DFAISS_OK)
        out->size = before;
    return status;
}

dfaiss_status_t metadata_file_skip(metadata_file_t *file, int64_t n, dfaiss_error_t *err) {
    for (int64_t i = 0; i < n; i++) {
        const char *text = NULL;
        size_t size = 0;
        TRY(next_filled_line(file, &text, &size, err));
        if (!text)
            return fail_end(file, err);
    }
    return DFAISS_OK;
}

static dfaiss_status_t check_lines(metadata_file_t *file, int64_t n, dfaiss_error_t *err) {
    const char *text = NULL;
    size_t size = 0;
    for (int64_t i = 0; i < n; i++) {
        TRY(next_object(file, &text, &size, err));
        if (!text)
            return error_set(err, DFAISS_ERR_DATA, file->path, "%s has %lld lines, %lld vectors need one each", file->path, (long long)i,
                             (long long)n);
    }
    TRY(next_filled_line(file, &text, &size, err));
    if (text)
        return error_set(err, DFAISS_ERR_DATA, file->path, "%s has more lines than the %lld vectors", file->path, (long long)n);
    return DFAISS_OK;
}

dfaiss_status_t metadata_file_check(const char *path, int64_t n, dfaiss_error_t *err) {
    metadata_file_t *file = NULL;
    TRY(metadata_file_open(path, &file, err));
    dfaiss_status_t status = check_lines(file, n, err);
    metadata_file_close(file);
    return status;
}
