#include "transport/envelope.h"

#include "transport/transport.h"

enum { MAGIC = 0x316d6664 };

void envelope_encode(bytes_writer_t *writer, const envelope_t *envelope) {
    bytes_put_u32(writer, MAGIC);
    bytes_put_u8(writer, ENVELOPE_VERSION);
    bytes_put_u8(writer, envelope->flags);
    bytes_put_u8(writer, 0);
    bytes_put_u8(writer, 0);
    bytes_put_u32(writer, envelope->kind);
    bytes_put_u32(writer, envelope->tag);
    bytes_put_u64(writer, envelope->correlation);
    bytes_put_u32(writer, envelope->body_size);
    bytes_put_u32(writer, envelope->piece_size);
    bytes_put_u64(writer, envelope->bulk_size);
}

static dfaiss_status_t check_lengths(const envelope_t *envelope, size_t travelled, dfaiss_error_t *err) {
    if (envelope->body_size > TRANSPORT_BODY_LIMIT)
        return error_set(err, DFAISS_ERR_PEER, "", "a body of %u bytes, at most %d are allowed", (unsigned)envelope->body_size, TRANSPORT_BODY_LIMIT);
    if (envelope->bulk_size > SIZE_MAX)
        return error_set(err, DFAISS_ERR_PEER, "", "a bulk of %llu bytes, more than this machine can address",
                         (unsigned long long)envelope->bulk_size);
    uint64_t body = envelope->flags & ENVELOPE_BODY_FOLLOWS ? 0 : envelope->body_size;
    uint64_t bulk = envelope->flags & ENVELOPE_BULK_FOLLOWS ? 0 : envelope->bulk_size;
    if (bulk > travelled || body + bulk != travelled)
        return error_set(err, DFAISS_ERR_PEER, "", "%zu bytes behind the envelope, which announces %llu of body and %llu of bulk", travelled,
                         (unsigned long long)body, (unsigned long long)bulk);
    return DFAISS_OK;
}

static dfaiss_status_t check_pieces(const envelope_t *envelope, dfaiss_error_t *err) {
    if (envelope->flags & ~(ENVELOPE_BODY_FOLLOWS | ENVELOPE_BULK_FOLLOWS | ENVELOPE_LEAVE))
        return error_set(err, DFAISS_ERR_PEER, "", "unknown flags 0x%x", (unsigned)envelope->flags);
    if ((envelope->flags & ENVELOPE_LEAVE) && (envelope->flags != ENVELOPE_LEAVE || envelope->body_size || envelope->bulk_size))
        return error_set(err, DFAISS_ERR_PEER, "", "a farewell with more to come, flags 0x%x", (unsigned)envelope->flags);
    bool follows = (envelope->flags & (ENVELOPE_BODY_FOLLOWS | ENVELOPE_BULK_FOLLOWS)) != 0;
    if (follows != (envelope->tag != 0) || envelope->tag > ENVELOPE_TAG_LAST)
        return error_set(err, DFAISS_ERR_PEER, "", "pieces with tag %u, flags 0x%x", (unsigned)envelope->tag, (unsigned)envelope->flags);
    if (follows && (envelope->piece_size == 0 || envelope->piece_size > ENVELOPE_PIECE_LIMIT))
        return error_set(err, DFAISS_ERR_PEER, "", "pieces of %u bytes, expected 1 to %d", (unsigned)envelope->piece_size, ENVELOPE_PIECE_LIMIT);
    return DFAISS_OK;
}

dfaiss_status_t envelope_decode(bytes_reader_t *reader, envelope_t *envelope, dfaiss_error_t *err) {
    size_t received = reader->left;
    uint32_t magic = bytes_get_u32(reader);
    uint8_t version = bytes_get_u8(reader);
    envelope->flags = bytes_get_u8(reader);
    uint8_t zeros = bytes_get_u8(reader);
    zeros |= bytes_get_u8(reader);
    envelope->kind = bytes_get_u32(reader);
    envelope->tag = bytes_get_u32(reader);
    envelope->correlation = bytes_get_u64(reader);
    envelope->body_size = bytes_get_u32(reader);
    envelope->piece_size = bytes_get_u32(reader);
    envelope->bulk_size = bytes_get_u64(reader);
    if (reader->failed)
        return error_set(err, DFAISS_ERR_PEER, "", "%zu bytes, an envelope has %d", received, ENVELOPE_BYTES);
    if (magic != MAGIC)
        return error_set(err, DFAISS_ERR_PEER, "", "magic 0x%08x, expected 0x%08x: no message of dfaiss", (unsigned)magic, MAGIC);
    if (version != ENVELOPE_VERSION || zeros)
        return error_set(err, DFAISS_ERR_PEER, "", "version %u, this is version %d: all ranks need the same dfaiss", (unsigned)version,
                         ENVELOPE_VERSION);
    TRY(check_pieces(envelope, err));
    return check_lengths(envelope, reader->left, err);
}
