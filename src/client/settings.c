/* What is set on all servers alike. */
#include "client/client_internal.h"
#include "message/setting.h"

dfaiss_status_t dfaiss_set_nprobe(dfaiss_client_t *client, const char *index, int64_t nprobe, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    if (nprobe < 1 || nprobe > MESSAGE_MAX_NPROBE)
        return error_set(err, DFAISS_ERR_ARG, "nprobe", "nprobe is %lld; it must be 1 to %d", (long long)nprobe, MESSAGE_MAX_NPROBE);
    bytes_writer_t body = {0};
    message_setting_encode(index, nprobe, &body);
    return client_tell(client, COORDINATOR, MESSAGE_SET_NPROBE, &body, NULL, 0, PATIENCE_SHORT, err);
}

dfaiss_status_t dfaiss_set_threads(dfaiss_client_t *client, int threads, dfaiss_error_t *err) {
    if (!client)
        return error_null(err, "client");
    TRY(client_check_broken(client, err));
    if (threads < 1 || threads > MESSAGE_MAX_THREADS)
        return error_set(err, DFAISS_ERR_ARG, "threads", "threads is %d; it must be 1 to %d", threads, MESSAGE_MAX_THREADS);
    bytes_writer_t body = {0};
    message_setting_encode("", threads, &body);
    return client_tell(client, COORDINATOR, MESSAGE_SET_THREADS, &body, NULL, 0, PATIENCE_SHORT, err);
}
