#include "gateway/frame.h"

#include <string.h>

#include <dfaiss/version.h>

#include "transport/transport.h"

enum { HELLO_MAGIC = 0x68676664, WELCOME_MAGIC = 0x77676664, HEAD_MAGIC = 0x31676664 };

bool frame_token_equal(const uint8_t *a, const uint8_t *b) {
    volatile uint8_t differ = 0;
    for (int i = 0; i < LISTEN_TOKEN; i++)
        differ = (uint8_t)(differ | (a[i] ^ b[i]));
    return differ == 0;
}

/* As large as what is written: the writer never allocates. */
static bytes_writer_t writer_into(uint8_t *out, size_t capacity) {
    return (bytes_writer_t){.data = out, .capacity = capacity};
}

void frame_hello_encode(const uint8_t *token, uint8_t out[FRAME_HELLO]) {
    bytes_writer_t writer = writer_into(out, FRAME_HELLO);
    bytes_put(&writer, token, LISTEN_TOKEN);
    bytes_put_u32(&writer, HELLO_MAGIC);
    bytes_put_u32(&writer, FRAME_VERSION);
    bytes_put_u32(&writer, DFAISS_VERSION);
}

bool frame_versions_fit(const uint8_t bytes[FRAME_VERSIONS]) {
    bytes_reader_t in = bytes_reader(bytes, FRAME_VERSIONS);
    uint32_t magic = bytes_get_u32(&in), version = bytes_get_u32(&in), library = bytes_get_u32(&in);
    return magic == HELLO_MAGIC && version == FRAME_VERSION && library == DFAISS_VERSION;
}

void frame_welcome_encode(const frame_welcome_t *welcome, uint8_t out[FRAME_WELCOME_BYTES]) {
    bytes_writer_t writer = writer_into(out, FRAME_WELCOME_BYTES);
    bytes_put_u32(&writer, WELCOME_MAGIC);
    bytes_put_u32(&writer, welcome->verdict);
    bytes_put_u32(&writer, DFAISS_VERSION);
    bytes_put_u32(&writer, welcome->servers);
    bytes_put_u32(&writer, welcome->lead);
    bytes_put_u32(&writer, welcome->number);
    bytes_put_u64(&writer, welcome->message_limit);
}

dfaiss_status_t frame_welcome_decode(const uint8_t bytes[FRAME_WELCOME_BYTES], frame_welcome_t *welcome, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(bytes, FRAME_WELCOME_BYTES);
    uint32_t magic = bytes_get_u32(&in), verdict = bytes_get_u32(&in);
    welcome->library = bytes_get_u32(&in);
    welcome->servers = bytes_get_u32(&in);
    welcome->lead = bytes_get_u32(&in);
    welcome->number = bytes_get_u32(&in);
    welcome->message_limit = bytes_get_u64(&in);
    welcome->verdict = (frame_verdict_t)verdict;
    bool placed = verdict != FRAME_WELCOME ||
                  (welcome->servers >= 1 && welcome->servers <= INT32_MAX && welcome->lead < welcome->servers && welcome->number <= INT32_MAX);
    if (magic != WELCOME_MAGIC || verdict >= FRAME_VERDICTS || !placed)
        return error_set(err, DFAISS_ERR_PEER, "", "what answers there is no gateway of dfaiss");
    return DFAISS_OK;
}

void frame_head_encode(const frame_head_t *head, uint8_t out[FRAME_HEAD]) {
    bytes_writer_t writer = writer_into(out, FRAME_HEAD);
    bytes_put_u32(&writer, HEAD_MAGIC);
    bytes_put_u32(&writer, head->kind);
    bytes_put_u32(&writer, head->server);
    bytes_put_u32(&writer, head->body_size);
    bytes_put_u64(&writer, head->correlation);
    bytes_put_u64(&writer, head->bulk_size);
}

dfaiss_status_t frame_head_decode(const uint8_t bytes[FRAME_HEAD], frame_head_t *head, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(bytes, FRAME_HEAD);
    uint32_t magic = bytes_get_u32(&in);
    head->kind = bytes_get_u32(&in);
    head->server = bytes_get_u32(&in);
    head->body_size = bytes_get_u32(&in);
    head->correlation = bytes_get_u64(&in);
    head->bulk_size = bytes_get_u64(&in);
    if (magic != HEAD_MAGIC)
        return error_set(err, DFAISS_ERR_PEER, "", "bytes that are no message");
    if (head->body_size > TRANSPORT_BODY_LIMIT)
        return error_set(err, DFAISS_ERR_PEER, "", "a body of %u bytes; at most %d are allowed", (unsigned)head->body_size, TRANSPORT_BODY_LIMIT);
    return DFAISS_OK;
}
