/* ADD and SAMPLE: vectors for a server, in the type of the file that they come from; the bulk is element[n][dim].
 *
 * SAMPLE's vectors are only trained on: they have no ids and no metadata. The answer to ADD is one message_add_outcome_t.
 */
#ifndef MESSAGE_ADD_H
#define MESSAGE_ADD_H

#include "base/element.h"
#include "message/message.h"

/* Bytes of one vector's metadata: what FETCH can bring in one answer. */
enum { MESSAGE_METADATA_LIMIT = 1 << 28 };

typedef enum message_add_outcome {
    MESSAGE_ADD_DONE,
    MESSAGE_ADD_HELD,              /* done, but the server is behind with indexing: a second answer frees the sender's credit */
    MESSAGE_ADD_OTHER_INCARNATION, /* not done: the index is not the one whose ids these are */
    MESSAGE_ADD_NO_DIM,            /* not done: the dimension of the index is not known yet; whoever brings the first vectors sets it */
} message_add_outcome_t;

typedef struct message_add {
    char index[MESSAGE_NAME];
    element_t element;
    int64_t n;
    int64_t dim;
    int64_t first_id;     /* where ids is NULL: row i has id first_id + i */
    uint64_t incarnation; /* of the index that has dealt out first_id; 0: whichever is there */
    uint64_t input;       /* number of the input whose rows from input_row on these are; 0: of none */
    int64_t input_row;
    const uint8_t *ids;      /* int64_t[n], little-endian, unaligned, or NULL; borrowed */
    const uint8_t *ends;     /* uint64_t[n], likewise: where each row's metadata ends; NULL: no metadata */
    const uint8_t *metadata; /* borrowed */
    size_t metadata_size;
    const void *columns; /* attributes that are not in the metadata, in the form of filter/given.h; unchecked, borrowed; NULL: none */
    size_t column_bytes;
} message_add_t;

void message_add_encode(const message_add_t *message, bytes_writer_t *out);
/* Checks the numbers against each other and against bulk_size; ends are ascending, the last one is metadata_size, and
 * none has more than MESSAGE_METADATA_LIMIT bytes. */
CHECKED dfaiss_status_t message_add_decode(message_kind_t kind, const void *body, size_t size, size_t bulk_size, message_add_t *message,
                                           dfaiss_error_t *err);

#endif
