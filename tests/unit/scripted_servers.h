/* Servers that do what a test tells them to, in place of the transport: they answer late, wrongly, twice or never, and let go of what was lent to
 * them when the test says so. Everything happens on the test's own thread.
 */
#ifndef TESTS_SCRIPTED_SERVERS_H
#define TESTS_SCRIPTED_SERVERS_H

#include "check.h"

#include <stdbool.h>

#include <dfaiss/dfaiss.h>

#include "base/bytes.h"
#include "message/message.h"
#include "transport/public_world.h"

enum { SCRIPT_SERVERS = 3, SCRIPT_LENT = 1 << 14 /* a bulk of more bytes is lent until it leaves */ };

/* What a client has sent. */
typedef struct script_message {
    int server;
    message_kind_t kind;
    uint64_t correlation;
    void *body; /* a copy */
    size_t body_size;
    const void *bulk; /* the sender's */
    size_t bulk_size;
    bool has_left;
    transport_done_t *done;
    void *context;
} script_message_t;

/* Looks at each message once, at the next turn of the client after it was sent. NULL: servers are silent. */
typedef void script_t(const script_message_t *message);
extern script_t *script;

/* The world of the client; a test has one client at a time. */
extern dfaiss_world_t script_world;

/* Forgets all messages. */
void script_begin(void);
/* What was lent has left; `done` calls come with the client's next turn, or now where there is no client any more. */
void script_leave(size_t message);
void script_leave_all(void);

/* How many messages there were, of one kind or MESSAGE_KIND_COUNT for all, and the message with that number. */
size_t script_count(message_kind_t kind);
const script_message_t *script_message(size_t number);

/* Answers well: result behind the outcome (its memory is taken), and a bulk that is copied. */
void script_answer(const script_message_t *message, bytes_writer_t *result, const void *bulk, size_t bulk_size);
void script_fail(const script_message_t *message, dfaiss_status_t status, const char *text);
/* An answer of any bytes. */
void script_answer_bytes(const script_message_t *message, const void *body, size_t body_size);
/* Something that is no answer: an outcome in a message of this kind. */
void script_say(message_kind_t kind, dfaiss_status_t status, const char *text);
/* The answer finds no memory where it arrives. */
void script_refuse_answer(const script_message_t *message);
/* The next turn fails with it. */
void script_break(dfaiss_status_t status, const char *text);

#endif
