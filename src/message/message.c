#include "message/message.h"

static const char *const kind_names[] = {
#define MESSAGE_KIND_NAME(name) #name,
    MESSAGE_KIND_MAP(MESSAGE_KIND_NAME)
#undef MESSAGE_KIND_NAME
};

const char *message_kind_name(uint32_t kind) {
    return kind < MESSAGE_KIND_COUNT ? kind_names[kind] : "?";
}

dfaiss_status_t message_malformed(message_kind_t kind, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_PEER, message_kind_name(kind), "a message of kind %s is malformed", message_kind_name(kind));
}

dfaiss_status_t message_written(const bytes_writer_t *out, message_kind_t kind, dfaiss_error_t *err) {
    return out->failed ? error_memory(err, out->size, message_kind_name(kind)) : DFAISS_OK;
}
