/* Whatever call of a save fails, is torn, or is the last of its process: afterwards the index loads with exactly the content of the generation before
 * or of the new one, and can be saved again. Whatever is damaged afterwards is noticed, and the generation before is loaded. For every class of
 * index. */
#include "check.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <omp.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "checkpoint/generation.h"

enum { DIM = 8, SERVERS = 2, OLD = 1, NEW = 2, KEEP = 2, SAMPLE = 400, DAMAGES = 200 };

static char storage[PATH_MAX / 4];
static dfaiss_error_t err;

/* ---- an index of two servers in two generations ---- */

static const struct {
    const char *name, *config;
    bool trained;
} kinds[] = {
    {"flat", "{\"index_builder_type\": \"flat\", \"dim\": 8, \"metric\": \"l2\"}", true},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"dim\": 8, \"centroids\": 4, \"metric\": \"l2\"}", true},
    {"hnsw", "{\"index_builder_type\": \"hnswsq\", \"dim\": 8, \"store_n\": 4, \"metric\": \"l2\"}", true},
    {"opaque", "{\"faiss_factory\": \"IVF4,PQ8x4fs\", \"dim\": 8, \"metric\": \"l2\"}", true},
    {"untrained", "{\"index_builder_type\": \"ivf_simple\", \"dim\": 8, \"centroids\": 4, \"metric\": \"l2\"}", false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The new generation holds everything in files of its own, or what has come since. */
typedef enum form { WHOLE, SHARED, FORMS } form_t;

static form_t form;

/* By kind, generation (less 1) and server. */
static shard_content_t contents[KINDS][2][SERVERS];
/* The checksums of the files that these generations wrote, by form. */
static uint64_t checksums[FORMS][KINDS][2][SERVERS];
/* What the servers remember of the old generation. */
static basis_t *bases[KINDS][SERVERS];

/* The files of the old generation: the manifest, then one of each server. */
typedef struct kept_file {
    char *bytes;
    size_t size;
} kept_file_t;

static kept_file_t kept_files[KINDS][1 + SERVERS];

static void make_vectors(float *vectors, int64_t rows, uint64_t stream) {
    random_state_t random = random_stream(11, stream);
    for (int64_t i = 0; i < rows * DIM; i++)
        vectors[i] = (float)random_below(&random, 100);
}

static void make_store(shard_content_t *content, const float *vectors, int64_t indexed) {
    static float sample[SAMPLE * DIM];
    engine_block_t *block = NULL;
    make_vectors(sample, SAMPLE, 99);
    assert_ok(engine_template_create(content->config, SAMPLE, &content->template, &err), err);
    assert_ok(engine_template_train(content->template, SAMPLE, sample, &err), err);
    assert_ok(engine_store_create(content->template, content->config->segment_rows, &content->store, &err), err);
    assert_ok(engine_block_build(content->store, 0, indexed, vectors, true, &block, &err), err);
    while (!engine_block_link(content->store, block, INT64_MAX))
        continue;
    engine_block_destroy(block);
}

/* Rows in one batch, a quarter of them not indexed, each with a byte of metadata. */
static void make_batch(shard_content_t *content, const float *vectors) {
    shard_batch_t *batch = content->batches = calloc(1, sizeof *batch);
    assert_non_null(batch);
    content->batch_count = 1;
    batch->n = content->rows;
    batch->first_id = 1000 * content->server;
    batch->element = ELEMENT_f32;
    batch->vector_bytes = (size_t)batch->n * DIM * sizeof(float);
    batch->vectors = memory_map(batch->vector_bytes);
    batch->metadata_ends = calloc((size_t)batch->n, sizeof *batch->metadata_ends);
    batch->metadata = calloc((size_t)batch->n, 1);
    assert_true(batch->vectors && batch->metadata_ends && batch->metadata);
    memcpy(batch->vectors, vectors, batch->vector_bytes);
    for (int64_t i = 0; i < batch->n; i++)
        batch->metadata_ends[i] = (uint64_t)i + 1;
    memset(batch->metadata, 'm', (size_t)batch->n);
}

static void make_content(int kind, int generation, int server) {
    static float vectors[200 * DIM];
    shard_content_t *content = &contents[kind][generation - 1][server];
    *content =
        (shard_content_t){.index = "wiki", .generation = generation, .server = server, .servers = SERVERS, .rows = 60 + 40 * generation + server};
    make_vectors(vectors, content->rows, (uint64_t)server);
    assert_ok(index_config_parse(kinds[kind].config, strlen(kinds[kind].config), "test", &content->config, &err), err);
    if (kinds[kind].trained)
        make_store(content, vectors, content->rows * 3 / 4);
    make_batch(content, vectors);
}

/* ---- saving and loading, as servers do ---- */

static dfaiss_status_t write_all(int kind, manifest_generation_t *generation, bool replace) {
    for (int server = 0; server < SERVERS; server++) {
        shard_content_t content = contents[kind][generation->number == OLD ? 0 : 1][server];
        basis_t *next = NULL, *follows = form == SHARED && generation->number == NEW && !replace ? bases[kind][server] : NULL;
        content.generation = generation->number;
        TRY(generation_write(storage, &content, follows, &generation->parts[server], &next, &err));
        if (generation->number == OLD && !bases[kind][server])
            bases[kind][server] = next;
        else
            basis_destroy(next);
        generation->vectors += generation->parts[server].vectors;
        generation->buffered += generation->parts[server].buffered;
    }
    return DFAISS_OK;
}

/* *named: the generation is in the manifest although it failed. */
static dfaiss_status_t save(int kind, const manifest_basis_t *basis, bool replace, bool *named) {
    manifest_generation_t generation = {.servers = SERVERS, .next_id = 1, .part_count = SERVERS, .config = json_object()};
    generation.parts = calloc(SERVERS, sizeof *generation.parts);
    *named = false;
    dfaiss_status_t status = generation_begin(storage, "wiki", basis, replace, &generation.number, &err);
    if (status == DFAISS_OK)
        status = write_all(kind, &generation, replace);
    if (status == DFAISS_OK)
        status = generation_commit(storage, "wiki", &generation, basis, KEEP, replace, &err);
    if (status != DFAISS_OK && generation.number > 0 && generation_abandon(storage, "wiki", generation.number, replace, named, NULL) != DFAISS_OK)
        *named = false;
    manifest_clear_generation(&generation);
    return status;
}

/* Is it whole? `read`: what is in it, too; the checksums say as much, but reading takes longer. */
static dfaiss_status_t load_generation(int kind, const manifest_generation_t *generation, bool read) {
    bool is_new = generation->number != OLD;
    assert_int_equal(generation->servers, SERVERS);
    for (int server = 0; server < SERVERS; server++) {
        const manifest_part_t *part = &generation->parts[server];
        shard_content_t content;
        for (int64_t i = 0; i < part->file_count; i++)
            TRY(manifest_verify_file(storage, "wiki", &part->files[i], &err));
        if (generation->number <= NEW)
            assert_true(part->files[part->file_count - 1].checksum == checksums[form][kind][is_new][server]);
        if (!read)
            continue;
        TRY(generation_read(storage, "wiki", generation->number, server, SERVERS, part, &content, &err));
        assert_int_equal(content.rows, contents[kind][is_new][server].rows);
        shard_content_clear(&content);
    }
    return DFAISS_OK;
}

/* The newest generation that is whole, as *basis; which must be there. */
static void load(int kind, bool read, manifest_basis_t *basis) {
    manifest_t manifest = {0};
    assert_ok(manifest_read(storage, "wiki", &manifest, &err), err);
    int64_t left = manifest.count;
    dfaiss_status_t status = DFAISS_ERR_CHECKPOINT;
    while (status == DFAISS_ERR_CHECKPOINT && left-- > 0)
        status = load_generation(kind, &manifest.generations[left], read);
    assert_ok(status, err);
    *basis = (manifest_basis_t){manifest.generations[left].number, manifest_newest(&manifest)->number};
    manifest_clear(&manifest);
}

static char *read_file(const char *path, size_t *size) {
    char *bytes = NULL;
    assert_ok(file_read_whole(path, 1 << 28, &bytes, size, &err), err);
    return bytes;
}

static void put_file(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void old_path(int number, char *path, size_t capacity) {
    if (number == 0)
        snprintf(path, capacity, "%s/wiki/manifest.json", storage);
    else
        assert_ok(manifest_shard_path(storage, "wiki", OLD, number - 1, path, capacity, &err), err);
}

/* The storage holds nothing but the old generation. */
static void put_old(int kind) {
    char path[PATH_MAX];
    assert_ok(file_remove_tree(storage, &err), err);
    assert_ok(manifest_generation_path(storage, "wiki", OLD, path, sizeof path, &err), err);
    assert_ok(file_make_directories(path, &err), err);
    for (int i = 0; i <= SERVERS; i++) {
        old_path(i, path, sizeof path);
        put_file(path, kept_files[kind][i].bytes, kept_files[kind][i].size);
    }
}

static void keep_old(int kind) {
    char path[PATH_MAX];
    for (int i = 0; i <= SERVERS; i++) {
        old_path(i, path, sizeof path);
        kept_files[kind][i].bytes = read_file(path, &kept_files[kind][i].size);
    }
}

static void check_files(int64_t expected) {
    manifest_t manifest = {0};
    assert_ok(manifest_read(storage, "wiki", &manifest, &err), err);
    for (int server = 0; server < SERVERS; server++)
        assert_int_equal(manifest_newest(&manifest)->parts[server].file_count, expected);
    manifest_clear(&manifest);
}

static void note_checksums(int kind, int generation) {
    for (int server = 0; server < SERVERS; server++) {
        char path[PATH_MAX];
        uint64_t bytes;
        assert_ok(manifest_shard_path(storage, "wiki", generation, server, path, sizeof path, &err), err);
        assert_ok(file_checksum(path, &checksums[form][kind][generation - 1][server], &bytes, &err), err);
    }
}

/* Contents, and what their files are when nothing fails. */
static int make_kinds(void **state) {
    (void)state;
    check_make_folder(storage, sizeof storage);
    for (int kind = 0; kind < KINDS; kind++) {
        bool named;
        manifest_basis_t basis, none = {0};
        for (int server = 0; server < SERVERS; server++) {
            make_content(kind, OLD, server);
            make_content(kind, NEW, server);
        }
        assert_ok(file_remove_tree(storage, &err), err);
        assert_ok(save(kind, &none, false, &named), err);
        keep_old(kind);
        for (form = WHOLE; form < FORMS; form++) {
            put_old(kind);
            note_checksums(kind, OLD);
            load(kind, true, &basis);
            assert_ok(save(kind, &basis, false, &named), err);
            check_files(form == SHARED ? 2 : 1);
            note_checksums(kind, NEW);
        }
    }
    return 0;
}

static int clear_kinds(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        for (int server = 0; server < SERVERS; server++) {
            shard_content_clear(&contents[kind][0][server]);
            shard_content_clear(&contents[kind][1][server]);
            basis_destroy(bases[kind][server]);
        }
        for (int i = 0; i <= SERVERS; i++)
            free(kept_files[kind][i].bytes);
    }
    return file_remove_tree(storage, &err) == DFAISS_OK ? 0 : -1;
}

/* ---- every point of a save ---- */

typedef enum ending { ENDED_WELL, ENDED_WITH_FAILURE, ENDED_NAMED, ENDED_KILLED } ending_t;

static const manifest_basis_t old_basis = {OLD, OLD};

static long long calls; /* that the last save made, of those that the fault was for */

static ending_t save_with(int kind, const char *fault, bool replace) {
    bool named = false;
    assert_ok(fault_choose(fault, &err), err);
    dfaiss_status_t status = save(kind, &old_basis, replace, &named);
    calls = fault_calls();
    assert_ok(fault_choose(NULL, &err), err);
    return status == DFAISS_OK ? ENDED_WELL : named ? ENDED_NAMED : ENDED_WITH_FAILURE;
}

static ending_t save_in_a_process(int kind, const char *fault, bool replace) {
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit((int)save_with(kind, fault, replace));
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return ENDED_KILLED;
    }
    return (ending_t)WEXITSTATUS(status);
}

