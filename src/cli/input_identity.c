#include "cli/input_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <xxhash.h>

#include "cli/report.h"

enum { END_BYTES = 64 << 10 };

/* ---- looking at files ---- */

/* One file of an input, as it is or as it was. */
typedef struct input_file {
    const char *use; /* "data", "ids", "metadata" */
    const char *path;
    int64_t bytes;
    int64_t modified; /* nanoseconds since 1970 */
    int64_t rows;     /* of data; else 0 */
    char ends[20];    /* XXH3 of its first and last bytes, as text */
} input_file_t;

static dfaiss_status_t read_end(int descriptor, const char *path, int64_t offset, size_t size, char *bytes, dfaiss_error_t *err) {
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(descriptor, bytes + done, size - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_system(err, "read", path, got < 0 ? errno : EIO);
        done += (size_t)got;
    }
    return DFAISS_OK;
}

static dfaiss_status_t sum_ends(int descriptor, input_file_t *file, dfaiss_error_t *err) {
    size_t size = file->bytes < END_BYTES ? (size_t)file->bytes : END_BYTES;
    char *bytes = malloc(2 * END_BYTES);
    if (!bytes)
        return error_memory(err, 2 * END_BYTES, file->path);
    dfaiss_status_t status = read_end(descriptor, file->path, 0, size, bytes, err);
    if (status == DFAISS_OK)
        status = read_end(descriptor, file->path, file->bytes - (int64_t)size, size, bytes + size, err);
    if (status == DFAISS_OK)
        snprintf(file->ends, sizeof file->ends, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, 2 * size));
    free(bytes);
    return status;
}

static dfaiss_status_t look(input_file_t *file, dfaiss_error_t *err) {
    struct stat info;
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(err, "open", file->path, errno);
    dfaiss_status_t status = fstat(descriptor, &info) == 0 ? DFAISS_OK : error_system(err, "look at", file->path, errno);
    if (status == DFAISS_OK) {
        file->bytes = info.st_size;
        file->modified = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
        status = sum_ends(descriptor, file, err);
    }
    close(descriptor);
    return status;
}

/* ---- making the text ---- */

static dfaiss_status_t add_file(json_t *array, const char *use, const char *path, int64_t rows, dfaiss_error_t *err) {
    char whole[PATH_MAX];
    input_file_t file = {.use = use, .path = path, .rows = rows};
    TRY(look(&file, err));
    json_t *object = json_pack("{s:s, s:o, s:I, s:I, s:I, s:s}", "use", use, "path", report_text_json(realpath(path, whole) ? whole : path), "bytes",
                               (json_int_t)file.bytes, "modified", (json_int_t)file.modified, "rows", (json_int_t)rows, "ends", file.ends);
    return json_array_append_new(array, object) == 0 ? DFAISS_OK : error_memory(err, 0, "what an input is");
}

static dfaiss_status_t add_files(json_t *array, const dataset_t *dataset, const char *ids, const char *metadata, dfaiss_error_t *err) {
    for (int i = 0; i < dataset_files(dataset); i++) {
        dataset_file_t file;
        dataset_file(dataset, i, &file);
        TRY(add_file(array, "data", file.path, file.rows, err));
    }
    if (ids)
        TRY(add_file(array, "ids", ids, 0, err));
    return metadata ? add_file(array, "metadata", metadata, 0, err) : DFAISS_OK;
}

dfaiss_status_t input_identity_make(const dataset_t *dataset, const char *ids, const char *metadata, char **text, dfaiss_error_t *err) {
    json_t *array = json_array();
    dfaiss_status_t status = array ? add_files(array, dataset, ids, metadata, err) : error_memory(err, 0, "what an input is");
    char *made = status == DFAISS_OK ? json_dumps(array, JSON_COMPACT) : NULL;
    json_decref(array);
    if (status == DFAISS_OK && !made)
        status = error_memory(err, 0, "what an input is");
    if (status == DFAISS_OK)
        *text = made;
    return status;
}

/* ---- comparing ---- */

/* Fields that are missing are empty, and so equal to no real file's. */
static input_file_t get_file(const json_t *array, size_t i) {
    input_file_t file = {.use = "", .path = ""};
    const char *ends = "";
    (void)json_unpack(json_array_get(array, i), "{s:s, s:s, s:I, s:I, s:I, s:s}", "use", &file.use, "path", &file.path, "bytes", &file.bytes,
                      "modified", &file.modified, "rows", &file.rows, "ends", &ends);
    snprintf(file.ends, sizeof file.ends, "%s", ends);
    return file;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool same_content(const input_file_t *one, const input_file_t *other) {
    return one->bytes == other->bytes && one->modified == other->modified && one->rows == other->rows && strcmp(one->ends, other->ends) == 0;
}

/* Files of the same names and uses, one by one? */
static bool same_names(const json_t *one, const json_t *other) {
    size_t count = json_array_size(one);
    bool same = count == json_array_size(other);
    for (size_t i = 0; same && i < count; i++) {
        input_file_t a = get_file(one, i), b = get_file(other, i);
        same = strcmp(a.use, b.use) == 0 && strcmp(base_name(a.path), base_name(b.path)) == 0;
    }
    return same;
}

/* The place of the first file that is not what it was; their number where all are. */
static size_t first_change(const json_t *was, const json_t *is) {
    size_t i = 0, count = json_array_size(was);
    for (; i < count; i++) {
        input_file_t before = get_file(was, i), now = get_file(is, i);
        if (!same_content(&before, &now))
            break;
    }
    return i;
}

typedef enum likeness { OTHER_FILES, CHANGED_FILES, SAME_FILES } likeness_t;

static likeness_t compare(const json_t *was, const json_t *is) {
    if (!same_names(was, is))
        return OTHER_FILES;
    return first_change(was, is) < json_array_size(was) ? CHANGED_FILES : SAME_FILES;
}

static likeness_t compare_text(const char *was, const json_t *is) {
    json_t *saved = json_loads(was, 0, NULL);
    likeness_t likeness = saved ? compare(saved, is) : OTHER_FILES;
    json_decref(saved);
    return likeness;
}

/* ---- telling ---- */

static void time_text(int64_t nanoseconds, char *text, size_t capacity) {
    struct tm parts;
    char seconds[32] = "";
    time_t whole = (time_t)(nanoseconds / 1000000000);
    if (gmtime_r(&whole, &parts))
        strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, capacity, "%s.%09" PRId64 "Z", seconds, nanoseconds % 1000000000);
}

