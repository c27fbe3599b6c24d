/* SPDX-License-Identifier: Apache-2.0 */
/* load.c -- a closed-loop HTTP load generator: each connection sends its next request when
 * the answer to the last one is complete. Loopback only.
 *
 * It shares the machine with the server that it measures, so a request costs it one send, one
 * or two receives and no allocation. Every status and length is checked; of one request in
 * SAMPLE_EVERY all bytes are compared (GET) or the ETag (PUT with --swift). Large bodies that
 * are not sampled are thrown away inside the kernel. */
#include "tests/bench/report.h"
#include "tests/bench/workload.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_EVERY    64
#define REPLY_MAX       16384
#define DRAIN_MAX       (1u << 20)
#define SILENCE_MAX_MS  60000
#define ERRORS_REPORTED 3
#define ERRORS_MAX      1000

static struct settings {
    unsigned port, connections, threads;
    double seconds;    /* begin no request after this; 0: no limit */
    uint64_t requests; /* begin this many; 0: no limit */
    uint64_t first;    /* PUT: number of the first object */
    uint64_t objects;  /* GET, HEAD: objects first .. first+objects-1 are there */
} set = {.connections = 1, .threads = 1};

static struct workload work = {.spread = 256};
static uint64_t begun; /* requests, all threads */

enum conn_state { CONN_IDLE, CONN_SENDING, CONN_HEAD, CONN_BODY };

struct conn {
    int fd; /* -1: not connected */
    enum conn_state state;
    bool waits_for_room; /* EPOLLOUT is on */
    bool sampled;
    bool close_after;
    bool faulty; /* this answer counts as an error */
    uint64_t object;
    uint64_t tag;
    uint64_t begun_ns;
    uint64_t sent, to_send; /* head and body */
    uint64_t body_at, body_len;
    unsigned head_len, reply_len;
    char head[WORKLOAD_HEAD_MAX];
    char reply[REPLY_MAX + 1];
};

struct loader {
    pthread_t thread;
    int epoll;
    unsigned connections, busy;
    uint64_t deadline_ns;
    uint64_t random, timestamp;
    char *scratch;
    struct conn *conns;
    struct report report;
};

/* ---- which request is next ---- */

static uint64_t fresh_timestamp(struct loader *l)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t now = (uint64_t)t.tv_sec * 100000 + (uint64_t)t.tv_nsec / 10000;
    l->timestamp = now > l->timestamp ? now : l->timestamp + 1;
    return l->timestamp;
}

static bool next_object(struct loader *l, uint64_t *ret_object)
{
    if (l->deadline_ns && report_now_ns() >= l->deadline_ns)
        return false;
    uint64_t n = __atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
    if (set.requests && n >= set.requests)
        return false;
    if (work.mode != WORKLOAD_PUT) {
        l->random ^= l->random << 13, l->random ^= l->random >> 7, l->random ^= l->random << 17;
        n = l->random % set.objects;
    }
    *ret_object = set.first + n;
    return true;
}

/* ---- one connection ---- */

static void watch(struct loader *l, struct conn *c, int how, bool room)
{
    struct epoll_event e = {.events = EPOLLIN | (room ? EPOLLOUT : 0u), .data.ptr = c};
    if (epoll_ctl(l->epoll, how, c->fd, &e) < 0) {
        perror("epoll_ctl");
        exit(1);
    }
    c->waits_for_room = room;
}

static int conn_connect(struct loader *l, struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)set.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        return -errno;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    watch(l, c, EPOLL_CTL_ADD, false);
    return 0;
}

