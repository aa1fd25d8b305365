/* The manifest: names, paths, commits that keep and remove generations, and a table of damages, each refused with a text that says what is wrong. */
#include "check.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/file.h"
#include "base/log.h"
#include "checkpoint/manifest.h"
#include "config/index_name.h"

static char storage[PATH_MAX / 4];
static dfaiss_error_t err;
static int warnings;

static void count_warning(void *context, log_level_t level, const char *text) {
    (void)context;
    (void)text;
    warnings += level == LOG_LEVEL_WARNING;
}

static int set_up(void **state) {
    (void)state;
    warnings = 0;
    memset(&err, 0, sizeof err);
    log_set_sink(count_warning, NULL);
    check_make_folder(storage, sizeof storage);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    log_set_sink(NULL, NULL);
    return file_remove_tree(storage, &err) == DFAISS_OK ? 0 : -1;
}

static void add_file(manifest_part_t *part, int64_t generation, int server) {
    int64_t rows = part->file_count ? part->files[part->file_count - 1].rows : 0;
    part->files = realloc(part->files, (size_t)(part->file_count + 1) * sizeof *part->files);
    assert_non_null(part->files);
    manifest_file_t *file = &part->files[part->file_count++];
    memset(file, 0, sizeof *file);
    *file = (manifest_file_t){.bytes = 1000 + (uint64_t)server, .checksum = 0x00000000deadbeefu + ((uint64_t)server << 60)};
    snprintf(file->name, sizeof file->name, "g%06d/shard-%04d.h5", (int)generation, server);
    file->first_row = file->first_indexed = rows;
    file->rows = file->indexed = rows + 50;
    file->held = 45;
}

/* A generation of two servers, each with a file of its own. */
static manifest_generation_t make_generation(int64_t number) {
    manifest_generation_t generation = {.number = number, .servers = 2, .vectors = 100, .buffered = 10, .next_id = 1048576, .part_count = 2};
    generation.config = json_pack("{s:i, s:s}", "dim", 8, "metric", "l2");
    generation.parts = calloc(2, sizeof *generation.parts);
    assert_non_null(generation.config);
    assert_non_null(generation.parts);
    for (int i = 0; i < 2; i++) {
        generation.parts[i] = (manifest_part_t){.vectors = 50, .buffered = 5};
        add_file(&generation.parts[i], number, i);
    }
    return generation;
}

static void free_generation(manifest_generation_t *generation) {
    manifest_clear_generation(generation);
}

/* After the newest one that there is. */
static dfaiss_status_t commit(const char *index, int64_t number, int64_t keep, bool replace) {
    manifest_generation_t generation = make_generation(number);
    manifest_basis_t basis = {0};
    manifest_t before = {0};
    if (manifest_exists(storage, index) && manifest_read(storage, index, &before, NULL) == DFAISS_OK)
        basis.generation = basis.newest = manifest_newest(&before)->number;
    manifest_clear(&before);
    dfaiss_status_t status = manifest_commit(storage, index, &generation, &basis, keep, replace, &err);
    free_generation(&generation);
    return status;
}

/* A folder of a generation with one file in it. */
static void make_folder(const char *index, int64_t number) {
    char path[PATH_MAX];
    assert_ok(manifest_generation_path(storage, index, number, path, sizeof path, &err), err);
    assert_ok(file_make_directories(path, &err), err);
    assert_ok(manifest_shard_path(storage, index, number, 0, path, sizeof path, &err), err);
    assert_ok(file_replace(path, "shard", 5, &err), err);
}

static bool folder_exists(const char *index, int64_t number) {
    char path[PATH_MAX];
    assert_ok(manifest_generation_path(storage, index, number, path, sizeof path, &err), err);
    return file_exists(path);
}

static void put_text(const char *index, const char *text) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", storage, index);
    assert_ok(file_make_directories(path, &err), err);
    snprintf(path, sizeof path, "%s/%s/manifest.json", storage, index);
    assert_ok(file_replace(path, text, strlen(text), &err), err);
}

