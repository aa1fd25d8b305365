/* The manifest's text: one function per level of the JSON, writing beside reading. The format is described in FORMAT.md. */
#include "checkpoint/manifest_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

static const char format_name[] = "dfaiss manifest";

enum { VERSION_WITHOUT_CHECKSUM = 1, SEAL_BYTES = 64 };

/* ---- what a generation obeys ---- */

void manifest_shard_name(int server, char *name, size_t capacity) {
    snprintf(name, capacity, "shard-%04d.h5", server);
}

/* A plain file name: it is joined to a folder, and must not lead out of it. */
static bool plain_name(const char *name) {
    return *name && *name != '.' && !strchr(name, '/');
}

static dfaiss_status_t check_files(const manifest_generation_t *generation, dfaiss_status_t code, const char *where, dfaiss_error_t *err) {
    if (generation->file_count < generation->servers)
        return error_set(err, code, where, "%s: generation %" PRId64 ": expected a file for each of %d servers, found %" PRId64, where,
                         generation->number, generation->servers, generation->file_count);
    for (int64_t i = 0; i < generation->file_count; i++) {
        const char *found = generation->files[i].name;
        if (generation->files[i].bytes > INT64_MAX)
            return error_set(err, code, where, "%s: generation %" PRId64 ": file %" PRId64 " cannot have %" PRIu64 " bytes", where,
                             generation->number, i, generation->files[i].bytes);
        char expected[sizeof generation->files[i].name];
        if (i < generation->servers) {
            manifest_shard_name((int)i, expected, sizeof expected);
            if (strcmp(found, expected) != 0)
                return error_set(err, code, where, "%s: generation %" PRId64 ": file %" PRId64 ": expected the name %s, found \"%s\"", where,
                                 generation->number, i, expected, found);
        } else if (!plain_name(found)) {
            return error_set(err, code, where, "%s: generation %" PRId64 ": file %" PRId64 ": \"%s\" is not the name of a file", where,
                             generation->number, i, found);
        }
    }
    return DFAISS_OK;
}

dfaiss_status_t manifest_check_generation(const manifest_generation_t *generation, dfaiss_status_t code, const char *where, dfaiss_error_t *err) {
    const manifest_generation_t *g = generation;
    if (g->number < 0)
        return error_set(err, code, where, "%s: the generation's number %" PRId64 " is negative", where, g->number);
    if (g->servers < 1)
        return error_set(err, code, where, "%s: generation %" PRId64 ": expected at least 1 server, found %d", where, g->number, g->servers);
    if (g->buffered < 0 || g->buffered > g->vectors)
        return error_set(err, code, where,
                         "%s: generation %" PRId64 ": expected buffered between 0 and vectors, which is %" PRId64 ", found %" PRId64, where,
                         g->number, g->vectors, g->buffered);
    if (g->next_id < 0)
        return error_set(err, code, where, "%s: generation %" PRId64 ": next_id %" PRId64 " is negative", where, g->number, g->next_id);
    if (!json_is_object(g->config))
        return error_set(err, code, where, "%s: generation %" PRId64 ": config is not an object", where, g->number);
    return check_files(g, code, where, err);
}

void manifest_clear_generation(manifest_generation_t *generation) {
    json_decref(generation->config);
    free(generation->files);
    *generation = (manifest_generation_t){0};
}

dfaiss_status_t manifest_copy_generation(const manifest_generation_t *from, manifest_generation_t *to, dfaiss_error_t *err) {
    size_t bytes = (size_t)from->file_count * sizeof *from->files;
    manifest_file_t *files = malloc(bytes ? bytes : 1);
    if (!files)
        return error_memory(err, bytes, "a manifest");
    if (bytes)
        memcpy(files, from->files, bytes);
    *to = *from;
    to->files = files;
    to->config = json_incref(from->config);
    return DFAISS_OK;
}

/* ---- writing ---- */

static json_t *encode_file(const manifest_file_t *file) {
    char checksum[17];
    snprintf(checksum, sizeof checksum, "%016" PRIx64, file->checksum);
    return json_pack("{s:s, s:I, s:s}", "name", file->name, "bytes", (json_int_t)file->bytes, "checksum", checksum);
}

static json_t *encode_generation(const manifest_generation_t *generation) {
    json_t *files = json_array();
    bool whole = files != NULL;
    for (int64_t i = 0; whole && i < generation->file_count; i++)
        whole = json_array_append_new(files, encode_file(&generation->files[i])) == 0;
    if (!whole) {
        json_decref(files);
        return NULL;
    }
    return json_pack("{s:I, s:i, s:I, s:I, s:I, s:s, s:O, s:o}", "number", (json_int_t)generation->number, "servers", generation->servers, "vectors",
                     (json_int_t)generation->vectors, "buffered", (json_int_t)generation->buffered, "next_id", (json_int_t)generation->next_id, "ids",
                     generation->own_ids ? "own" : "assigned", "config", generation->config, "files", files);
}

