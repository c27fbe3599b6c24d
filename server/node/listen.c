/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c -- one address, as many SO_REUSEPORT sockets as there are workers.
 *
 * The first socket is bound without SO_REUSEPORT and only then gets it: so an address that
 * another server uses is refused, though that server allows sharing with our user. */
#include "server/node/listen.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RETRY_NS 100000000

static int set_on(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_options(int fd, const struct config *c, const struct addrinfo *to, bool shared)
{
    int res = set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (res == 0 && shared)
        res = set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (res == 0 && to->ai_family == AF_INET6)
        res = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (res == 0)
        res = set_on(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (res == 0)
        res = set_on(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (res == 0)
        res = set_on(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)c->keep_idle);
    return res;
}

static int bind_one(const struct config *c, const struct addrinfo *to, bool shared, int *ret_fd)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int res = set_options(fd, c, to, shared);
    if (res == 0 && bind(fd, to->ai_addr, to->ai_addrlen) < 0)
        res = -errno;
    if (res == 0 && !shared)
        res = set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (res == 0 && listen(fd, (int)c->backlog) < 0)
        res = -errno;
    if (res < 0)
        close(fd);
    else
        *ret_fd = fd;
    return res;
}

static double monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The old server may be on its way out. */
static int bind_first(const struct config *c, const struct addrinfo *to, int *ret_fd)
{
    double until = monotonic_seconds() + c->bind_timeout;
    for (;;) {
        int res = bind_one(c, to, false, ret_fd);
        if (res != -EADDRINUSE || monotonic_seconds() >= until)
            return res;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
}

/* The others take the port that the first was given, if bind_port is 0. */
static int bind_rest(const struct config *c, struct addrinfo *to, unsigned count, int *fds)
{
    socklen_t len = to->ai_addrlen;
    unsigned bound = 1;
    int res = getsockname(fds[0], to->ai_addr, &len) < 0 ? -errno : 0;
    while (res == 0 && bound < count) {
        res = bind_one(c, to, true, &fds[bound]);
        bound += res == 0;
    }
    while (res < 0 && bound > 0)
        close(fds[--bound]);
    return res;
}

static void describe(const struct addrinfo *to, char *address, size_t address_len)
{
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    (void)getnameinfo(to->ai_addr, to->ai_addrlen, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV); /* leaves "?" */
    bool six = to->ai_family == AF_INET6;
    snprintf(address, address_len, "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
}

int listen_open(const struct config *c, unsigned count, int *ret_fds, char *address,
                size_t address_len, char *problem, size_t problem_len)
{
    char port[24];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *to;
    snprintf(port, sizeof(port), "%lld", (long long)c->bind_port);
    int res = getaddrinfo(c->bind_ip, port, &hints, &to);
    if (res != 0) {
        snprintf(problem, problem_len,
                 "%s: [DEFAULT] bind_ip = %s: %s: expected an address of "
                 "this machine",
                 c->file, c->bind_ip, gai_strerror(res));
        return -EADDRNOTAVAIL;
    }
    res = bind_first(c, to, &ret_fds[0]);
    if (res == 0)
        res = bind_rest(c, to, count, ret_fds);
    describe(to, address, address_len);
    if (res < 0)
        snprintf(problem, problem_len, "%s: [DEFAULT] bind_ip, bind_port: cannot listen on %s: %s",
                 c->file, address, strerror(-res));
    freeaddrinfo(to);
    return res;
}