static void test_names(void **state) {
    (void)state;
    char longest[202];
    memset(longest, 'a', sizeof longest);
    longest[200] = 0;
    assert_ok(index_name_check("Wiki.2024_a-b", &err), err);
    assert_ok(index_name_check(longest, &err), err);
    longest[200] = 'a';
    longest[201] = 0;
    const char *wrong[] = {"", ".", "..", ".hidden", "-x", "a/b", "a b", "../a", "\xc3\xa4", "a\n", longest};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(index_name_check(wrong[i], &err), DFAISS_ERR_ARG, err, "not allowed");
}

static void test_paths(void **state) {
    (void)state;
    char path[PATH_MAX], small[8];
    assert_ok(manifest_index_path("/s", "i", path, sizeof path, &err), err);
    assert_string_equal(path, "/s/i");
    assert_ok(manifest_generation_path("/s", "i", 7, path, sizeof path, &err), err);
    assert_string_equal(path, "/s/i/g000007");
    assert_ok(manifest_shard_path("/s", "i", 1234567, 12, path, sizeof path, &err), err);
    assert_string_equal(path, "/s/i/g1234567/shard-0012.h5");
    assert_fails(manifest_index_path("/s", "../i", path, sizeof path, &err), DFAISS_ERR_ARG, err, "../i");
    assert_fails(manifest_index_path("/storage", "i", small, sizeof small, &err), DFAISS_ERR_ARG, err, "longer than");
}

static void test_round_trip(void **state) {
    (void)state;
    manifest_t manifest = {0};
    assert_false(manifest_exists(storage, "a"));
    manifest_generation_t written = make_generation(1);
    written.own_ids = true;
    assert_ok(manifest_commit(storage, "a", &written, &(manifest_basis_t){0}, 2, false, &err), err);
    assert_true(manifest_exists(storage, "a"));
    assert_ok(manifest_read(storage, "a", &manifest, &err), err);
    assert_string_equal(manifest.index, "a");
    assert_int_equal(manifest.count, 1);
    const manifest_generation_t *read = manifest_newest(&manifest);
    assert_int_equal(read->number, 1);
    assert_int_equal(read->servers, 2);
    assert_int_equal(read->vectors, 100);
    assert_int_equal(read->buffered, 10);
    assert_int_equal(read->next_id, 1048576);
    assert_true(read->own_ids);
    assert_true(json_equal(read->config, written.config));
    assert_int_equal(read->part_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read->parts[i].vectors, 50);
        assert_int_equal(read->parts[i].buffered, 5);
        assert_int_equal(read->parts[i].file_count, 1);
        assert_memory_equal(&read->parts[i].files[0], &written.parts[i].files[0], sizeof(manifest_file_t));
    }
    manifest_clear(&manifest);
    assert_null(manifest_newest(&manifest));
    free_generation(&written);
}

static void test_not_found(void **state) {
    (void)state;
    manifest_t manifest = {0};
    char **names = NULL;
    int64_t count = 0;
    char missing[PATH_MAX];
    snprintf(missing, sizeof missing, "%s/nowhere", storage);
    assert_fails(manifest_read(missing, "a", &manifest, &err), DFAISS_ERR_NOT_FOUND, err, missing);
    assert_fails(manifest_list(missing, &names, &count, &err), DFAISS_ERR_NOT_FOUND, err, missing);
    assert_fails(manifest_drop(missing, "a", &err), DFAISS_ERR_NOT_FOUND, err, missing);
    assert_fails(manifest_read(storage, "absent", &manifest, &err), DFAISS_ERR_NOT_FOUND, err, "absent");
    assert_fails(manifest_drop(storage, "absent", &err), DFAISS_ERR_NOT_FOUND, err, "absent");
    assert_ok(manifest_list(storage, &names, &count, &err), err);
    assert_int_equal(count, 0);
    free(names);
}

