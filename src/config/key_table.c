#include "config/key_table.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "config/edit_distance.h"
#include "config/index_config.h"

/* In the order of the enums in index_config.h. */
static const char *const kinds[] = {"", "flat", "ivf_simple", "knnlm", "hnswsq", "ivfsq", "ivf_gpu", NULL};
static const char *const metrics[] = {"dot", "l2", "cosine", NULL};
static const char *const trainings[] = {"shared", "local", NULL};
static const char *const placements[] = {"rows", "lists", NULL};

#define EXACT_IN_JSON (0x1p53 - 1) /* integers up to here survive a reader that keeps numbers as double */
#define MANY_ROWS 0x1p40

#define KEY(of_type, field, value, about) .name = #field, .type = of_type, .offset = offsetof(index_config_t, field), .fallback = value, .help = about
#define CHOICE(field, value, names, about) \
    { KEY(KEY_CHOICE, field, value, about), .choices = names }
#define TEXT(field, about) \
    { KEY(KEY_TEXT, field, "null", about), .capacity = sizeof((index_config_t *)NULL)->field }
#define INTEGER(field, value, least, most, about) \
    { KEY(KEY_INTEGER, field, value, about), .low = least, .high = most }
#define NUMBER(field, value, least, most, about) \
    { KEY(KEY_NUMBER, field, value, about), .low = least, .high = most }
#define SHARE(field, value, about) \
    { KEY(KEY_SHARE, field, value, about) }
#define SWITCH(field, value, about) \
    { KEY(KEY_SWITCH, field, value, about) }
#define OBJECT(field, about) \
    { KEY(KEY_OBJECT, field, "null", about) }

const config_key_t config_keys[] = {
    CHOICE(index_builder_type, "null", kinds, "kind of index; this or faiss_factory"),
    TEXT(faiss_factory, "index-factory string of faiss; {centroids} becomes the number of inverted lists"),
    INTEGER(dim, "768", 0, 65536, "dimension of the vectors; 0: that of the first batch"),
    CHOICE(metric, "\"dot\"", metrics, "dot: inner product; l2: squared distance; cosine: inner product of normalised vectors"),
    INTEGER(centroids, "0", 0, INT32_MAX, "inverted lists; of the whole index, or with training local of each server"),
    SWITCH(infer_centroids, "false", "choose the number of inverted lists from the number of vectors"),
    INTEGER(nprobe, "1", 1, INT32_MAX, "inverted lists that a search visits; efSearch for hnswsq"),
    INTEGER(code_size, "64", 1, 65536, "knnlm: sub-quantizers; divides dim"),
    INTEGER(bits_per_vector, "8", 1, 8, "knnlm: bits of a sub-quantizer"),
    INTEGER(store_n, "128", 2, 4096, "hnswsq: links of a node"),
    INTEGER(ef_construction, "100", 1, INT32_MAX, "hnswsq: candidates looked at for a new node"),
    CHOICE(training, "\"shared\"", trainings, "shared: once for all servers; local: each server on its own vectors"),
    INTEGER(train_num, "0", 0, MANY_ROWS, "vectors a server collects before it trains by itself; 0: when asked"),
    SHARE(train_ratio, "1.0", "share of the vectors at hand that trains when train_num is 0"),
    CHOICE(placement, "\"rows\"", placements, "rows: a vector may lie on any server; lists: on the owner of its inverted list"),
    INTEGER(buffer_bsz, "50000", 1, INT32_MAX, "vectors moved into the index in one go"),
    INTEGER(segment_rows, "0", 0, MANY_ROWS, "vectors of a segment, at least 1024; 0: as suits the kind"),
    INTEGER(threads, "0", 0, 4096, "threads of a server; 0: the cores it is bound to"),
    INTEGER(seed, "0", 0, EXACT_IN_JSON, "seed of everything drawn at random"),
    TEXT(index_storage_dir, "where the index is stored; none: in the server's storage"),
    NUMBER(save_interval_sec, "-1", -1e9, 1e9, "seconds between saves; 0 or less: only when asked"),
    INTEGER(keep_generations, "2", 1, 1000000, "saved generations that are kept"),
    INTEGER(custom_meta_id_idx, "0", 0, INT32_MAX, "which field of a metadata tuple is its id"),
    OBJECT(attributes, "metadata fields that filters may use: name and type of each"),
    OBJECT(extra, "anything; kept untouched"),
};
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

const config_key_t *config_key_find(const char *name) {
    for (size_t i = 0; i < config_key_count; i++) {
        if (strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    }
    return NULL;
}

const config_key_t *config_key_nearest(const char *name) {
    const config_key_t *nearest = &config_keys[0];
    unsigned fewest = edit_distance(name, nearest->name);
    for (size_t i = 1; i < config_key_count; i++) {
        unsigned edits = edit_distance(name, config_keys[i].name);
        if (edits < fewest) {
            nearest = &config_keys[i];
            fewest = edits;
        }
    }
    return nearest;
}

static void list_choices(const config_key_t *key, char *text, size_t capacity) {
    size_t used = (size_t)snprintf(text, capacity, "one of");
    const char *separator = " ";
    for (const char *const *choice = key->choices; *choice; choice++) {
        if (**choice == 0 || used >= capacity)
            continue;
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", separator, *choice);
        separator = ", ";
    }
}

void config_key_expected(const config_key_t *key, char *text, size_t capacity) {
    switch (key->type) {
    case KEY_CHOICE:
        list_choices(key, text, capacity);
        break;
    case KEY_TEXT:
        snprintf(text, capacity, "a text of at most %zu bytes", key->capacity - 1);
        break;
    case KEY_INTEGER:
        snprintf(text, capacity, "an integer from %.0f to %.0f", key->low, key->high);
        break;
    case KEY_NUMBER:
        snprintf(text, capacity, "a number from %.0f to %.0f", key->low, key->high);
        break;
    case KEY_SHARE:
        snprintf(text, capacity, "a number above 0 and at most 1");
        break;
    case KEY_SWITCH:
        snprintf(text, capacity, "true or false");
        break;
    case KEY_OBJECT:
        snprintf(text, capacity, "an object");
        break;
    }
}
