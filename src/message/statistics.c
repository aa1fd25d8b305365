#include "message/statistics.h"

#include "message/outcome.h"

void message_statistics_encode(const message_statistics_t *message, bytes_writer_t *out) {
#define STATISTICS_PUT(name) bytes_put_i64(out, message->name);
    STATISTICS_MAP(STATISTICS_PUT)
#undef STATISTICS_PUT
    message_outcome_encode(message->failure.code, &message->failure, out);
}

void message_statistics_decode(bytes_reader_t *in, message_statistics_t *message) {
#define STATISTICS_GET(name) message->name = bytes_get_i64(in);
    STATISTICS_MAP(STATISTICS_GET)
#undef STATISTICS_GET
    message->failure = (dfaiss_error_t){0};
    dfaiss_status_t status;
    if (message_outcome_decode(MESSAGE_STATISTICS, in, &status, &message->failure, NULL) != DFAISS_OK)
        in->failed = true;
}
