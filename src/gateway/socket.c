#include "gateway/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

dfaiss_status_t socket_resolve(const char *host, int port, bool to_listen, struct addrinfo **out, dfaiss_error_t *err) {
    char service[16];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0)};
    snprintf(service, sizeof service, "%d", port);
    int code = getaddrinfo(host, service, &hints, out);
    if (code == 0)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_ARG, host, "'%s' is no address: %s", host, gai_strerror(code));
}

void socket_tune(int descriptor) {
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 60},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10}, {IPPROTO_TCP, TCP_KEEPCNT, 6}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 120000},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        (void)setsockopt(descriptor, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}