/* The end of a text: its last key, the checksum of all that stands before. */
static void make_seal(const char *text, size_t size, char *seal) {
    snprintf(seal, SEAL_BYTES, ",\n  \"xxh3\": \"%016" PRIx64 "\"\n}\n", (uint64_t)XXH3_64bits(text, size));
}

/* The object's text with the seal in the place of its final brace; NULL where there is no memory. */
static char *sealed(const json_t *root) {
    static const char end[] = "\n}";
    char seal[SEAL_BYTES], *text = json_dumps(root, JSON_INDENT(2)), *made = NULL;
    if (!text)
        return NULL;
    size_t size = strlen(text) - strlen(end);
    make_seal(text, size, seal);
    made = malloc(size + strlen(seal) + 1);
    if (made) {
        memcpy(made, text, size);
        memcpy(made + size, seal, strlen(seal) + 1);
    }
    free(text);
    return made;
}

dfaiss_status_t manifest_encode(const manifest_t *manifest, char **text, dfaiss_error_t *err) {
    json_t *generations = json_array();
    bool whole = generations != NULL;
    for (int64_t i = 0; whole && i < manifest->count; i++)
        whole = json_array_append_new(generations, encode_generation(&manifest->generations[i])) == 0;
    json_t *root = NULL;
    if (whole)
        root = json_pack("{s:s, s:i, s:s, s:O}", "format", format_name, "version", (int)MANIFEST_VERSION, "index", manifest->index, "generations",
                         generations);
    json_decref(generations);
    char *made = root ? sealed(root) : NULL;
    json_decref(root);
    if (!made)
        return error_set(err, DFAISS_ERR_MEMORY, manifest->index, "not enough memory for the manifest of index %s", manifest->index);
    *text = made;
    return DFAISS_OK;
}

/* ---- reading ---- */

/* Where in a manifest one is: the file, and the place in it for error texts ("", "generations[2]: ", "generations[2].files[0]: "). */
typedef struct place {
    const char *path;
    char inside[64];
    dfaiss_error_t *err;
} place_t;

/* ERR_CHECKPOINT: what was expected of a key, and what stands there. */
static dfaiss_status_t unexpected(const place_t *place, const char *key, const char *expected, const json_t *found) {
    char *shown = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    (void)error_set(place->err, DFAISS_ERR_CHECKPOINT, place->path, "%s: %s%s: expected %s, found %.100s", place->path, place->inside, key, expected,
                    found ? shown ? shown : "something else" : "nothing");
    free(shown);
    return DFAISS_ERR_CHECKPOINT;
}

static dfaiss_status_t decode_integer(const place_t *place, const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out) {
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value) && json_integer_value(value) >= least && json_integer_value(value) <= most) {
        *out = json_integer_value(value);
        return DFAISS_OK;
    }
    char expected[96];
    snprintf(expected, sizeof expected, "an integer from %" PRId64 " to %" PRId64, least, most);
    return unexpected(place, key, expected, value);
}

static dfaiss_status_t decode_text(const place_t *place, const json_t *object, const char *key, char *out, size_t capacity) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) || json_string_length(value) >= capacity)
        return unexpected(place, key, "a short text", value);
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return DFAISS_OK;
}

static dfaiss_status_t decode_array(const place_t *place, const json_t *object, const char *key, json_t **out) {
    json_t *value = json_object_get(object, key);
    if (!json_is_array(value))
        return unexpected(place, key, "an array", value);
    *out = value;
    return DFAISS_OK;
}

static dfaiss_status_t decode_checksum(const place_t *place, const json_t *object, uint64_t *out) {
    const char *text = json_string_value(json_object_get(object, "checksum"));
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return unexpected(place, "checksum", "16 hexadecimal digits", json_object_get(object, "checksum"));
    *out = strtoull(text, NULL, 16);
    return DFAISS_OK;
}

static dfaiss_status_t decode_file(const place_t *place, const json_t *object, manifest_file_t *out) {
    if (!json_is_object(object))
        return unexpected(place, "this entry", "an object", object);
    int64_t bytes = 0;
    TRY(decode_text(place, object, "name", out->name, sizeof out->name));
    TRY(decode_integer(place, object, "bytes", 0, INT64_MAX, &bytes));
    out->bytes = (uint64_t)bytes;
    return decode_checksum(place, object, &out->checksum);
}

static dfaiss_status_t decode_ids(const place_t *place, const json_t *object, bool *own_ids) {
    char ids[16] = "";
    TRY(decode_text(place, object, "ids", ids, sizeof ids));
    if (strcmp(ids, "own") != 0 && strcmp(ids, "assigned") != 0)
        return unexpected(place, "ids", "\"own\" or \"assigned\"", json_object_get(object, "ids"));
    *own_ids = strcmp(ids, "own") == 0;
    return DFAISS_OK;
}

static dfaiss_status_t decode_files(const place_t *place, const json_t *object, int64_t number, manifest_generation_t *out) {
    json_t *files = NULL;
    TRY(decode_array(place, object, "files", &files));
    size_t count = json_array_size(files);
    out->files = calloc(count ? count : 1, sizeof *out->files);
    if (!out->files)
        return error_memory(place->err, count * sizeof *out->files, "a manifest");
    for (size_t i = 0; i < count; i++) {
        place_t at = {.path = place->path, .err = place->err};
        snprintf(at.inside, sizeof at.inside, "generations[%" PRId64 "].files[%zu]: ", number, i);
        TRY(decode_file(&at, json_array_get(files, i), &out->files[i]));
    }
    out->file_count = (int64_t)count;
    return DFAISS_OK;
}

