/* What both ends of a connection do with TCP. */
#ifndef GATEWAY_SOCKET_H
#define GATEWAY_SOCKET_H

#include <netdb.h>
#include <stdbool.h>

#include "base/error.h"

/* The addresses of a name or an address with a port: *out is the caller's (freeaddrinfo). ERR_ARG where there are none. */
CHECKED dfaiss_status_t socket_resolve(const char *host, int port, bool to_listen, struct addrinfo **out, dfaiss_error_t *err);

/* Small messages leave at once, and a host that has vanished is noticed. Only speed and tidiness depend on it. */
void socket_tune(int descriptor);

#endif