/* After a failed or a killed save: the old or the new generation, whole; and the next save is none the worse. */
static void check_after(int kind, const char *fault, ending_t ending, bool save_again) {
    manifest_basis_t basis;
    bool named;
    load(kind, save_again, &basis);
    if (basis.generation != basis.newest)
        fail_msg("%s, %s: the manifest names generation %d, which is not whole", kinds[kind].name, fault, (int)basis.newest);
    if ((ending == ENDED_WELL || ending == ENDED_NAMED) && basis.generation != NEW)
        fail_msg("%s, %s: the new generation is lost", kinds[kind].name, fault);
    if (ending == ENDED_WITH_FAILURE)
        assert_int_equal(basis.generation, OLD);
    if (!save_again)
        return;
    int64_t before = basis.generation;
    assert_ok(save(kind, &basis, false, &named), err);
    load(kind, true, &basis);
    assert_int_equal(basis.generation, before + 1);
}

static void walk_form(const char *call, const char *fate, bool dies, bool replace) {
    for (int kind = 0; kind < KINDS; kind++) {
        char fault[64];
        int endings[4] = {0};
        snprintf(fault, sizeof fault, "%s:1000000:EIO", call); /* counts alone */
        put_old(kind);
        assert_int_equal(save_with(kind, fault, replace), ENDED_WELL);
        long long points = calls;
        for (long long point = 1; point <= points; point++) {
            snprintf(fault, sizeof fault, "%s:%lld%s", call, point, fate);
            put_old(kind);
            ending_t ending = dies ? save_in_a_process(kind, fault, replace) : save_with(kind, fault, replace);
            endings[ending]++;
            check_after(kind, fault, ending, point % 5 == 0);
        }
        print_message("%s%s, %s%s: %lld calls; saved %d, failed %d, failed late %d, killed %d\n", kinds[kind].name, form == SHARED ? ", shared" : "",
                      call, fate, points, endings[ENDED_WELL], endings[ENDED_WITH_FAILURE], endings[ENDED_NAMED], endings[ENDED_KILLED]);
        assert_in_range(points, 10, 1000);
        assert_true(endings[dies ? ENDED_KILLED : ENDED_WITH_FAILURE] > 0);
    }
}

