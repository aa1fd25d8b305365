/* The manifest's text: one function per level of the JSON, writing beside reading. The format is described in FORMAT.md. */
#include "checkpoint/manifest_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

static const char format_name[] = "dfaiss manifest";

enum { SEAL_BYTES = 64 };

/* ---- writing ---- */

static json_t *encode_file(const manifest_file_t *file) {
    char checksum[17];
    snprintf(checksum, sizeof checksum, "%016" PRIx64, file->checksum);
    return json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "name", file->name, "bytes", (json_int_t)file->bytes, "checksum", checksum,
                     "first_row", (json_int_t)file->first_row, "rows", (json_int_t)file->rows, "first_indexed", (json_int_t)file->first_indexed,
                     "indexed", (json_int_t)file->indexed, "held", (json_int_t)file->held);
}

static json_t *encode_part(const manifest_part_t *part) {
    json_t *files = json_array();
    bool whole = files != NULL;
    for (int64_t i = 0; whole && i < part->file_count; i++)
        whole = json_array_append_new(files, encode_file(&part->files[i])) == 0;
    if (!whole) {
        json_decref(files);
        return NULL;
    }
    return json_pack("{s:I, s:I, s:o}", "vectors", (json_int_t)part->vectors, "buffered", (json_int_t)part->buffered, "files", files);
}

static json_t *encode_generation(const manifest_generation_t *generation) {
    json_t *parts = json_array();
    bool whole = parts != NULL;
    for (int64_t i = 0; whole && i < generation->part_count; i++)
        whole = json_array_append_new(parts, encode_part(&generation->parts[i])) == 0;
    if (!whole) {
        json_decref(parts);
        return NULL;
    }
    return json_pack("{s:I, s:i, s:I, s:I, s:I, s:s, s:O, s:o}", "number", (json_int_t)generation->number, "servers", generation->servers, "vectors",
                     (json_int_t)generation->vectors, "buffered", (json_int_t)generation->buffered, "next_id", (json_int_t)generation->next_id, "ids",
                     generation->own_ids ? "own" : "assigned", "config", generation->config, "parts", parts);
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

/* Where in a manifest one is: the file, and the place in it for error texts ("", "generations[2]: ", "generations[2].parts[1].files[0]: "). */
typedef struct place {
    const char *path;
    char inside[96];
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
    TRY(decode_integer(place, object, "first_row", 0, INT64_MAX, &out->first_row));
    TRY(decode_integer(place, object, "rows", 0, INT64_MAX, &out->rows));
    TRY(decode_integer(place, object, "first_indexed", 0, INT64_MAX, &out->first_indexed));
    TRY(decode_integer(place, object, "indexed", 0, INT64_MAX, &out->indexed));
    TRY(decode_integer(place, object, "held", 0, INT64_MAX, &out->held));
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

static dfaiss_status_t decode_files(const place_t *place, const json_t *files, manifest_part_t *out) {
    size_t count = json_array_size(files);
    out->files = calloc(count ? count : 1, sizeof *out->files);
    if (!out->files)
        return error_memory(place->err, count * sizeof *out->files, "a manifest");
    for (size_t i = 0; i < count; i++) {
        place_t at = {.path = place->path, .err = place->err};
        snprintf(at.inside, sizeof at.inside, "%.60s.files[%zu]: ", place->inside, i);
        TRY(decode_file(&at, json_array_get(files, i), &out->files[i]));
    }
    out->file_count = (int64_t)count;
    return DFAISS_OK;
}

static dfaiss_status_t decode_part(const place_t *place, const json_t *object, manifest_part_t *out) {
    json_t *files = NULL;
    place_t inside = *place;
    snprintf(inside.inside, sizeof inside.inside, "%.60s: ", place->inside);
    if (!json_is_object(object))
        return unexpected(&inside, "this entry", "an object", object);
    TRY(decode_integer(&inside, object, "vectors", 0, INT64_MAX, &out->vectors));
    TRY(decode_integer(&inside, object, "buffered", 0, INT64_MAX, &out->buffered));
    TRY(decode_array(&inside, object, "files", &files));
    return decode_files(place, files, out);
}

static dfaiss_status_t decode_parts(const place_t *place, const json_t *object, int64_t number, manifest_generation_t *out) {
    json_t *parts = NULL;
    TRY(decode_array(place, object, "parts", &parts));
    size_t count = json_array_size(parts);
    out->parts = calloc(count ? count : 1, sizeof *out->parts);
    if (!out->parts)
        return error_memory(place->err, count * sizeof *out->parts, "a manifest");
    for (size_t i = 0; i < count; i++) {
        place_t at = {.path = place->path, .err = place->err};
        snprintf(at.inside, sizeof at.inside, "generations[%" PRId64 "].parts[%zu]", number, i);
        out->part_count = (int64_t)i + 1;
        TRY(decode_part(&at, json_array_get(parts, i), &out->parts[i]));
    }
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
    TRY(decode_parts(&place, object, number, out));
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
    if (version != MANIFEST_VERSION)
        return error_set(place->err, DFAISS_ERR_CHECKPOINT, place->path, "%s: the manifest has version %" PRId64 "; this dfaiss reads version %d",
                         place->path, version, MANIFEST_VERSION);
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
