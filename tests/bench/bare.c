/* SPDX-License-Identifier: Apache-2.0 */
/* bare.c -- what a small GET costs when nothing but its socket calls is done.
 *
 * Bodies that were PUT are kept in memory as complete answers; a GET is one receive, a look-up
 * and one send. No files, no log, no checks, of HTTP just what tests/bench/load.c sends. What a
 * server can reach on a machine that it shares with the load generator ends here: how near it
 * comes is the number of interest, as floor.c is it for PUT.
 *
 *   bare PORT THREADS      serves 127.0.0.1:PORT until a signal ends it */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS       8192 /* answers kept; the load generator asks for 1000 objects */
#define REQUEST_MAX 16384
#define CLIENTS_MAX 4096
#define EVENTS      64
#define CHECK(call) must((call) >= 0, #call, __LINE__)

struct answer {
    size_t path_len, head_len, len; /* len: head and body */
    const char *path;
    char bytes[];
};

struct client {
    size_t len;
    char request[REQUEST_MAX + 1];
};

static _Atomic(struct answer *) kept[SLOTS];
static struct client clients[CLIENTS_MAX]; /* by descriptor; a thread sees just its own */
static const char created[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

static void must(bool good, const char *call, int line)
{
    if (good)
        return;
    fprintf(stderr, "bare.c:%d: %s: %s\n", line, call, strerror(errno));
    exit(1);
}

static void *allocate(size_t len)
{
    void *p = malloc(len);
    if (!p)
        abort();
    return p;
}

/* The slot of this path, or the free one where it belongs. */
static _Atomic(struct answer *) *slot_of(const char *path, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)path[i]) * 16777619u;
    for (unsigned tried = 0; tried < SLOTS; tried++, h++) {
        struct answer *a = atomic_load_explicit(&kept[h % SLOTS], memory_order_acquire);
        if (!a || (a->path_len == len && memcmp(a->path, path, len) == 0))
            return &kept[h % SLOTS];
    }
    fprintf(stderr, "bare.c: more objects than slots\n");
    exit(1);
}

static void keep(const char *path, size_t path_len, const char *body, size_t body_len)
{
    struct answer *a = allocate(sizeof *a + 256 + body_len);
    char *name = allocate(path_len);
    memcpy(name, path, path_len);
    a->path = name;
    a->path_len = path_len;
    a->head_len =
        (size_t)sprintf(a->bytes, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body_len);
    memcpy(a->bytes + a->head_len, body, body_len);
    a->len = a->head_len + body_len;
    atomic_store_explicit(slot_of(path, path_len), a, memory_order_release); /* never freed */
}

/* A small answer always fits the socket's buffer: the client waits for it before it sends more. */
static bool answer(int fd, const char *bytes, size_t len)
{
    return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Answers a complete request and forgets it. false: close the connection. */
static bool serve(int fd, struct client *c)
{
    char *end = memmem(c->request, c->len, "\r\n\r\n", 4);
    if (!end)
        return c->len < REQUEST_MAX;
    const char *path = memchr(c->request, ' ', (size_t)(end - c->request));
    const char *path_end = path ? memchr(path + 1, ' ', (size_t)(end - path - 1)) : NULL;
    if (!path_end)
        return false;
    size_t path_len = (size_t)(path_end - ++path), head_len = (size_t)(end + 4 - c->request);
    if (c->request[0] != 'P') {
        c->len = 0;
        struct answer *a = *slot_of(path, path_len);
        if (!a)
            return answer(fd, missing, sizeof missing - 1);
        return answer(fd, a->bytes, c->request[0] == 'H' ? a->head_len : a->len);
    }
    c->request[c->len] = 0;
    const char *field = strcasestr(c->request, "\r\nContent-Length:");
    size_t body_len = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    if (head_len + body_len > REQUEST_MAX)
        return false;
    if (c->len < head_len + body_len)
        return true;
    c->len = 0;
    keep(path, path_len, end + 4, body_len);
    return answer(fd, created, sizeof created - 1);
}

static bool readable(int fd)
{
    struct client *c = &clients[fd];
    ssize_t n = recv(fd, c->request + c->len, REQUEST_MAX - c->len, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->len += (size_t)n;
    return serve(fd, c);
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void welcome(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    must(fd < CLIENTS_MAX, "more clients than room for them", __LINE__);
    clients[fd].len = 0;
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
    watch(epoll, fd);
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)));
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof a));
    CHECK(listen(fd, 1024));
    return fd;
}

static void *loop(void *port)
{
    struct epoll_event events[EVENTS];
    int listener = listen_on(*(uint16_t *)port), epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll);
    watch(epoll, listener);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                welcome(epoll, fd);
            else if (!readable(fd))
                close(fd);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)(argc == 3 ? strtoul(argv[1], NULL, 10) : 0);
    unsigned threads = (unsigned)(argc == 3 ? strtoul(argv[2], NULL, 10) : 0);
    if (!port || !threads) {
        fprintf(stderr, "usage: bare PORT THREADS\n");
        return 2;
    }
    pthread_t thread;
    for (unsigned i = 1; i < threads; i++)
        must(pthread_create(&thread, NULL, loop, &port) == 0, "pthread_create", __LINE__);
    loop(&port);
}
