/* The file in which servers say where they listen and which token they expect: a JSON object {"format": "dfaiss listen", "host", "port", "token"}.
 *
 * It is readable by its owner alone from its first byte on, and appears whole or not at all.
 */
#ifndef GATEWAY_LISTEN_FILE_H
#define GATEWAY_LISTEN_FILE_H

#include <stdint.h>

#include "base/error.h"

enum { LISTEN_TOKEN = 32, LISTEN_HOST = 256 };

typedef struct listen_file {
    char host[LISTEN_HOST]; /* a name or an address, for those who connect */
    int port;
    uint8_t token[LISTEN_TOKEN];
} listen_file_t;

/* A token that nobody guesses. ERR_IO where the system has no random numbers. */
CHECKED dfaiss_status_t listen_file_make_token(uint8_t *token, dfaiss_error_t *err);

/* Replaces what an earlier job may have left there. ERR_EXISTS where the path is something that is no listen file. */
CHECKED dfaiss_status_t listen_file_write(const char *path, const listen_file_t *file, dfaiss_error_t *err);
/* ERR_NOT_FOUND; ERR_DATA where it is no listen file. On failure *file is untouched. */
CHECKED dfaiss_status_t listen_file_read(const char *path, listen_file_t *file, dfaiss_error_t *err);
/* ERR_EXISTS where something is there that is no listen file. */
CHECKED dfaiss_status_t listen_file_check_replaceable(const char *path, dfaiss_error_t *err);
/* Removes it, unless another job has written its own there meanwhile. */
void listen_file_remove(const char *path, const listen_file_t *file);

#endif
