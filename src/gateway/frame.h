/* What travels between a client and the gateway, over one TCP connection. All numbers are little-endian.
 *
 *   the client's hello        the gateway's welcome            each message, both ways
 *   bytes  field              bytes  field                     bytes  field
 *   32     token              4      magic, "dfgw"             4      magic, "dfg1"
 *   4      magic, "dfgh"      4      verdict                   4      kind (message/message.h), or FRAME_GOODBYE
 *   4      version of these   4      version of dfaiss         4      server: whom a request is for; 0 in an answer
 *   4      version of dfaiss  4      servers                   4      bytes of the body
 *                             4      the client's lead         8      correlation
 *                             4      the client's number       8      bytes of the bulk
 *                             8      most bytes of a message   body, bulk
 *
 * The token comes alone and is compared before anything else is read. Where the verdict is not FRAME_WELCOME the rest of the welcome but for the
 * version is zero, and the connection ends. A goodbye comes from the gateway when it ends a connection: its body says why (message/outcome.h).
 */
#ifndef GATEWAY_FRAME_H
#define GATEWAY_FRAME_H

#include <stdint.h>

#include "base/bytes.h"
#include "gateway/listen_file.h"

enum {
    FRAME_VERSION = 1,
    FRAME_VERSIONS = 12, /* bytes of a hello behind the token */
    FRAME_HELLO = LISTEN_TOKEN + FRAME_VERSIONS,
    FRAME_WELCOME_BYTES = 32,
    FRAME_HEAD = 32,
};
#define FRAME_GOODBYE UINT32_MAX /* a kind */

typedef enum frame_verdict { FRAME_WELCOME, FRAME_WRONG_TOKEN, FRAME_WRONG_VERSION, FRAME_BUSY, FRAME_VERDICTS } frame_verdict_t;

typedef struct frame_welcome {
    frame_verdict_t verdict;
    uint32_t library; /* version */
    uint32_t servers;
    uint32_t lead;
    uint32_t number;
    uint64_t message_limit;
} frame_welcome_t;

typedef struct frame_head {
    uint32_t kind;
    uint32_t server;
    uint32_t body_size;
    uint64_t correlation;
    uint64_t bulk_size;
} frame_head_t;

/* Takes as long whatever the tokens are. */
bool frame_token_equal(const uint8_t *a, const uint8_t *b);

void frame_hello_encode(const uint8_t *token, uint8_t out[FRAME_HELLO]);
/* Of what stands behind the token; false where it is none of this version. */
bool frame_versions_fit(const uint8_t bytes[FRAME_VERSIONS]);

void frame_welcome_encode(const frame_welcome_t *welcome, uint8_t out[FRAME_WELCOME_BYTES]);
/* ERR_PEER where it is none. */
CHECKED dfaiss_status_t frame_welcome_decode(const uint8_t bytes[FRAME_WELCOME_BYTES], frame_welcome_t *welcome, dfaiss_error_t *err);

void frame_head_encode(const frame_head_t *head, uint8_t out[FRAME_HEAD]);
/* ERR_PEER: wrong magic, or a body larger than messages have. */
CHECKED dfaiss_status_t frame_head_decode(const uint8_t bytes[FRAME_HEAD], frame_head_t *head, dfaiss_error_t *err);

#endif