static void test_commits_keep_and_remove(void **state) {
    (void)state;
    manifest_t manifest = {0};
    make_folder("a", 0); /* left over from a build that died */
    make_folder("a", 9); /* somebody may be writing this one */
    for (int64_t number = 1; number <= 4; number++) {
        make_folder("a", number);
        assert_ok(commit("a", number, 2, false), err);
    }
    assert_ok(manifest_read(storage, "a", &manifest, &err), err);
    assert_int_equal(manifest.count, 2);
    assert_int_equal(manifest.generations[0].number, 3);
    assert_int_equal(manifest.generations[1].number, 4);
    manifest_clear(&manifest);
    const bool expected[] = {false, false, false, true, true, false, false, false, false, true};
    for (int64_t number = 0; number < 10; number++)
        assert_int_equal(folder_exists("a", number), expected[number]);
    assert_fails(commit("a", 4, 2, false), DFAISS_ERR_ARG, err, "does not follow");
    assert_fails(commit("a", 5, 0, false), DFAISS_ERR_ARG, err, "keep_generations");
    make_folder("a", 10);
    assert_ok(commit("a", 10, 5, true), err);
    assert_ok(manifest_read(storage, "a", &manifest, &err), err);
    assert_int_equal(manifest.count, 1);
    manifest_clear(&manifest);
    assert_false(folder_exists("a", 3) || folder_exists("a", 4) || folder_exists("a", 9));
    assert_true(folder_exists("a", 10));
    assert_int_equal(warnings, 0);
}

/* Generations that could not be loaded take no place of one that could; one that somebody else has saved is not passed over. */
static void test_basis(void **state) {
    (void)state;
    manifest_t manifest = {0};
    for (int64_t number = 1; number <= 3; number++) {
        make_folder("a", number);
        assert_ok(commit("a", number, 3, false), err);
    }
    manifest_generation_t generation = make_generation(4);
    manifest_basis_t basis = {.generation = 2, .newest = 2};
    assert_fails(manifest_commit(storage, "a", &generation, &basis, 2, false, &err), DFAISS_ERR_STATE, err,
                 "its newest generation is 3; 2 was when this job loaded");
    basis = (manifest_basis_t){0};
    assert_fails(manifest_commit(storage, "a", &generation, &basis, 2, false, &err), DFAISS_ERR_STATE, err, "when this job created");
    basis = (manifest_basis_t){.generation = 2, .newest = 3};
    assert_ok(manifest_commit(storage, "a", &generation, &basis, 2, false, &err), err);
    assert_ok(manifest_read(storage, "a", &manifest, &err), err);
    assert_int_equal(manifest.count, 2);
    assert_int_equal(manifest.generations[0].number, 2);
    assert_int_equal(manifest.generations[1].number, 4);
    manifest_clear(&manifest);
    assert_true(folder_exists("a", 2));
    assert_false(folder_exists("a", 1) || folder_exists("a", 3));
    free_generation(&generation);
}

static void test_highest_folder(void **state) {
    (void)state;
    int64_t highest = -1;
    assert_fails(manifest_highest_folder(storage, "a", &highest, &err), DFAISS_ERR_NOT_FOUND, err, "/a");
    make_folder("a", 3);
    make_folder("a", 1234567);
    assert_ok(manifest_highest_folder(storage, "a", &highest, &err), err);
    assert_int_equal(highest, 1234567);
}

static void test_replace_of_a_damaged_manifest(void **state) {
    (void)state;
    manifest_t manifest = {0};
    put_text("a", "{");
    assert_fails(commit("a", 1, 2, false), DFAISS_ERR_CHECKPOINT, err, "manifest.json");
    assert_ok(commit("a", 1, 2, true), err);
    assert_ok(manifest_read(storage, "a", &manifest, &err), err);
    manifest_clear(&manifest);
}