static void conn_disconnect(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void say_error(struct loader *l, const struct conn *c, const char *what)
{
    if (l->report.errors++ < ERRORS_REPORTED)
        fprintf(stderr, "load: object %llu: %s: %.*s\n", (unsigned long long)c->object, what,
                (int)strcspn(c->reply, "\r\n"), c->reply);
}

static int conn_send(struct loader *l, struct conn *c)
{
    while (c->sent < c->to_send) {
        struct iovec piece[3];
        int n = 0;
        uint64_t body_off = c->sent > c->head_len ? c->sent - c->head_len : 0;
        if (c->sent < c->head_len)
            piece[n++] = (struct iovec){c->head + c->sent, c->head_len - c->sent};
        if (c->to_send > c->head_len)
            n += workload_body(&work, c->object, body_off, &c->tag, piece + n);
        struct msghdr message = {.msg_iov = piece, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            if (!c->waits_for_room)
                watch(l, c, EPOLL_CTL_MOD, true);
            return 0;
        }
        if (sent < 0)
            return -errno;
        c->sent += (uint64_t)sent;
    }
    if (c->waits_for_room)
        watch(l, c, EPOLL_CTL_MOD, false);
    c->state = CONN_HEAD;
    return 0;
}

static void conn_fail(struct loader *l, struct conn *c, const char *what);

static void conn_begin(struct loader *l, struct conn *c)
{
    c->state = CONN_IDLE;
    c->reply_len = 0;
    c->reply[0] = 0;
    if (!next_object(l, &c->object)) {
        l->busy--;
        conn_disconnect(c);
        return;
    }
    c->begun_ns = report_now_ns();
    c->sampled = c->object % SAMPLE_EVERY == 0;
    c->faulty = c->close_after = false;
    c->head_len = workload_head(&work, c->object, fresh_timestamp(l), c->head);
    c->to_send = c->head_len + (work.mode == WORKLOAD_PUT ? work.size : 0);
    c->sent = 0;
    c->state = CONN_SENDING;
    int r = c->fd < 0 ? conn_connect(l, c) : 0;
    if (r == 0)
        r = conn_send(l, c);
    if (r < 0)
        conn_fail(l, c, strerror(-r));
}

/* A lost connection is an error of this request only; a server that has died would keep us
 * busy (and recurring) until the deadline. */
static void conn_fail(struct loader *l, struct conn *c, const char *what)
{
    say_error(l, c, what);
    if (l->report.errors > ERRORS_MAX) {
        fprintf(stderr, "load: too many errors, giving up\n");
        exit(1);
    }
    conn_disconnect(c);
    conn_begin(l, c);
}

static void conn_complete(struct loader *l, struct conn *c)
{
    uint64_t now = report_now_ns();
    l->report.end_ns = now;
    if (!c->faulty) {
        histogram_record(&l->report.latency, now - c->begun_ns);
        l->report.bytes += work.mode == WORKLOAD_HEAD ? 0 : work.size;
    }
    if (c->close_after || work.close)
        conn_disconnect(c);
    conn_begin(l, c);
}

/* ---- the answer ---- */

/* The value of header `name`, NULL if absent. `c->reply` ends with a NUL. */
static const char *header(const struct conn *c, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = strstr(c->reply, "\r\n"); p; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, len) == 0 && p[len] == ':')
            return p + len + 1 + strspn(p + len + 1, " \t");
    }
    return NULL;
}

static bool etag_is_right(const struct conn *c)
{
    const char *etag = header(c, "etag");
    char want[33];
    workload_etag(&work, c->object, want);
    return etag && strncmp(etag + (*etag == '"'), want, 32) == 0;
}

static void check_head(struct loader *l, struct conn *c)
{
    const char *length = header(c, "content-length"), *connection = header(c, "connection");
    int status = atoi(c->reply + strcspn(c->reply, " \r"));
    c->close_after = connection && strncasecmp(connection, "close", 5) == 0;
    c->body_len = length && work.mode != WORKLOAD_HEAD ? strtoull(length, NULL, 10) : 0;
    c->body_at = 0;
    c->faulty = true;
    if (status != (work.mode == WORKLOAD_PUT ? 201 : 200))
        say_error(l, c, "wrong status");
    else if (work.mode != WORKLOAD_PUT && (!length || strtoull(length, NULL, 10) != work.size))
        say_error(l, c, "wrong length");
    else if (work.mode == WORKLOAD_PUT && work.swift && c->sampled && !etag_is_right(c))
        say_error(l, c, "wrong ETag");
    else
        c->faulty = false;
}

