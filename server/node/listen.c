/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c -- for each port as many SO_REUSEPORT sockets as there are workers; see listen.h.
 *
 * The first socket is bound without SO_REUSEPORT and only then gets it: so an address that
 * another server uses is refused, though that server allows sharing with our user. */
#include "server/node/listen.h"
#include "server/node/log.h"
#include "server/node/startmem.h"
#include <errno.h>
#include <fcntl.h>
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

static void describe(const struct sockaddr *at, socklen_t len, char *address, size_t address_len)
{
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    (void)getnameinfo(at, len, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV); /* leaves "?" */
    bool six = at->sa_family == AF_INET6;
    snprintf(address, address_len, "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
}

static void say_in_use(const struct addrinfo *to, double wait_s)
{
    char address[128];
    describe(to->ai_addr, to->ai_addrlen, address, sizeof(address));
    log_line(LOG_LEVEL_NOTICE, "%s is in use: trying again for %g s (bind_timeout)", address,
             wait_s);
}

/* The old server may be on its way out. */
static int bind_first(const struct config *c, const struct addrinfo *to, double wait_s, int *ret_fd)
{
    double until = monotonic_seconds() + wait_s;
    for (bool said = false;; said = true) {
        int res = bind_one(c, to, false, ret_fd);
        if (res != -EADDRINUSE || monotonic_seconds() >= until)
            return res;
        if (!said)
            say_in_use(to, wait_s);
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
}

/* The others take the port that the first was given, if bind_port is 0. */
static int bind_rest(const struct config *c, struct addrinfo *to, unsigned count,
                     struct listen_port *p)
{
    socklen_t len = to->ai_addrlen;
    int res = getsockname(p->fds[0], to->ai_addr, &len) < 0 ? -errno : 0;
    while (res == 0 && p->count < count) {
        res = bind_one(c, to, true, &p->fds[p->count]);
        p->count += res == 0;
    }
    return res;
}

/* ---- addresses of sockets ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
};

static unsigned port_in(const struct sockaddr *any)
{
    union address at;
    memcpy(&at, any, any->sa_family == AF_INET6 ? sizeof(at.v6) : sizeof(at.v4));
    return any->sa_family == AF_INET    ? ntohs(at.v4.sin_port)
           : any->sa_family == AF_INET6 ? ntohs(at.v6.sin6_port)
                                        : 0;
}

static bool name_of(int fd, union address *ret, socklen_t *ret_len)
{
    *ret = (union address){0};
    *ret_len = sizeof(*ret);
    return getsockname(fd, &ret->any, ret_len) == 0;
}

/* Port 0 is any. */
static bool is_bound_to(int fd, const struct addrinfo *to)
{
    union address at, wanted = {0};
    socklen_t len;
    memcpy(&wanted, to->ai_addr, to->ai_addrlen);
    if (!name_of(fd, &at, &len) || at.any.sa_family != wanted.any.sa_family)
        return false;
    unsigned port = port_in(&wanted.any);
    if (port != 0 && port != port_in(&at.any))
        return false;
    return at.any.sa_family == AF_INET
               ? at.v4.sin_addr.s_addr == wanted.v4.sin_addr.s_addr
               : memcmp(&at.v6.sin6_addr, &wanted.v6.sin6_addr, sizeof(at.v6.sin6_addr)) == 0;
}

/* ---- the set ---- */

static struct listen_port *new_port(struct listen_set *set, enum inherit_kind kind)
{
    set->ports = start_grow(set->ports, set->count + 1, sizeof(*set->ports));
    set->ports[set->count] = (struct listen_port){.kind = kind};
    return &set->ports[set->count++];
}

static void take_fd(struct listen_port *p, int fd)
{
    p->fds = start_grow(p->fds, p->count + 1, sizeof(*p->fds));
    p->fds[p->count++] = fd;
}

static void close_port(struct listen_port *p)
{
    for (unsigned i = 0; i < p->count; i++)
        close(p->fds[i]);
    free(p->fds);
    *p = (struct listen_port){0};
}

static void note_address(struct listen_set *set, struct listen_port *p)
{
    union address at;
    socklen_t len;
    if (!name_of(p->fds[0], &at, &len))
        return;
    p->port = port_in(&at.any);
    if (p == set->ports)
        describe(&at.any, len, set->address, sizeof(set->address));
}

/* Those of the process before that are bound to this address. */
static void take_inherited(struct listen_port *p, const struct addrinfo *to,
                           struct inheritance *from)
{
    for (unsigned i = 0; i < from->count; i++) {
        struct inherited *item = &from->items[i];
        if (item->fd < 0 || item->kind != INHERIT_LISTEN || !is_bound_to(item->fd, to))
            continue;
        take_fd(p, item->fd);
        item->fd = -1;
    }
}

static bool take_activated(struct listen_set *set, struct inheritance *from)
{
    for (int fd; (fd = inherit_one(from, INHERIT_ACTIVATED)) >= 0;) {
        struct listen_port *p = new_port(set, INHERIT_ACTIVATED);
        take_fd(p, fd);
        note_address(set, p);
    }
    return set->count > 0;
}

static int open_port(const struct config *c, struct addrinfo *to, double wait_s,
                     struct inheritance *from, struct listen_port *p)
{
    take_inherited(p, to, from);
    bool inherited = p->count > 0;
    p->fds = start_grow(p->fds, p->count + c->worker_count, sizeof(*p->fds));
    int res = inherited ? 0 : bind_first(c, to, wait_s, &p->fds[0]);
    if (res < 0)
        return res;
    p->count += !inherited;
    res = bind_rest(c, to, c->worker_count, p);
    return inherited ? 0 : res; /* not root any more, perhaps: workers share what there is */
}

int listen_add(struct listen_set *set, const struct config *c, unsigned number, double wait_s,
               struct inheritance *from, char *problem, size_t problem_len)
{
    char port[24], address[128];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *to;
    snprintf(port, sizeof(port), "%u", number);
    int res = getaddrinfo(c->bind_ip, port, &hints, &to);
    if (res != 0) {
        snprintf(problem, problem_len,
                 "%s: [DEFAULT] bind_ip = %s: %s: expected an address of "
                 "this machine",
                 c->file, c->bind_ip, gai_strerror(res));
        return -EADDRNOTAVAIL;
    }
    struct listen_port *p = new_port(set, INHERIT_LISTEN);
    res = open_port(c, to, wait_s, from, p);
    if (res < 0) {
        describe(to->ai_addr, to->ai_addrlen, address, sizeof(address));
        snprintf(problem, problem_len, "%s: [DEFAULT] bind_ip, bind_port: cannot listen on %s: %s",
                 c->file, address, strerror(-res));
        close_port(p);
        set->count--;
    } else {
        note_address(set, p);
    }
    freeaddrinfo(to);
    return res;
}

int listen_open(struct listen_set *set, const struct config *c, struct inheritance *from,
                char *problem, size_t problem_len)
{
    if (take_activated(set, from))
        return 0;
    return listen_add(set, c, (unsigned)c->bind_port, c->bind_timeout, from, problem, problem_len);
}

void listen_drop(struct listen_set *set, unsigned port)
{
    for (unsigned i = 0; i < set->count; i++)
        if (set->ports[i].port == port) {
            close_port(&set->ports[i]);
            set->ports[i] = set->ports[--set->count];
            return;
        }
}

bool listen_has(const struct listen_set *set, unsigned port)
{
    for (unsigned i = 0; i < set->count; i++)
        if (set->ports[i].port == port)
            return true;
    return false;
}

void listen_give_to(const struct listen_set *set, uid_t user)
{
    for (unsigned i = 0; i < set->count; i++)
        for (unsigned k = 0; k < set->ports[i].count; k++)
            (void)fchown(set->ports[i].fds[k], user, (gid_t)-1); /* else he shares what there is */
}

int listen_share(const struct listen_port *p, unsigned index, unsigned workers, unsigned *next)
{
    unsigned most = p->count > workers ? p->count : workers;
    while (*next < most && *next % workers != index)
        ++*next;
    if (*next >= most)
        return -ENOENT;
    int fd = fcntl(p->fds[*next % p->count], F_DUPFD_CLOEXEC, 0);
    ++*next;
    return fd < 0 ? -errno : fd;
}

void listen_close(struct listen_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        close_port(&set->ports[i]);
    free(set->ports);
    set->ports = NULL;
    set->count = 0;
}
