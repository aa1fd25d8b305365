/* What lies under a shard's file: no locks, whatever the environment says; writes that are lost are noticed; a failure at any call is told and leaves
 * no file, and HDF5 none the worse. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>

#include <hdf5.h>

#include "base/fault.h"
#include "base/file.h"
#include "checkpoint/shard_file.h"

static char folder[PATH_MAX / 4], path[PATH_MAX / 2];
static dfaiss_error_t err;

/* This program is a machine whose file system refuses locks. */
static int locks_refused;
__attribute__((visibility("default"))) int flock(int descriptor, int operation) {
    (void)descriptor;
    (void)operation;
    locks_refused++;
    errno = ENOLCK;
    return -1;
}

static int set_up(void **state) {
    (void)state;
    locks_refused = 0;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/shard-0000.h5", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return fault_choose(NULL, &err) == DFAISS_OK && file_remove_tree(folder, &err) == DFAISS_OK ? 0 : -1;
}

enum { DIM = 4, ROWS = 300 };

/* Vectors that wait to be indexed. */
static shard_content_t make_content(void) {
    static const char config[] = "{\"index_builder_type\": \"flat\", \"dim\": 4}";
    static float vectors[ROWS * DIM];
    static shard_batch_t batch = {.n = ROWS, .first_id = 7, .element = ELEMENT_f32, .vectors = vectors, .vector_bytes = sizeof vectors};
    shard_content_t content = {.index = "wiki", .generation = 1, .servers = 1, .rows = ROWS, .batches = &batch, .batch_count = 1};
    for (int i = 0; i < ROWS * DIM; i++)
        vectors[i] = (float)(i + 1);
    assert_ok(index_config_parse(config, strlen(config), "test", &content.config, &err), err);
    return content;
}

static void check_file(void) {
    shard_content_t read;
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_int_equal(read.rows, ROWS);
    assert_int_equal(shard_batch_id(&read.batches[0], 2), 9);
    assert_true(((const float *)read.batches[0].vectors)[ROWS * DIM - 1] == (float)(ROWS * DIM));
    shard_content_clear(&read);
}

static void test_locks_are_refused(void **state) {
    (void)state;
    H5E_auto2_t print;
    void *context;
    H5Eget_auto2(H5E_DEFAULT, &print, &context);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, print, context);
    assert_true(file < 0 && locks_refused > 0);
    shard_content_t content = make_content();
    uint64_t checksum = 0, bytes = 0;
    locks_refused = 0;
    assert_ok(shard_file_save(path, &content, &checksum, &bytes, &err), err);
    check_file();
    assert_int_equal(locks_refused, 0);
    index_config_destroy(content.config);
}

static void test_checksum_is_the_file_s(void **state) {
    (void)state;
    shard_content_t content = make_content();
    uint64_t checksums[2], bytes[2];
    assert_ok(shard_file_save(path, &content, &checksums[0], &bytes[0], &err), err);
    assert_ok(file_checksum(path, &checksums[1], &bytes[1], &err), err);
    assert_true(checksums[0] == checksums[1]);
    assert_int_equal(bytes[0], bytes[1]);
    index_config_destroy(content.config);
}

static long long count_calls(const shard_content_t *content) {
    uint64_t checksum, bytes;
    assert_ok(fault_choose("count", &err), err);
    assert_ok(shard_file_save(path, content, &checksum, &bytes, &err), err);
    long long calls = fault_calls();
    assert_in_range(calls, 8, 1000);
    return calls;
}

/* A device that says that it has written what it has not: the file is not taken for whole, unless what was lost was zero anyway. */
static void test_lost_writes(void **state) {
    (void)state;
    shard_content_t content = make_content();
    long long calls = count_calls(&content), noticed = 0;
    for (long long call = 1; call <= calls; call++) {
        char fault[64];
        uint64_t checksum, bytes;
        snprintf(fault, sizeof fault, "write:%lld:lost", call);
        assert_ok(fault_choose(fault, &err), err);
        dfaiss_status_t status = shard_file_save(path, &content, &checksum, &bytes, &err);
        assert_ok(fault_choose(NULL, &err), err);
        if (status == DFAISS_OK) {
            check_file();
            continue;
        }
        noticed++;
        assert_int_equal(status, DFAISS_ERR_IO);
        assert_false(file_exists(path));
    }
    assert_true(noticed > 3);
    index_config_destroy(content.config);
}

static void test_short_writes(void **state) {
    (void)state;
    shard_content_t content = make_content();
    uint64_t checksum, bytes;
    assert_ok(fault_choose("write:1+:short", &err), err);
    assert_ok(shard_file_save(path, &content, &checksum, &bytes, &err), err);
    assert_ok(fault_choose(NULL, &err), err);
    check_file();
    index_config_destroy(content.config);
}

static int descriptors(void) {
    int count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* Each call fails, alone or with all that come after it. */
static void test_every_call_fails(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
        dfaiss_status_t status;
    } fates[] = {{"ENOSPC", "No space left on device", DFAISS_ERR_SPACE}, {"EIO", "Input/output error", DFAISS_ERR_IO}};
    shard_content_t content = make_content();
    long long calls = count_calls(&content);
    int before = descriptors();
    for (int fate = 0; fate < 4; fate++) {
        for (long long call = 1; call <= calls; call++) {
            char fault[64];
            uint64_t checksum, bytes;
            snprintf(fault, sizeof fault, "any:%lld%s:%s", call, fate % 2 ? "+" : "", fates[fate / 2].name);
            assert_ok(fault_choose(fault, &err), err);
            dfaiss_status_t status = shard_file_save(path, &content, &checksum, &bytes, &err);
            assert_ok(fault_choose(NULL, &err), err);
            if (status != DFAISS_OK) {
                assert_int_equal(status, fates[fate / 2].status);
                assert_non_null(strstr(err.text, fates[fate / 2].text));
                assert_non_null(strstr(err.text, folder));
            }
            assert_int_equal(descriptors(), before);
        }
    }
    assert_ok(shard_file_write(path, &content, &err), err);
    check_file();
    index_config_destroy(content.config);
}

/* What a device cannot give back is damage. */
static void test_unreadable(void **state) {
    (void)state;
    shard_content_t content = make_content();
    assert_ok(shard_file_write(path, &content, &err), err);
    assert_ok(fault_choose("read:1000000:EIO", &err), err);
    check_file();
    long long calls = fault_calls();
    for (long long call = 1; call <= calls; call++) {
        shard_content_t read;
        char fault[64];
        snprintf(fault, sizeof fault, "read:%lld:EIO", call);
        assert_ok(fault_choose(fault, &err), err);
        assert_fails(shard_file_read(path, &read, &err), DFAISS_ERR_CHECKPOINT, err, "Input/output error");
    }
    index_config_destroy(content.config);
}

/* HDF5 1.10 forgets to free some of what it had when it could not read on. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_locks_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checksum_is_the_file_s, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_writes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_short_writes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_call_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
    };
    /* Before HDF5 looks for it. */
    setenv("HDF5_USE_FILE_LOCKING", "TRUE", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
