#include "message/statistics.h"

void message_statistics_encode(const message_statistics_t *message, bytes_writer_t *out) {
#define STATISTICS_PUT(name) bytes_put_i64(out, message->name);
    STATISTICS_MAP(STATISTICS_PUT)
#undef STATISTICS_PUT
}

void message_statistics_decode(bytes_reader_t *in, message_statistics_t *message) {
#define STATISTICS_GET(name) message->name = bytes_get_i64(in);
    STATISTICS_MAP(STATISTICS_GET)
#undef STATISTICS_GET
}