static void test_commit_refuses_wrong_generations(void **state) {
    (void)state;
    manifest_generation_t generation = make_generation(1);
    generation.buffered = 101;
    assert_fails(manifest_commit(storage, "a", &generation, &(manifest_basis_t){0}, 2, false, &err), DFAISS_ERR_ARG, err, "buffered");
    generation.buffered = 10;
    generation.part_count = 1;
    assert_fails(manifest_commit(storage, "a", &generation, &(manifest_basis_t){0}, 2, false, &err), DFAISS_ERR_ARG, err, "each of 2 servers");
    generation.part_count = 2;
    assert_fails(manifest_commit(storage, "a/b", &generation, &(manifest_basis_t){0}, 2, false, &err), DFAISS_ERR_ARG, err, "a/b");
    assert_false(manifest_exists(storage, "a"));
    free_generation(&generation);
}

static void test_commit_into_what_cannot_be_written(void **state) {
    (void)state;
    char blocked[PATH_MAX];
    snprintf(blocked, sizeof blocked, "%s/file", storage);
    assert_ok(file_replace(blocked, "x", 1, &err), err);
    manifest_generation_t generation = make_generation(1);
    assert_fails(manifest_commit(blocked, "a", &generation, &(manifest_basis_t){0}, 2, false, &err), DFAISS_ERR_IO, err, blocked);
    free_generation(&generation);
}

static void test_drop(void **state) {
    (void)state;
    char path[PATH_MAX];
    make_folder("a", 1);
    assert_ok(commit("a", 1, 2, false), err);
    assert_ok(manifest_drop(storage, "a", &err), err);
    snprintf(path, sizeof path, "%s/a", storage);
    assert_false(file_exists(path));
    assert_fails(manifest_drop(storage, "a", &err), DFAISS_ERR_NOT_FOUND, err, "a");
    make_folder("b", 3); /* a removal that was cut off after its first step */
    assert_ok(manifest_drop(storage, "b", &err), err);
    snprintf(path, sizeof path, "%s/b", storage);
    assert_false(file_exists(path));
}

static void test_drop_leaves_strange_files(void **state) {
    (void)state;
    char path[PATH_MAX];
    make_folder("a", 1);
    assert_ok(commit("a", 1, 2, false), err);
    snprintf(path, sizeof path, "%s/a/notes.txt", storage);
    assert_ok(file_replace(path, "mine", 4, &err), err);
    assert_ok(manifest_drop(storage, "a", &err), err);
    assert_true(file_exists(path));
    assert_false(manifest_exists(storage, "a"));
    assert_false(folder_exists("a", 1));
    assert_int_equal(warnings, 1);
}

static void test_list(void **state) {
    (void)state;
    char path[PATH_MAX], **names = NULL;
    int64_t count = 0;
    const char *made[] = {"zebra", "Alpha", "middle.1"}, *expected[] = {"Alpha", "middle.1", "zebra"};
    for (int i = 0; i < 3; i++)
        assert_ok(commit(made[i], 1, 1, false), err);
    snprintf(path, sizeof path, "%s/no-manifest", storage);
    assert_ok(file_make_directories(path, &err), err);
    assert_ok(manifest_list(storage, &names, &count, &err), err);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(names[i], expected[i]);
        free(names[i]);
    }
    free(names);
}

static void test_verify_file(void **state) {
    (void)state;
    char path[PATH_MAX];
    manifest_file_t file = {.name = "g000001/shard-0000.h5"};
    make_folder("a", 1);
    assert_ok(manifest_shard_path(storage, "a", 1, 0, path, sizeof path, &err), err);
    assert_ok(file_checksum(path, &file.checksum, &file.bytes, &err), err);
    assert_ok(manifest_verify_file(storage, "a", &file, &err), err);
    assert_ok(file_replace(path, "shar", 4, &err), err);
    assert_fails(manifest_verify_file(storage, "a", &file, &err), DFAISS_ERR_CHECKPOINT, err, "expected 5 bytes, found 4");
    assert_string_equal(err.where, path);
    assert_ok(file_replace(path, "sharD", 5, &err), err);
    assert_fails(manifest_verify_file(storage, "a", &file, &err), DFAISS_ERR_CHECKPOINT, err, "expected checksum");
    assert_int_equal(unlink(path), 0);
    assert_fails(manifest_verify_file(storage, "a", &file, &err), DFAISS_ERR_CHECKPOINT, err, "missing");
    assert_int_equal(mkdir(path, 0777), 0);
    assert_fails(manifest_verify_file(storage, "a", &file, &err), DFAISS_ERR_CHECKPOINT, err, "not a regular file");
}

