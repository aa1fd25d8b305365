/* The files of the checkpoint room, one at a time: HDF5 is thread-safe in some builds only, and in a fake world several servers are one process. The
 * room itself is the real one, so that what a builder reads of a shard while it writes a file is seen.
 *
 * The linker sends calls here (--wrap). The lock orders nothing within a server, whose files one builder writes.
 */
#include <pthread.h>

#include "checkpoint/restore.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

dfaiss_status_t __real_shard_file_write(const char *path, const shard_content_t *content, dfaiss_error_t *err);
dfaiss_status_t __real_shard_file_save(const char *path, const shard_content_t *content, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err);
dfaiss_status_t __real_shard_file_read(const char *path, shard_content_t *content, dfaiss_error_t *err);
dfaiss_status_t __wrap_shard_file_write(const char *path, const shard_content_t *content, dfaiss_error_t *err);
dfaiss_status_t __wrap_shard_file_save(const char *path, const shard_content_t *content, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err);
dfaiss_status_t __wrap_shard_file_read(const char *path, shard_content_t *content, dfaiss_error_t *err);

dfaiss_status_t __wrap_shard_file_write(const char *path, const shard_content_t *content, dfaiss_error_t *err) {
    pthread_mutex_lock(&lock);
    dfaiss_status_t status = __real_shard_file_write(path, content, err);
    pthread_mutex_unlock(&lock);
    return status;
}

dfaiss_status_t __wrap_shard_file_save(const char *path, const shard_content_t *content, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err) {
    pthread_mutex_lock(&lock);
    dfaiss_status_t status = __real_shard_file_save(path, content, checksum, bytes, err);
    pthread_mutex_unlock(&lock);
    return status;
}

dfaiss_status_t __wrap_shard_file_read(const char *path, shard_content_t *content, dfaiss_error_t *err) {
    pthread_mutex_lock(&lock);
    dfaiss_status_t status = __real_shard_file_read(path, content, err);
    pthread_mutex_unlock(&lock);
    return status;
}

dfaiss_status_t __real_restore_read(const restore_source_t *source, const spread_t *plan, shard_content_t *content, dfaiss_error_t *err);
dfaiss_status_t __real_restore_survey(const restore_source_t *source, int part, restore_survey_t *out, dfaiss_error_t *err);
dfaiss_status_t __real_restore_inputs(const restore_source_t *source, int part, inputs_t *inputs, dfaiss_error_t *err);
dfaiss_status_t __wrap_restore_read(const restore_source_t *source, const spread_t *plan, shard_content_t *content, dfaiss_error_t *err);
dfaiss_status_t __wrap_restore_survey(const restore_source_t *source, int part, restore_survey_t *out, dfaiss_error_t *err);
dfaiss_status_t __wrap_restore_inputs(const restore_source_t *source, int part, inputs_t *inputs, dfaiss_error_t *err);

dfaiss_status_t __wrap_restore_read(const restore_source_t *source, const spread_t *plan, shard_content_t *content, dfaiss_error_t *err) {
    pthread_mutex_lock(&lock);
    dfaiss_status_t status = __real_restore_read(source, plan, content, err);
    pthread_mutex_unlock(&lock);
    return status;
}

dfaiss_status_t __wrap_restore_survey(const restore_source_t *source, int part, restore_survey_t *out, dfaiss_error_t *err) {
    pthread_mutex_lock(&lock);
    dfaiss_status_t status = __real_restore_survey(source, part, out, err);
    pthread_mutex_unlock(&lock);
    return status;
}

dfaiss_status_t __wrap_restore_inputs(const restore_source_t *source, int part, inputs_t *inputs, dfaiss_error_t *err) {
    pthread_mutex_lock(&lock);
    dfaiss_status_t status = __real_restore_inputs(source, part, inputs, err);
    pthread_mutex_unlock(&lock);
    return status;
}