static void walk(const char *call, const char *fate, bool dies) {
    for (form = WHOLE; form < FORMS; form++)
        walk_form(call, fate, dies, false);
}

static void test_killed(void **state) {
    (void)state;
    walk("any", ":kill", true);
}

static void test_torn(void **state) {
    (void)state;
    walk("write", ":torn", true);
}

static void test_no_space(void **state) {
    (void)state;
    walk("any", ":ENOSPC", false);
}

/* A disk stays full until something is removed. */
static void test_full_disk(void **state) {
    (void)state;
    walk("write", "+:ENOSPC", false);
}

static void test_device_errors(void **state) {
    (void)state;
    walk("any", ":EIO", false);
}

/* From then on nothing works, cleaning up included. */
static void test_device_is_gone(void **state) {
    (void)state;
    walk("any", "+:EIO", false);
}

/* Nothing is told of writes that did not happen. */
static void test_lost_writes(void **state) {
    (void)state;
    walk("write", ":lost", false);
}

/* The new index takes the place of all generations of the old one. */
static void test_replaced(void **state) {
    (void)state;
    form = WHOLE;
    walk_form("any", ":kill", true, true);
    walk_form("any", ":EIO", false, true);
}

/* ---- damage afterwards ---- */

static void put_both(int kind) {
    bool named;
    put_old(kind);
    assert_ok(save(kind, &old_basis, false, &named), err);
}