/* The checksum at the end is made to fit again, so that what is found wrong is what was changed; for a text that still ends with one. */
static void seal(char *text) {
    char *end = strstr(text, ",\n  \"xxh3\": \"");
    if (end)
        sprintf(end, ",\n  \"xxh3\": \"%016" PRIx64 "\"\n}\n", (uint64_t)XXH3_64bits(text, (size_t)(end - text)));
}

/* A whole manifest as text, with one part replaced by another. */
static char *damaged_text(const char *part, const char *instead) {
    char path[PATH_MAX], *text = NULL, *out = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/whole/manifest.json", storage);
    assert_ok(file_read_whole(path, 1 << 20, &text, &size, &err), err);
    char *at = strstr(text, part);
    if (!at)
        fail_msg("%s is not in %s", part, text);
    assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, instead, at + strlen(part)) > 0);
    free(text);
    seal(out);
    return out;
}

static void test_damages(void **state) {
    (void)state;
    static const struct {
        const char *part, *instead, *expected;
    } damages[] = {
        {"{", "[", "is not JSON"},
        {"\"format\": \"dfaiss manifest\"", "\"format\": \"other\"", "format: expected \"dfaiss manifest\", found \"other\""},
        {"\"format\": \"dfaiss manifest\",", "", "format: expected a short text, found nothing"},
        {"\"version\": 3", "\"version\": 4", "has version 4; this dfaiss reads version 3"},
        {"\"version\": 3", "\"version\": 2", "has version 2; this dfaiss reads version 3"},
        {"\"version\": 3", "\"version\": \"3\"", "version: expected an integer"},
        {"\"index\": \"whole\"", "\"index\": \"other\"", "index: expected \"whole\", found \"other\""},
        {"\"number\": 1", "\"number\": 2", "expected ascending numbers, found 2 after 2"},
        {"\"number\": 2", "\"number\": 1", "its folder is that of a later generation"},
        {"\"number\": 2", "\"number\": -2", "generations[1]: number: expected an integer from 0"},
        {"\"servers\": 2", "\"servers\": 0", "generations[0]: servers: expected an integer from 1"},
        {"\"servers\": 2", "\"servers\": 3", "a part for each of 3 servers, found 2"},
        {"\"vectors\": 100", "\"vectors\": 9", "expected buffered between 0 and vectors, which is 9, found 10"},
        {"\"vectors\": 100", "\"vectors\": 1e2", "vectors: expected an integer"},
        {"\"next_id\": 1048576", "\"next_id\": 99999999999999999999", "is not JSON"},
        {"\"next_id\": 1048576,", "", "next_id: expected an integer"},
        {"\"ids\": \"assigned\"", "\"ids\": \"both\"", "ids: expected \"own\" or \"assigned\", found \"both\""},
        {"\"config\": {", "\"konfig\": {", "config is not an object"},
        {"\"name\": \"g000001/shard-0000.h5\"", "\"name\": 5", "generations[0].parts[0].files[0]: name: expected a short text, found 5"},
        {"\"bytes\": 1000", "\"bytes\": -1", "bytes: expected an integer from 0"},
        {"\"checksum\": \"00000000deadbeef\"", "\"checksum\": \"deadbeef\"", "checksum: expected 16 hexadecimal digits, found \"deadbeef\""},
        {"\"checksum\": \"00000000deadbeef\"", "\"checksum\": \"00000000DEADBEEF\"", "checksum: expected 16"},
        {"\"files\": [", "\"files\": 5, \"old\": [", "generations[0].parts[0]: files: expected an array, found 5"},
        {"\"files\": [", "\"files\": [], \"old\": [", "part 0 has no file"},
        {"\"parts\": [", "\"parts\": {}, \"old\": [", "generations[0]: parts: expected an array, found {}"},
        {"\"parts\": [", "\"parts\": [null, ", "generations[0].parts[0]: this entry: expected an object, found null"},
        {"\"vectors\": 50", "\"vectors\": 49", "its parts have another number of vectors than it says"},
        {"\"vectors\": 50", "\"vectors\": 51", "part 0: expected buffered between 0 and vectors"},
        {"\"held\": 45", "\"held\": 51", "held must be from 0 to indexed - first_indexed"},
        {"\"indexed\": 50,", "", "indexed: expected an integer from 0"},
        {"\"first_row\": 0", "\"first_row\": 1", "first_row must be where the file before ends"},
        {"\"rows\": 50", "\"rows\": 49", "indexed not below that nor above rows"},
        {"\"first_indexed\": 0", "\"first_indexed\": 1", "first_indexed must be at most where the file before ends"},
        {"\"generations\": [", "\"generations\": [], \"old\": [", "generations: expected at least one"},
        {",\n  \"xxh3\"", ",\n  \"xxh4\"", "does not fit the checksum at its end"},
        {"\"generations\": [", "\"generations\": [7,", "generations[0]: this entry: expected an object, found 7"},
    };
    assert_ok(commit("whole", 1, 2, false), err);
    assert_ok(commit("whole", 2, 2, false), err);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        manifest_t manifest = {0};
        char *whole = damaged_text("{", "{"), *text = damaged_text(damages[i].part, damages[i].instead);
        put_text("whole", text);
        assert_fails(manifest_read(storage, "whole", &manifest, &err), DFAISS_ERR_CHECKPOINT, err, damages[i].expected);
        assert_non_null(strstr(err.text, "manifest.json"));
        assert_null(manifest.generations);
        put_text("whole", whole);
        free(whole);
        free(text);
    }
}