/* `number` is the place in the array. What is half-read is freed by the caller. */
static dfaiss_status_t decode_generation(const place_t *root, const json_t *object, int64_t number, manifest_generation_t *out) {
    place_t place = {.path = root->path, .err = root->err};
    snprintf(place.inside, sizeof place.inside, "generations[%" PRId64 "]: ", number);
    if (!json_is_object(object))
        return unexpected(&place, "this entry", "an object", object);
    int64_t servers = 0;
    TRY(decode_integer(&place, object, "number", 0, INT64_MAX, &out->number));
    TRY(decode_integer(&place, object, "servers", 1, INT32_MAX, &servers));
    out->servers = (int)servers;
    TRY(decode_integer(&place, object, "vectors", 0, INT64_MAX, &out->vectors));
    TRY(decode_integer(&place, object, "buffered", 0, INT64_MAX, &out->buffered));
    TRY(decode_integer(&place, object, "next_id", 0, INT64_MAX, &out->next_id));
    TRY(decode_ids(&place, object, &out->own_ids));
    out->config = json_incref(json_object_get(object, "config"));
    TRY(decode_files(&place, object, number, out));
    return manifest_check_generation(out, DFAISS_ERR_CHECKPOINT, place.path, place.err);
}

static dfaiss_status_t decode_generations(const place_t *place, const json_t *root, manifest_t *out) {
    json_t *generations = NULL;
    TRY(decode_array(place, root, "generations", &generations));
    size_t count = json_array_size(generations);
    if (count == 0)
        return unexpected(place, "generations", "at least one generation", generations);
    out->generations = calloc(count, sizeof *out->generations);
    if (!out->generations)
        return error_memory(place->err, count * sizeof *out->generations, "a manifest");
    for (size_t i = 0; i < count; i++) {
        out->count = (int64_t)i + 1;
        TRY(decode_generation(place, json_array_get(generations, i), (int64_t)i, &out->generations[i]));
        if (i > 0 && out->generations[i].number <= out->generations[i - 1].number)
            return error_set(place->err, DFAISS_ERR_CHECKPOINT, place->path,
                             "%s: generations: expected ascending numbers, found %" PRId64 " after %" PRId64, place->path, out->generations[i].number,
                             out->generations[i - 1].number);
    }
    return DFAISS_OK;
}

static dfaiss_status_t check_seal(const place_t *place, const char *text, size_t size) {
    char seal[SEAL_BYTES];
    make_seal(text, 0, seal);
    size_t length = strlen(seal);
    if (size >= length)
        make_seal(text, size - length, seal);
    if (size >= length && memcmp(text + size - length, seal, length) == 0)
        return DFAISS_OK;
    return error_set(place->err, DFAISS_ERR_CHECKPOINT, place->path, "%s is damaged: its content does not fit the checksum at its end", place->path);
}

static dfaiss_status_t decode_root(const place_t *place, const char *index, const json_t *root, const char *text, size_t size, manifest_t *out) {
    char format[32] = "";
    int64_t version = 0;
    if (!json_is_object(root))
        return unexpected(place, "the file", "an object", root);
    TRY(decode_text(place, root, "format", format, sizeof format));
    if (strcmp(format, format_name) != 0)
        return unexpected(place, "format", "\"dfaiss manifest\"", json_object_get(root, "format"));
    TRY(decode_integer(place, root, "version", 1, INT64_MAX, &version));
    if (version > MANIFEST_VERSION)
        return error_set(place->err, DFAISS_ERR_CHECKPOINT, place->path,
                         "%s: the manifest has version %" PRId64 "; this dfaiss reads up to version %d", place->path, version, MANIFEST_VERSION);
    if (version > VERSION_WITHOUT_CHECKSUM)
        TRY(check_seal(place, text, size));
    TRY(decode_text(place, root, "index", out->index, sizeof out->index));
    if (strcmp(out->index, index) != 0)
        return error_set(place->err, DFAISS_ERR_CHECKPOINT, place->path, "%s: index: expected \"%s\", found \"%s\"", place->path, index, out->index);
    return decode_generations(place, root, out);
}

dfaiss_status_t manifest_decode(const char *path, const char *index, const char *text, size_t size, manifest_t *out, dfaiss_error_t *err) {
    json_error_t failure;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &failure);
    if (!root)
        return error_set(err, DFAISS_ERR_CHECKPOINT, path, "%s: line %d is not JSON: %s", path, failure.line, failure.text);
    manifest_t made = {0};
    place_t place = {.path = path, .err = err};
    dfaiss_status_t status = decode_root(&place, index, root, text, size, &made);
    json_decref(root);
    if (status != DFAISS_OK)
        manifest_clear(&made);
    else
        *out = made;
    return status;
}