/* The file is damaged now: the generation before is loaded, and the text names the file. */
static void check_passed_over(int kind, const char *path, bool read) {
    manifest_basis_t basis;
    manifest_t manifest = {0};
    assert_ok(manifest_read(storage, "wiki", &manifest, &err), err);
    assert_int_equal(load_generation(kind, manifest_newest(&manifest), true), DFAISS_ERR_CHECKPOINT);
    assert_non_null(strstr(err.text, path));
    manifest_clear(&manifest);
    load(kind, read, &basis);
    assert_int_equal(basis.generation, OLD);
    assert_int_equal(basis.newest, NEW);
}

typedef void check_damaged_t(int kind, const char *path, bool read);

/* Bits and cuts anywhere in a file, and no file at all. */
static void damage_file(int kind, const char *path, check_damaged_t *check) {
    size_t size = 0;
    random_state_t random = random_stream(12, (uint64_t)kind);
    char *bytes = read_file(path, &size);
    for (int i = 0; i < DAMAGES; i++) {
        size_t at = (size_t)random_below(&random, size);
        char kept = bytes[at];
        bytes[at] = (char)(kept ^ (1 << random_below(&random, 8)));
        put_file(path, bytes, i % 2 ? size : at);
        check(kind, path, i % 50 == 0);
        bytes[at] = kept;
    }
    assert_int_equal(unlink(path), 0);
    check(kind, path, true);
    free(bytes);
}

