/* SPDX-License-Identifier: Apache-2.0 */
/* load.c -- the client in the guest: requests whose outcome a crash must not change.
 *
 *   load PORT DISK ACK_OFFSET mixed|race THREADS OPERATIONS
 *
 * A thread owns its keys and does one operation at a time, each with a later timestamp than
 * the one before: new objects, overwrites, DELETEs, POSTs, and races: two PUTs of one name and
 * timestamp at once, which is the only way to a name that is already taken. When the answer is
 * complete, and never before, an acknowledgement goes to the disk (ack.h).
 *
 * The content of every object follows from its key, timestamp and writer, so that whoever
 * finds it can tell whether it is whole. An answer that is not the expected one ends the run. */
#include "tests/crash/ack.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 16
#define KEYS_MAX    4096
#define BODY_MAX    (256u << 10)
#define ACK_SLOTS   8192

enum operation { OP_NEW, OP_OVERWRITE, OP_DELETE, OP_POST, OP_RACE, OPERATIONS };

/* Percent of the operations of each kind. */
static const unsigned mixed_share[OPERATIONS] = {40, 20, 12, 16, 12};
static const unsigned race_share[OPERATIONS] = {10, 5, 0, 0, 85};

static struct settings {
    uint16_t port;
    int disk;
    off_t ack_offset;
    const unsigned *share;
    unsigned threads;
    unsigned operations; /* of each thread */
    uint64_t base;       /* ticks; the start */
} set;

static atomic_uint acks, both_won;
static atomic_uint done_count[OPERATIONS];

struct worker {
    pthread_t thread;
    unsigned number;
    uint64_t random;
    uint64_t round;
    int fd[2];
    unsigned keys;
    bool exists[KEYS_MAX];
    struct ack *ack; /* aligned for O_DIRECT */
    char body[2][BODY_MAX];
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("load: ", stdout);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    _exit(1);
}

static unsigned pick(struct worker *w, unsigned below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)(w->random >> 11) % below;
}

/* ---- HTTP ---- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0)
            die("send: %s", strerror(errno));
        bytes += n;
        len -= (size_t)n;
    }
}

/* The status of the answer, once all of it is here. */
static unsigned read_answer(int fd)
{
    char text[4096];
    size_t have = 0, want = 0;
    unsigned status = 0;
    while (want == 0 || have < want) {
        ssize_t n = recv(fd, text + have, sizeof(text) - 1 - have, 0);
        if (n <= 0)
            die("the server closed the connection");
        have += (size_t)n;
        text[have] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        if (!end || want != 0)
            continue;
        const char *length = strcasestr(text, "\r\ncontent-length:");
        want = (size_t)(end + 4 - text);
        if (length && length < end)
            want += strtoul(length + 17, NULL, 10);
        if (sscanf(text, "HTTP/1.1 %u", &status) != 1 || want >= sizeof(text))
            die("no answer: %.60s", text);
    }
    return status;
}

/* ---- what is stored ---- */

struct version {
    unsigned key;
    uint64_t ticks;
    unsigned writer;
};

static size_t fill_body(char *body, const struct version *v, size_t len)
{
    char line[64];
    size_t n = (size_t)snprintf(line, sizeof(line), "key=%u ticks=%llu writer=%u\n", v->key,
                                (unsigned long long)v->ticks, v->writer);
    for (size_t at = 0; at < len; at += n)
        memcpy(body + at, line, n < len - at ? n : len - at);
    return len;
}

/* Mostly small; some of several blocks; some that are reserved with fallocate and arrive in
 * more than one write; and none at all. */
static size_t pick_length(struct worker *w)
{
    unsigned dice = pick(w, 100);
    if (dice < 4)
        return 0;
    if (dice < 60)
        return pick(w, 4000);
    if (dice < 92)
        return pick(w, 40000);
    return 60000 + pick(w, BODY_MAX - 60000);
}

static void send_request(struct worker *w, unsigned conn, const char *method,
                         const struct version *v, const char *more, size_t len)
{
    char head[1024];
    int n = snprintf(head, sizeof(head),
                     "%s /sda1/%u/a/c/k%u HTTP/1.1\r\nHost: guest\r\n"
                     "X-Timestamp: %010llu.%05llu\r\nContent-Length: %zu\r\n%s\r\n",
                     method, v->key * 2654435761u >> 26, v->key,
                     (unsigned long long)(v->ticks / 100000),
                     (unsigned long long)(v->ticks % 100000), len, more);
    send_all(w->fd[conn], head, (size_t)n);
    send_all(w->fd[conn], w->body[conn], len);
}

static void send_put(struct worker *w, unsigned conn, const struct version *v)
{
    char more[400];
    int pad = pick(w, 4) ? 0 : (int)pick(w, 250);
    size_t len = fill_body(w->body[conn], v, pick_length(w));
    snprintf(more, sizeof(more),
             "Content-Type: text/plain\r\nX-Object-Meta-Writer: %u\r\n"
             "X-Object-Meta-Pad: x%0*d\r\n",
             v->writer, pad, 0);
    send_request(w, conn, "PUT", v, more, len);
}