static void take_body(struct loader *l, struct conn *c, const char *bytes, size_t len)
{
    if (len > c->body_len - c->body_at) {
        conn_fail(l, c, "bytes after the answer's end");
        return;
    }
    bool comparable = bytes && work.mode == WORKLOAD_GET && !c->faulty;
    if (comparable && !workload_matches(&work, c->object, c->body_at, bytes, len)) {
        say_error(l, c, "wrong bytes");
        c->faulty = true;
    }
    c->body_at += len;
    c->state = CONN_BODY;
    if (c->body_at == c->body_len)
        conn_complete(l, c);
}

static void receive_head(struct loader *l, struct conn *c)
{
    ssize_t n = recv(c->fd, c->reply + c->reply_len, REPLY_MAX - c->reply_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        conn_fail(l, c, n < 0 ? strerror(errno) : "closed before the answer");
        return;
    }
    c->reply_len += (unsigned)n;
    c->reply[c->reply_len] = 0;
    char *end = strstr(c->reply, "\r\n\r\n");
    if (!end && c->reply_len == REPLY_MAX) {
        conn_fail(l, c, "endless header");
        return;
    }
    if (!end)
        return;
    if (c->state == CONN_SENDING) {
        conn_fail(l, c, "answered before the body was sent");
        return;
    }
    end += 4;
    size_t rest = c->reply_len - (size_t)(end - c->reply);
    char first = *end;
    *end = 0; /* header() must not look into the body */
    check_head(l, c);
    *end = first;
    take_body(l, c, c->sampled ? end : NULL, rest);
}

static void receive_body(struct loader *l, struct conn *c)
{
    size_t want = c->body_len - c->body_at < DRAIN_MAX ? c->body_len - c->body_at : DRAIN_MAX;
    int flags = MSG_DONTWAIT | (c->sampled ? 0 : MSG_TRUNC);
    ssize_t n = recv(c->fd, l->scratch, want, flags);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        conn_fail(l, c, n < 0 ? strerror(errno) : "closed within the body");
    else
        take_body(l, c, c->sampled ? l->scratch : NULL, (size_t)n);
}

static void conn_event(struct loader *l, struct conn *c, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        if (c->state == CONN_BODY)
            receive_body(l, c);
        else
            receive_head(l, c);
    } else if (events & EPOLLOUT) {
        int r = conn_send(l, c);
        if (r < 0)
            conn_fail(l, c, strerror(-r));
    }
}

/* ---- all of them ---- */

static void fail_the_silent(struct loader *l)
{
    for (unsigned i = 0; i < l->connections; i++)
        if (l->conns[i].state != CONN_IDLE)
            say_error(l, &l->conns[i], "no answer");
    l->busy = 0;
}

static void *run(void *arg)
{
    struct loader *l = arg;
    struct epoll_event events[64];
    l->busy = l->connections;
    l->report.begin_ns = l->report.end_ns = report_now_ns();
    l->deadline_ns = set.seconds > 0 ? l->report.begin_ns + (uint64_t)(set.seconds * 1e9) : 0;
    for (unsigned i = 0; i < l->connections; i++)
        conn_begin(l, &l->conns[i]);
    while (l->busy > 0) {
        int n = epoll_wait(l->epoll, events, 64, SILENCE_MAX_MS);
        if (n == 0)
            fail_the_silent(l);
        for (int i = 0; i < n; i++)
            conn_event(l, events[i].data.ptr, events[i].events);
    }
    return NULL;
}

