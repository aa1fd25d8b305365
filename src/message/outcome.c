#include "message/outcome.h"

void message_outcome_encode(dfaiss_status_t status, const dfaiss_error_t *error, bytes_writer_t *out) {
    bytes_put_u8(out, (uint8_t)status);
    if (status != DFAISS_OK) {
        bytes_put_string(out, error->text);
        bytes_put_string(out, error->where);
    }
}

dfaiss_status_t message_outcome_decode(message_kind_t kind, bytes_reader_t *in, dfaiss_status_t *status, dfaiss_error_t *said, dfaiss_error_t *err) {
    uint8_t code = bytes_get_u8(in);
    if (in->failed || code >= DFAISS_STATUS_COUNT)
        return message_malformed(kind, err);
    *status = (dfaiss_status_t)code;
    if (*status != DFAISS_OK) {
        said->code = *status;
        bytes_get_string(in, said->text, sizeof said->text);
        bytes_get_string(in, said->where, sizeof said->where);
    }
    return in->failed ? message_malformed(kind, err) : DFAISS_OK;
}