static void test_damaged_files(void **state) {
    (void)state;
    for (form = WHOLE; form < FORMS; form++) {
        for (int kind = 0; kind < KINDS; kind++) {
            char path[PATH_MAX];
            put_both(kind);
            assert_ok(manifest_shard_path(storage, "wiki", NEW, kind % SERVERS, path, sizeof path, &err), err);
            damage_file(kind, path, check_passed_over);
        }
    }
}

/* Neither generation is whole. */
static void check_none_whole(int kind, const char *path, bool read) {
    manifest_t manifest = {0};
    assert_ok(manifest_read(storage, "wiki", &manifest, &err), err);
    for (int64_t i = 0; i < manifest.count; i++) {
        assert_int_equal(load_generation(kind, &manifest.generations[i], read), DFAISS_ERR_CHECKPOINT);
        assert_non_null(strstr(err.text, path));
    }
    manifest_clear(&manifest);
}

/* A file that both generations share. */
static void test_damaged_shared_files(void **state) {
    (void)state;
    form = SHARED;
    for (int kind = 0; kind < KINDS; kind++) {
        char path[PATH_MAX];
        put_both(kind);
        assert_ok(manifest_shard_path(storage, "wiki", OLD, kind % SERVERS, path, sizeof path, &err), err);
        damage_file(kind, path, check_none_whole);
    }
}

/* The file that a chain goes on from is another one than the manifest says, though that has its checksum. */
static void test_chains_do_not_mix(void **state) {
    (void)state;
    form = SHARED;
    put_both(0);
    manifest_t manifest = {0};
    shard_content_t content;
    assert_ok(manifest_read(storage, "wiki", &manifest, &err), err);
    manifest_part_t *part = &manifest.generations[1].parts[1];
    assert_int_equal(part->file_count, 2);
    char path[PATH_MAX], other[PATH_MAX + 8];
    size_t size = 0;
    assert_ok(manifest_file_path(storage, "wiki", &part->files[0], path, sizeof path, &err), err);
    snprintf(other, sizeof other, "%s.other", path);
    shard_content_t changed = contents[0][0][1];
    changed.batches[0].metadata[0] = 'n';
    assert_ok(shard_file_save(other, &changed, &part->files[0].checksum, &part->files[0].bytes, &err), err);
    changed.batches[0].metadata[0] = 'm';
    char *bytes = read_file(other, &size);
    put_file(path, bytes, size);
    free(bytes);
    assert_fails(generation_read(storage, "wiki", NEW, 1, SERVERS, part, &content, &err), DFAISS_ERR_CHECKPOINT, err, "g000002/shard-0001.h5");
    assert_non_null(strstr(err.text, "previous"));
    manifest_clear(&manifest);
}