static void put_bytes(const char *index, const char *text, size_t size) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s/manifest.json", storage, index);
    assert_ok(file_replace(path, text, size, &err), err);
}

/* Every bit, turned round; the file, cut off anywhere, and with something behind it. */
static void test_every_change_is_noticed(void **state) {
    (void)state;
    manifest_t manifest = {0};
    assert_ok(commit("whole", 1, 2, false), err);
    assert_ok(commit("whole", 2, 2, false), err);
    char *whole = damaged_text("{", "{");
    size_t length = strlen(whole);
    for (size_t bit = 0; bit < 8 * length; bit += 5) {
        whole[bit / 8] = (char)(whole[bit / 8] ^ (1 << bit % 8));
        put_bytes("whole", whole, length);
        assert_fails(manifest_read(storage, "whole", &manifest, &err), DFAISS_ERR_CHECKPOINT, err, "manifest.json");
        whole[bit / 8] = (char)(whole[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t kept = 0; kept < length; kept += 7) {
        put_bytes("whole", whole, kept);
        assert_fails(manifest_read(storage, "whole", &manifest, &err), DFAISS_ERR_CHECKPOINT, err, "manifest.json");
    }
    put_bytes("whole", whole, length + 1);
    assert_fails(manifest_read(storage, "whole", &manifest, &err), DFAISS_ERR_CHECKPOINT, err, "manifest.json");
    put_bytes("whole", whole, length);
    assert_ok(manifest_read(storage, "whole", &manifest, &err), err);
    manifest_clear(&manifest);
    free(whole);
}

/* ---- chains ---- */

/* Names that lead elsewhere, or to what is not this part's. */
static void test_hostile_names(void **state) {
    (void)state;
    static const char *const names[] = {
        "../../secret",
        "/etc/passwd",
        "g000001/../../x",
        "shard-0000.h5",
        "g000001/shard-0001.h5",
        "g000001//shard-0000.h5",
        "g1/shard-0000.h5",
        "g000001/shard-000.h5",
        "g0000001/shard-0000.h5",
        "G000001/shard-0000.h5",
        "g000001/shard-0000.h5/",
        "../b/g000001/shard-0000.h5",
        "g-00001/shard-0000.h5",
        "g99999999999999999999/shard-0000.h5",
        "",
    };
    assert_ok(commit("whole", 1, 2, false), err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        manifest_t manifest = {0};
        char name[128], *whole = damaged_text("{", "{");
        snprintf(name, sizeof name, "\"name\": \"%s\"", names[i]);
        char *text = damaged_text("\"name\": \"g000001/shard-0000.h5\"", name);
        put_text("whole", text);
        assert_fails(manifest_read(storage, "whole", &manifest, &err), DFAISS_ERR_CHECKPOINT, err, "expected the name of a file of part 0");
        put_text("whole", whole);
        free(whole);
        free(text);
    }
}

/* What chains obey. */
static void test_wrong_chains(void **state) {
    (void)state;
    manifest_basis_t none = {0};
    manifest_generation_t generation = make_generation(1);
    manifest_file_t *file = &generation.parts[1].files[0];
    snprintf(file->name, sizeof file->name, "g000002/shard-0001.h5");
    assert_fails(manifest_commit(storage, "a", &generation, &none, 2, false, &err), DFAISS_ERR_ARG, err, "that of a later generation");
    snprintf(file->name, sizeof file->name, "g000000/shard-0001.h5");
    assert_fails(manifest_commit(storage, "a", &generation, &none, 2, false, &err), DFAISS_ERR_ARG, err, "shares g000000/shard-0001.h5");
    snprintf(file->name, sizeof file->name, "g000001/shard-0001.h5");
    add_file(&generation.parts[1], 1, 1); /* the same file twice */
    assert_fails(manifest_commit(storage, "a", &generation, &none, 2, false, &err), DFAISS_ERR_ARG, err, "the folders of a part's files must ascend");
    generation.number = 2;
    snprintf(generation.parts[1].files[1].name, MANIFEST_FILE_NAME, "g000002/shard-0001.h5");
    generation.parts[1].files[1].indexed = 49;
    assert_fails(manifest_commit(storage, "a", &generation, &none, 2, false, &err), DFAISS_ERR_ARG, err, "indexed not below");
    free_generation(&generation);
    assert_false(manifest_exists(storage, "a"));
}

/* The next generation: part 0 goes on with its chain, part 1 begins anew. */
static manifest_generation_t follow(const manifest_generation_t *before, int64_t number) {
    manifest_generation_t made = make_generation(number);
    manifest_clear_part(&made.parts[0]);
    assert_ok(manifest_copy_part(&before->parts[0], &made.parts[0], &err), err);
    add_file(&made.parts[0], number, 0);
    made.vectors = 150;
    made.parts[0].vectors = 100;
    return made;
}

static bool shard_exists(const char *index, int64_t generation, int server) {
    char path[PATH_MAX];
    assert_ok(manifest_shard_path(storage, index, generation, server, path, sizeof path, &err), err);
    return file_exists(path);
}

static void make_shards(const char *index, int64_t generation) {
    char path[PATH_MAX];
    make_folder(index, generation);
    assert_ok(manifest_shard_path(storage, index, generation, 1, path, sizeof path, &err), err);
    assert_ok(file_replace(path, "shard", 5, &err), err);
}

/* A file stays as long as a generation that is kept names it; its folder as long as one of its files. */
static void test_shared_files_stay(void **state) {
    (void)state;
    manifest_t manifest = {0};
    manifest_basis_t basis = {0};
    manifest_generation_t generations[7];
    generations[1] = make_generation(1);
    for (int64_t number = 1; number <= 5; number++) {
        if (number > 1 && number < 5)
            generations[number] = follow(&generations[number - 1], number);
        else if (number == 5)
            generations[number] = make_generation(number);
        generations[number].parts[0].vectors = 50;
        generations[number].vectors = 100;
        make_shards("a", number);
        assert_ok(manifest_commit(storage, "a", &generations[number], &basis, 2, false, &err), err);
        basis = (manifest_basis_t){number, number};
        if (number == 4) {
            for (int64_t old = 1; old <= 4; old++) {
                assert_true(shard_exists("a", old, 0));
                assert_int_equal(shard_exists("a", old, 1), old >= 3);
            }
        }
    }
    /* Generation 4, which is kept, needs all of them still. */
    assert_true(shard_exists("a", 1, 0) && shard_exists("a", 2, 0) && shard_exists("a", 4, 1));
    assert_false(shard_exists("a", 3, 1));
    assert_ok(manifest_read(storage, "a", &manifest, &err), err);
    assert_int_equal(manifest.generations[0].parts[0].file_count, 4);
    assert_true(manifest_names_folder(&manifest, 1) && manifest_names_folder(&manifest, 5));
    assert_false(manifest_names_folder(&manifest, 6));
    assert_int_equal(manifest_part_bytes(&manifest.generations[0].parts[0]), 4000);
    assert_int_equal(manifest_generation_bytes(&manifest.generations[1]), 2001);
    manifest_clear(&manifest);
    generations[6] = make_generation(6);
    make_shards("a", 6);
    assert_ok(manifest_commit(storage, "a", &generations[6], &basis, 2, false, &err), err);
    for (int64_t old = 1; old <= 4; old++)
        assert_false(folder_exists("a", old));
    assert_true(shard_exists("a", 5, 0) && shard_exists("a", 6, 1));
    for (int number = 1; number <= 6; number++)
        free_generation(&generations[number]);
    assert_int_equal(warnings, 0);
}

/* Only what the generation that it came from has may be shared, and only in the same place. */
static void test_what_may_be_shared(void **state) {
    (void)state;
    manifest_basis_t basis = {0};
    manifest_generation_t first = make_generation(1);
    assert_ok(manifest_commit(storage, "a", &first, &basis, 2, false, &err), err);
    basis = (manifest_basis_t){1, 1};
    manifest_generation_t second = follow(&first, 2);
    second.parts[0].files[0].checksum++;
    assert_fails(manifest_commit(storage, "a", &second, &basis, 2, false, &err), DFAISS_ERR_ARG, err,
                 "shares g000001/shard-0000.h5 with generation 1");
    second.parts[0].files[0].checksum--;
    second.parts[0].files[0].held--;
    assert_fails(manifest_commit(storage, "a", &second, &basis, 2, false, &err), DFAISS_ERR_ARG, err,
                 "shares g000001/shard-0000.h5 with generation 1");
    second.parts[0].files[0].held++;
    assert_fails(manifest_commit(storage, "a", &second, &basis, 2, true, &err), DFAISS_ERR_ARG, err, "shares g000001/shard-0000.h5");
    second.parts[0].vectors = 99;
    assert_fails(manifest_commit(storage, "a", &second, &basis, 2, false, &err), DFAISS_ERR_ARG, err, "another number of vectors");
    second.parts[0].vectors = 100;
    assert_ok(manifest_commit(storage, "a", &second, &basis, 2, false, &err), err);
    manifest_generation_t third = follow(&second, 3);
    snprintf(third.parts[0].files[1].name, MANIFEST_FILE_NAME, "g000001/shard-0000.h5");
    basis = (manifest_basis_t){2, 2};
    assert_fails(manifest_commit(storage, "a", &third, &basis, 2, false, &err), DFAISS_ERR_ARG, err, "must ascend");
    free_generation(&first);
    free_generation(&second);
    free_generation(&third);
}

static void test_until(void **state) {
    (void)state;
    manifest_file_t files[] = {
        {.indexed = 100}, {.first_indexed = 90, .indexed = 120}, {.first_indexed = 60, .indexed = 150}, {.first_indexed = 150, .indexed = 160}};
    manifest_part_t part = {.file_count = 4, .files = files};
    const int64_t expected[] = {60, 60, 150, 160};
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(manifest_file_until(&part, i), expected[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_paths),
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commits_keep_and_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_basis, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_highest_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replace_of_a_damaged_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commit_refuses_wrong_generations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commit_into_what_cannot_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drop_leaves_strange_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verify_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_change_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_chains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared_files_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_may_be_shared, set_up, tear_down),
        cmocka_unit_test(test_until),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