static void loader_init(struct loader *l, unsigned number)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->connections = set.connections / set.threads + (number < set.connections % set.threads);
    l->random = 88172645463325252u * (number + 1);
    l->conns = calloc(l->connections + 1, sizeof *l->conns);
    l->scratch = malloc(DRAIN_MAX);
    if (l->epoll < 0 || !l->conns || !l->scratch) {
        perror("load");
        exit(1);
    }
    for (unsigned i = 0; i < l->connections; i++)
        l->conns[i].fd = -1;
}

static void usage(const char *problem)
{
    fprintf(stderr,
            "load: %s\n"
            "usage: load --port N --mode put|get|head --path TEMPLATE --size BYTES\n"
            "            (--seconds S | --requests N) [--connections N] [--threads N]\n"
            "            [--first N] [--objects N] [--spread N] [--swift] [--close]\n"
            "TEMPLATE: a path in which {i} is the object's number, {p} its partition\n",
            problem);
    exit(2);
}

static enum workload_mode parse_mode(const char *text)
{
    static const char *const names[] = {"put", "get", "head"};
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum workload_mode)i;
    usage("--mode is put, get or head");
    return WORKLOAD_PUT;
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, 0, 'P'},        {"mode", 1, 0, 'm'},
        {"path", 1, 0, 'p'},        {"size", 1, 0, 'z'},
        {"seconds", 1, 0, 's'},     {"requests", 1, 0, 'n'},
        {"threads", 1, 0, 't'},     {"first", 1, 0, 'f'},
        {"connections", 1, 0, 'c'}, {"objects", 1, 0, 'o'},
        {"spread", 1, 0, 'r'},      {"swift", 0, 0, 'w'},
        {"close", 0, 0, 'C'},       {0},
    };
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        uint64_t number = optarg ? strtoull(optarg, NULL, 10) : 0;
        switch (o) {
        case 'P':
            set.port = (unsigned)number;
            break;
        case 'm':
            work.mode = parse_mode(optarg);
            break;
        case 'p':
            work.path = optarg;
            break;
        case 'z':
            work.size = number;
            break;
        case 's':
            set.seconds = strtod(optarg, NULL);
            break;
        case 'n':
            set.requests = number;
            break;
        case 't':
            set.threads = (unsigned)number;
            break;
        case 'f':
            set.first = number;
            break;
        case 'c':
            set.connections = (unsigned)number;
            break;
        case 'o':
            set.objects = number;
            break;
        case 'r':
            work.spread = number;
            break;
        case 'w':
            work.swift = true;
            break;
        case 'C':
            work.close = true;
            break;
        default:
            usage("unknown option");
        }
    }
    if (!set.port || !work.path || !work.spread || !set.threads || !set.connections)
        usage("--port, --path, --spread, --threads and --connections must not be 0");
    if (!set.seconds && !set.requests)
        usage("give --seconds or --requests");
    if (work.mode != WORKLOAD_PUT && !set.objects)
        usage("GET and HEAD need --objects");
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"put", "get", "head"};
    static struct report total;
    parse_options(argc, argv);
    int r = workload_init(&work);
    if (r < 0)
        usage(strerror(-r));
    struct loader *loaders = calloc(set.threads, sizeof *loaders);
    if (!loaders)
        usage(strerror(ENOMEM));
    for (unsigned i = 0; i < set.threads; i++)
        loader_init(&loaders[i], i);
    for (unsigned i = 0; i < set.threads; i++)
        if (pthread_create(&loaders[i].thread, NULL, run, &loaders[i]) != 0)
            usage("no thread");
    for (unsigned i = 0; i < set.threads; i++) {
        pthread_join(loaders[i].thread, NULL);
        report_add(&total, &loaders[i].report);
        close(loaders[i].epoll);
        free(loaders[i].conns);
        free(loaders[i].scratch);
    }
    free(loaders);
    total.what = names[work.mode];
    total.concurrency = set.connections;
    report_print(&total);
    workload_release(&work);
    return total.errors > 0;
}