static void acknowledge(struct worker *w, const struct version *v, char kind)
{
    unsigned slot = atomic_fetch_add(&acks, 1);
    if (slot >= ACK_SLOTS)
        die("more acknowledgements than there is room for");
    *w->ack = (struct ack){.magic = ACK_MAGIC,
                           .ticks = v->ticks,
                           .serial = slot,
                           .key = v->key,
                           .kind = (uint32_t)kind,
                           .writer = v->writer};
    if (pwrite(set.disk, w->ack, ACK_BYTES, set.ack_offset + (off_t)slot * ACK_BYTES) != ACK_BYTES)
        die("acknowledgement: %s", strerror(errno));
}

static void expect(unsigned status, unsigned wanted, const char *what, const struct version *v)
{
    if (status != wanted)
        die("%s k%u: status %u", what, v->key, status);
}

/* ---- operations ---- */

static void put(struct worker *w, const struct version *v)
{
    send_put(w, 0, v);
    expect(read_answer(w->fd[0]), 201, "PUT", v);
    acknowledge(w, v, 'P');
}

/* 409: the other one was there before this one looked. */
static void race(struct worker *w, const struct version *v)
{
    struct version by[2] = {*v, *v};
    unsigned won = 0;
    by[1].writer = 1;
    send_put(w, 0, &by[0]);
    send_put(w, 1, &by[1]);
    for (unsigned i = 0; i < 2; i++) {
        unsigned status = read_answer(w->fd[i]);
        if (status == 409)
            continue;
        expect(status, 201, "PUT at once", v);
        acknowledge(w, &by[i], 'P');
        won++;
    }
    if (won == 0)
        die("neither PUT of k%u was taken", v->key);
    atomic_fetch_add(&both_won, won == 2);
}

static void simple(struct worker *w, const struct version *v, const char *method, char kind)
{
    char more[128] = "";
    if (kind == 'M')
        snprintf(more, sizeof(more), "X-Object-Meta-Posted: %llu\r\n%s",
                 (unsigned long long)v->ticks, pick(w, 2) ? "Content-Type: text/html\r\n" : "");
    send_request(w, 0, method, v, more, 0);
    expect(read_answer(w->fd[0]), kind == 'M' ? 202 : 204, method, v);
    acknowledge(w, v, kind);
}

static enum operation pick_operation(struct worker *w)
{
    unsigned dice = pick(w, 100), op = 0;
    while (op < OP_RACE && dice >= set.share[op])
        dice -= set.share[op++];
    return (enum operation)op;
}

static unsigned new_key(struct worker *w)
{
    if (w->keys == KEYS_MAX)
        die("too many keys");
    return w->keys++;
}

static void operate(struct worker *w)
{
    enum operation op = pick_operation(w);
    unsigned own = op == OP_NEW || w->keys == 0 || (op == OP_RACE && pick(w, 2)) ? new_key(w)
                                                                                 : pick(w, w->keys);
    if ((op == OP_DELETE || op == OP_POST) && !w->exists[own])
        op = OP_OVERWRITE;
    struct version v = {.key = w->number * KEYS_MAX + own,
                        .ticks = set.base + w->round++ * THREADS_MAX + w->number};
    if (op == OP_RACE)
        race(w, &v);
    else if (op == OP_DELETE)
        simple(w, &v, "DELETE", 'D');
    else if (op == OP_POST)
        simple(w, &v, "POST", 'M');
    else
        put(w, &v);
    w->exists[own] = op != OP_DELETE;
    atomic_fetch_add(&done_count[op], 1);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < set.operations; i++)
        operate(w);
    return NULL;
}

static struct worker *start_worker(unsigned number)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        die("no memory");
    if (posix_memalign((void **)&w->ack, 4096, sizeof(*w->ack)) != 0)
        die("no memory");
    w->number = number;
    w->random = (set.base << 8) + number + 1;
    for (unsigned i = 0; i < 2; i++)
        w->fd[i] = connect_to(set.port);
    if (pthread_create(&w->thread, NULL, work, w) != 0)
        die("no thread");
    return w;
}

static void settle(char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    set.base = (uint64_t)(now.tv_sec - 100) * 100000;
    set.port = (uint16_t)atoi(argv[1]);
    set.disk = open(argv[2], O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (set.disk < 0)
        die("%s: %s", argv[2], strerror(errno));
    set.ack_offset = (off_t)strtoll(argv[3], NULL, 10);
    set.share = strcmp(argv[4], "race") == 0 ? race_share : mixed_share;
    set.threads = (unsigned)atoi(argv[5]);
    set.operations = (unsigned)atoi(argv[6]);
    if (set.threads == 0 || set.threads > THREADS_MAX)
        die("1 to %d threads", THREADS_MAX);
}

int main(int argc, char **argv)
{
    struct worker *workers[THREADS_MAX];
    if (argc != 7)
        die("usage: load PORT DISK ACK_OFFSET mixed|race THREADS OPERATIONS");
    settle(argv);
    for (unsigned i = 0; i < set.threads; i++)
        workers[i] = start_worker(i);
    for (unsigned i = 0; i < set.threads; i++)
        pthread_join(workers[i]->thread, NULL);
    printf("load: new=%u overwrite=%u delete=%u post=%u race=%u (both taken %u) acks=%u\n",
           done_count[OP_NEW], done_count[OP_OVERWRITE], done_count[OP_DELETE], done_count[OP_POST],
           done_count[OP_RACE], both_won, acks);
    return 0;
}
