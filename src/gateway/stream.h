/* One end of a connection between a client and the gateway: the messages that wait to be sent, and the one that is coming in. Nothing here
 * blocks.
 *
 * Receiving stops at each head, so that nobody's memory is taken before somebody has agreed: stream_receive, stream_head, stream_admit or
 * stream_skip, stream_receive until stream_take. One thread a stream.
 */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include "gateway/frame.h"
#include "transport/transport.h"

typedef struct stream stream_t;

/* Of a connected, non-blocking socket, which is taken over on success. */
CHECKED dfaiss_status_t stream_create(int descriptor, stream_t **out, dfaiss_error_t *err);
/* What was not sent is let go of: its `done` is called. NULL is fine. */
void stream_destroy(stream_t *stream);
int stream_descriptor(const stream_t *stream);

/* Queues a message; the head says how large both parts are. body is malloc'ed and taken over, also on failure; the bulk is borrowed until `done` (may
 * be NULL) is called, from within stream_flush or stream_destroy. */
CHECKED dfaiss_status_t stream_send(stream_t *stream, const frame_head_t *head, void *body, const void *bulk, transport_done_t *done, void *context,
                                    dfaiss_error_t *err);
/* Sends as much as goes now; *sent (may be NULL): bytes. ERR_PEER where the other end is gone: nothing can be sent any more. */
CHECKED dfaiss_status_t stream_flush(stream_t *stream, size_t *sent, dfaiss_error_t *err);
/* Bytes, and messages, that wait. */
size_t stream_unsent(const stream_t *stream);
int stream_unsent_messages(const stream_t *stream);

/* Receives until a head has come, a message is whole, nothing more is there, or about `most` bytes were read; *received: bytes, *drained: nothing
 * more was there. ERR_PEER where the other end is gone, or what came is no message: nothing can be received any more. */
CHECKED dfaiss_status_t stream_receive(stream_t *stream, size_t most, size_t *received, bool *drained, dfaiss_error_t *err);
/* A head has come, and waits for one of the two below. */
bool stream_head(const stream_t *stream, frame_head_t *head);
/* ERR_MEMORY: it still waits. */
CHECKED dfaiss_status_t stream_admit(stream_t *stream, dfaiss_error_t *err);
void stream_skip(stream_t *stream);
/* In the middle of a head or a message. */
bool stream_receiving(const stream_t *stream);
/* A whole message, which is the caller's then; its source is the head's server. */
bool stream_take(stream_t *stream, transport_message_t *message);

#endif