/* The manifest itself: nothing is loaded from one that is damaged, whatever it seems to say. */
static void test_damaged_manifest(void **state) {
    (void)state;
    char path[PATH_MAX];
    size_t size = 0;
    random_state_t random = random_stream(13, 0);
    form = SHARED;
    put_both(0);
    snprintf(path, sizeof path, "%s/wiki/manifest.json", storage);
    char *bytes = read_file(path, &size);
    for (int i = 0; i < DAMAGES; i++) {
        manifest_t manifest = {0};
        size_t at = (size_t)random_below(&random, size);
        char kept = bytes[at];
        bytes[at] = (char)(kept ^ (1 << random_below(&random, 8)));
        put_file(path, bytes, i % 2 ? size : at);
        assert_fails(manifest_read(storage, "wiki", &manifest, &err), DFAISS_ERR_CHECKPOINT, err, path);
        bytes[at] = kept;
    }
    free(bytes);
}

/* A file of another generation, server or index is not taken, though it is whole and the manifest has its checksum. */
static void test_generations_do_not_mix(void **state) {
    (void)state;
    char other[PATH_MAX], path[PATH_MAX];
    size_t size = 0;
    manifest_file_t file = {.name = "g000002/shard-0001.h5"};
    manifest_part_t part = {.file_count = 1, .files = &file};
    shard_content_t content;
    form = WHOLE;
    put_both(1);
    assert_ok(manifest_shard_path(storage, "wiki", OLD, 1, other, sizeof other, &err), err);
    assert_ok(manifest_shard_path(storage, "wiki", NEW, 1, path, sizeof path, &err), err);
    char *bytes = read_file(other, &size);
    put_file(path, bytes, size);
    free(bytes);
    assert_ok(file_checksum(path, &file.checksum, &file.bytes, &err), err);
    assert_fails(generation_read(storage, "wiki", NEW, 1, SERVERS, &part, &content, &err), DFAISS_ERR_CHECKPOINT, err,
                 "holds server 1 of 2 of generation 1 of index 'wiki'; server 1 of 2 of generation 2 of 'wiki' is expected");
    assert_null(content.batches);
    assert_fails(generation_read(storage, "wiki", NEW, 1, SERVERS + 1, &part, &content, &err), DFAISS_ERR_CHECKPOINT, err, "server 1 of 3");
}

/* Which generation is the basis decides, not which is there. */
static void test_somebody_else_has_saved(void **state) {
    (void)state;
    manifest_basis_t none = {0};
    bool named;
    put_both(0);
    assert_int_equal(save(0, &old_basis, false, &named), DFAISS_ERR_STATE);
    assert_int_equal(save(0, &none, false, &named), DFAISS_ERR_STATE);
    assert_non_null(strstr(err.text, "was saved by somebody else"));
    assert_ok(save(0, &none, true, &named), err);
}

/* HDF5 1.10 forgets to free some of what it had when it could not read on. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_device_errors),
        cmocka_unit_test(test_device_is_gone),
        cmocka_unit_test(test_lost_writes),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_damaged_shared_files),
        cmocka_unit_test(test_chains_do_not_mix),
        cmocka_unit_test(test_damaged_manifest),
        cmocka_unit_test(test_generations_do_not_mix),
        cmocka_unit_test(test_somebody_else_has_saved),
    };
    /* Threads of OpenMP do not come along into a new process; and thousands of files are synced, which only memory does quickly. */
    omp_set_num_threads(1);
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, make_kinds, clear_kinds);
}
