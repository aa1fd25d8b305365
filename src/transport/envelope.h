/* What stands in front of every message. All of it little-endian:
 *
 *   bytes  field
 *   4      magic, "dfm1"
 *   1      version, 1
 *   1      flags: 1 the body follows in pieces, 2 the bulk follows in pieces, 4 the sender, a client, leaves: all of the rest is zero
 *   2      zero
 *   4      kind
 *   4      tag of the pieces; 0 where nothing follows
 *   8      correlation
 *   4      bytes of the body
 *   4      bytes of a piece; the last one of the body, and of the bulk, may be shorter
 *   8      bytes of the bulk
 *
 * Behind it in the same MPI message: the body, then the bulk, each unless its flag is set. What is flagged comes as MPI messages with the tag
 * of the pieces, from the same source: first those of the body, then those of the bulk.
 */
#ifndef TRANSPORT_ENVELOPE_H
#define TRANSPORT_ENVELOPE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
    ENVELOPE_VERSION = 1,
    ENVELOPE_BYTES = 40,
    ENVELOPE_BODY_FOLLOWS = 1,
    ENVELOPE_BULK_FOLLOWS = 2,
    ENVELOPE_LEAVE = 4,
    ENVELOPE_TAG_LAST = 32767, /* what every MPI has */
    ENVELOPE_PIECE_LIMIT = 1 << 26,
};

typedef struct envelope {
    uint8_t flags;
    uint32_t kind;
    uint32_t tag;
    uint64_t correlation;
    uint32_t body_size;
    uint32_t piece_size;
    uint64_t bulk_size;
} envelope_t;

void envelope_encode(bytes_writer_t *writer, const envelope_t *envelope);

/* Reads and checks an envelope; the reader stands behind it afterwards and what is left is exactly what the envelope says travels with it. ERR_PEER
 * otherwise. */
CHECKED dfaiss_status_t envelope_decode(bytes_reader_t *reader, envelope_t *envelope, dfaiss_error_t *err);

#endif