static dfaiss_status_t tell_change(const char *index, const input_file_t *was, const input_file_t *is, dfaiss_error_t *err) {
    char before[64], now[64];
    if (was->bytes != is->bytes)
        return error_set(err, DFAISS_ERR_DATA, is->path, "%s has changed since the index %s took rows of it: it has %lld bytes, expected %lld",
                         is->path, index, (long long)is->bytes, (long long)was->bytes);
    if (was->rows != is->rows)
        return error_set(err, DFAISS_ERR_DATA, is->path,
                         "%s is read otherwise than when the index %s took rows of it: it has %lld rows, expected %lld", is->path, index,
                         (long long)is->rows, (long long)was->rows);
    if (strcmp(was->ends, is->ends) != 0)
        return error_set(err, DFAISS_ERR_DATA, is->path,
                         "%s has changed since the index %s took rows of it: its first and last bytes have checksum %s, expected %s", is->path, index,
                         is->ends, was->ends);
    time_text(was->modified, before, sizeof before);
    time_text(is->modified, now, sizeof now);
    return error_set(err, DFAISS_ERR_DATA, is->path, "%s has changed since the index %s took rows of it: modified %s, expected %s", is->path, index,
                     now, before);
}

static dfaiss_status_t tell_changed(const char *index, const char *was, const json_t *is, dfaiss_error_t *err) {
    json_t *saved = json_loads(was, 0, NULL);
    size_t place = first_change(saved, is);
    input_file_t before = get_file(saved, place), now = get_file(is, place);
    dfaiss_status_t status = tell_change(index, &before, &now, err);
    json_decref(saved);
    return status;
}

static dfaiss_status_t tell_other(const char *index, const inputs_t *held, const json_t *is, dfaiss_error_t *err) {
    input_file_t now = get_file(is, 0);
    if (held->count == 0)
        return error_set(err, DFAISS_ERR_ARG, "--resume",
                         "the index %s was not built from files, so that there is nothing to go on with; --append adds to it", index);
    json_t *saved = json_loads(held->list[held->count - 1].identity, 0, NULL);
    input_file_t before = get_file(saved, 0);
    size_t more = json_array_size(saved) > 1 ? json_array_size(saved) - 1 : 0;
    char others[64] = "";
    if (more > 0)
        snprintf(others, sizeof others, " and %zu other file%s", more, more == 1 ? "" : "s");
    dfaiss_status_t status = error_set(err, DFAISS_ERR_ARG, "--resume",
                                       "the index %s was built last from %s%s, not from %s as it is given now; --append adds other vectors", index,
                                       before.path, others, now.path);
    json_decref(saved);
    return status;
}

/* ---- finding ---- */

static bool is_complete(const input_t *input) {
    return ranges_rows(&input->held) == input->rows;
}

static dfaiss_status_t find(const char *index, const inputs_t *held, const json_t *is, const input_t **found, dfaiss_error_t *err) {
    const input_t *complete = NULL, *changed = NULL;
    for (int64_t i = held->count - 1; i >= 0; i--) {
        const input_t *input = &held->list[i];
        likeness_t likeness = compare_text(input->identity, is);
        if (likeness == SAME_FILES && !is_complete(input)) {
            *found = input;
            return DFAISS_OK;
        }
        if (likeness == SAME_FILES && !complete)
            complete = input;
        if (likeness == CHANGED_FILES && !changed)
            changed = input;
    }
    if (complete) {
        *found = complete;
        return DFAISS_OK;
    }
    return changed ? tell_changed(index, changed->identity, is, err) : tell_other(index, held, is, err);
}

dfaiss_status_t input_identity_find(const char *index, const inputs_t *held, const char *identity, const input_t **found, dfaiss_error_t *err) {
    json_t *is = json_loads(identity, 0, NULL);
    dfaiss_status_t status = is ? find(index, held, is, found, err) : error_memory(err, strlen(identity), "what an input is");
    json_decref(is);
    return status;
}

const input_t *input_identity_begun(const inputs_t *held, const char *identity) {
    json_t *is = json_loads(identity, 0, NULL);
    const input_t *begun = NULL;
    for (int64_t i = 0; is && i < held->count; i++)
        if (compare_text(held->list[i].identity, is) == SAME_FILES && !is_complete(&held->list[i]))
            begun = &held->list[i];
    json_decref(is);
    return begun;
}
