/* SPDX-License-Identifier: Apache-2.0 */
/* stub_server.c -- the real loop and connections around a router that does simple things.
 *
 *   stub_server PORT [option=value ...]      PORT 0: any; prints "ready PORT"; SIGTERM: graceful,
 * SIGINT: hard, SIGUSR1: dump, SIGUSR2: let /hang go on Paths: /hello  /dump  /echo  /slow?MS (a
 * sink that wants a pause after each piece) /stream/N  /abort/N (half of it)  /early (409, body
 * unread)  /mid (413 after the first piece)  /hang (answers after SIGUSR2)  /lent  /stats /expected
 * (409 if Expect)  /twice?MS (echoes two chunked streams, asking for the second after a while) */
#include "server/http/request.h"
#include "server/loop.h"
#include "server/node/config.h"
#include "server/node/log.h"
#include "server/updates/update.h"
#include "server/verbs/verbs.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- the disk and the log: nothing ---- */

static atomic_uint working;

struct df_thread {
    int fd;
};

int df_thread_open(struct df_store *store, struct df_thread **ret_thread)
{
    (void)store;
    *ret_thread = calloc(1, sizeof(**ret_thread));
    (*ret_thread)->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return 0;
}

void df_thread_close(struct df_thread *t)
{
    close(t->fd);
    free(t);
}

int df_thread_fd(struct df_thread *t)
{
    return t->fd;
}

void df_thread_reap(struct df_thread *t)
{
    (void)t;
}

void df_thread_hurry(struct df_thread *t)
{
    (void)t;
}

void df_thread_flush(struct df_thread *t)
{
    (void)t;
}

void df_thread_each_inflight(struct df_thread *t,
                             void (*each)(void *, void *, const char *, uint64_t), void *arg)
{
    (void)t;
    if (atomic_load(&working) > 0) /* the loop ends when nothing is left */
        each(arg, NULL, "stub", 1);
}

/* ---- no container servers either ---- */

int updates_open(struct loop *loop, void (*idle)(struct loop *loop), struct updates **ret_updates)
{
    (void)loop, (void)idle, (void)ret_updates;
    return 0;
}

bool updates_idle(const struct updates *u)
{
    (void)u;
    return true;
}

void updates_stop(struct updates *u)
{
    (void)u;
}

void updates_close(struct updates *u)
{
    (void)u;
}

void updates_dump(const struct updates *u)
{
}

void updates_free(struct updates *u)
{
    (void)u;
}

static bool quiet;

void log_batch_begin(void)
{
}

unsigned log_batch_flush(void)
{
    return 0;
}

void log_batch_end(void)
{
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char text[1024];
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)level;
    fprintf(stderr, "%s\n", text);
}

void log_access(const struct request *r)
{
    if (!quiet)
        fprintf(stderr, "access %.*s %.*s %d %lld\n", (int)r->method.len, r->method.at,
                (int)r->target.len, r->target.at, r->status, (long long)r->reply_length);
}

/* ---- what requests do ---- */

static atomic_uint gone_count, failed_count, released;
static atomic_int last_error;
static char pattern[65536];

struct work {
    struct request *r;
    char *body; /* echoed */
    size_t len, pieces, biggest;
    uint64_t left; /* to stream */
    uint64_t stop_at;
    unsigned ms;
    uv_timer_t timer;
    bool over;
};

static void on_timer_closed(uv_handle_t *h)
{
    struct work *w = h->data;
    struct request *r = w->r;
    free(w->body);
    free(w);
    atomic_fetch_sub(&working, 1);
    request_done(r);
}

static void finish(struct work *w)
{
    if (w->over) /* gone() may come between the reply and request_done() */
        return;
    w->over = true;
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

static void gone(struct request *r)
{
    struct work *w = r->state;
    atomic_fetch_add(&gone_count, 1);
    finish(w);
}

static const char *step(const struct request *r)
{
    (void)r;
    return "working";
}

static const struct handler handler = {"stub", gone, step};

static struct work *start_work(struct request *r)
{
    struct work *w = calloc(1, sizeof(*w));
    atomic_fetch_add(&working, 1);
    w->r = r;
    w->ms = r->query.len > 0 ? (unsigned)atoi(arena_text(r->arena, r->query)) : 0;
    (void)uv_timer_init(&r->loop->uv, &w->timer);
    w->timer.data = w;
    r->handler = &handler;
    r->state = w;
    return w;
}

static void body_failed(struct request *r, int err)
{
    struct work *w = r->state;
    atomic_fetch_add(&failed_count, 1);
    atomic_store(&last_error, err);
    reply_default(r, status_of_errno(err));
    finish(w);
}

static bool echo_data(struct request *r, const char *at, size_t len)
{
    struct work *w = r->state;
    w->body = realloc(w->body, w->len + len);
    memcpy(w->body + w->len, at, len);
    w->len += len;
    return true;
}

static void echo_end(struct request *r)
{
    struct work *w = r->state;
    reply_begin(r, 200);
    reply_header(r, "x-ECHO", SLICE("a\r\nb"));
    reply_send(r, w->body, w->len);
    finish(w);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct work *w = timer->data;
    if (!w->over)
        request_more(w->r);
}

static bool slow_data(struct request *r, const char *at, size_t len)
{
    struct work *w = r->state;
    (void)at;
    w->len += len;
    w->pieces++;
    w->biggest = len > w->biggest ? len : w->biggest;
    (void)uv_timer_start(&w->timer, on_pause_over, w->ms, 0);
    return false;
}

static void slow_end(struct request *r)
{
    struct work *w = r->state;
    char *text = arena_printf(r->arena, "%zu %zu %zu", w->len, w->pieces, w->biggest);
    reply_text(r, 200, text);
    finish(w);
}

static bool mid_data(struct request *r, const char *at, size_t len)
{
    (void)at;
    (void)len;
    reply_text(r, 413, "enough");
    finish(r->state);
    return true;
}

static const struct body_sink echo_sink = {echo_data, echo_end, body_failed};
static const struct body_sink slow_sink = {slow_data, slow_end, body_failed};
static const struct body_sink mid_sink = {mid_data, slow_end, body_failed};

/* The second stream of the body is asked for after a while; what comes behind the first is no
 * business of the next request's. */
static void on_second_due(uv_timer_t *timer)
{
    struct work *w = timer->data;
    if (w->over)
        return;
    if (request_read_again(w->r, &echo_sink) < 0) {
        reply_text(w->r, 500, "no second stream");
        finish(w);
    }
}

static void twice_end(struct request *r)
{
    struct work *w = r->state;
    echo_data(r, "|", 1);
    if (w->ms > 0)
        (void)uv_timer_start(&w->timer, on_second_due, w->ms, 0);
    else
        on_second_due(&w->timer);
}

static const struct body_sink twice_sink = {echo_data, twice_end, body_failed};

static void stream_ready(struct request *r)
{
    struct work *w = r->state;
    if (w->left == w->stop_at) {
        if (w->stop_at > 0)
            reply_abort(r);
        else
            reply_end(r);
        finish(w);
        return;
    }
    uint64_t left = w->left - w->stop_at;
    size_t len = left < sizeof(pattern) ? (size_t)left : sizeof(pattern);
    w->left -= len;
    reply_write(r, pattern, len);
}

static void stream(struct request *r, uint64_t size, uint64_t stop_at)
{
    struct work *w = start_work(r);
    w->left = size;
    w->stop_at = stop_at;
    reply_begin(r, 200);
    reply_stream(r, size, stream_ready);
}

static void on_hang_check(uv_timer_t *timer)
{
    struct work *w = timer->data;
    if (w->over || atomic_load(&released) == 0)
        return;
    atomic_fetch_sub(&released, 1);
    reply_text(w->r, 200, "released");
    finish(w);
}

static void lent_sent(struct request *r)
{
    finish(r->state);
}

static void show_head(struct request *r)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    fprintf(f, "%.*s|", (int)r->method.len, r->method.at);
    for (size_t i = 0; i < r->path.len; i++)
        fprintf(f, "%02x", (unsigned char)r->path.at[i]);
    fprintf(f, "|%.*s|%s\n", (int)r->query.len, r->query.at, r->http10 ? "1.0" : "1.1");
    for (unsigned i = 0; i < r->header_count; i++)
        fprintf(f, "%.*s: %.*s\n", (int)r->headers[i].name.len, r->headers[i].name.at,
                (int)r->headers[i].value.len, r->headers[i].value.at);
    fclose(f);
    reply_begin(r, 200);
    reply_send(r, text, len);
    free(text);
    request_done(r);
}

static void show_stats(struct request *r)
{
    reply_text(r, 200,
               arena_printf(r->arena, "gone=%u failed=%u error=%d conns=%u",
                            atomic_load(&gone_count), atomic_load(&failed_count),
                            atomic_load(&last_error), r->loop->conn_count));
    request_done(r);
}

static bool starts(struct request *r, const char *text)
{
    size_t len = strlen(text);
    return r->path.len >= len && memcmp(r->path.at, text, len) == 0;
}

static uint64_t number_after(struct request *r, size_t skip)
{
    struct slice rest = {r->path.at + skip, r->path.len - skip};
    return strtoull(arena_text(r->arena, rest), NULL, 10);
}

void router_dispatch(struct request *r)
{
    if (starts(r, "/hello")) {
        reply_text(r, 200, "hello");
        request_done(r);
    } else if (starts(r, "/dump")) {
        show_head(r);
    } else if (starts(r, "/stats")) {
        show_stats(r);
    } else if (starts(r, "/early") || (starts(r, "/expected") && r->expects_continue)) {
        reply_default(r, 409);
        request_done(r);
    } else if (starts(r, "/echo") || starts(r, "/expected")) {
        start_work(r);
        request_read_body(r, &echo_sink);
    } else if (starts(r, "/twice")) {
        start_work(r);
        request_continue_with(r, "X-Twice: yes\r\n");
        request_read_body(r, &twice_sink);
    } else if (starts(r, "/slow")) {
        start_work(r);
        request_read_body(r, &slow_sink);
    } else if (starts(r, "/mid")) {
        start_work(r);
        request_read_body(r, &mid_sink);
    } else if (starts(r, "/stream/")) {
        stream(r, number_after(r, 8), 0);
    } else if (starts(r, "/abort/")) {
        uint64_t size = number_after(r, 7);
        stream(r, size, size / 2);
    } else if (starts(r, "/hang")) {
        struct work *w = start_work(r);
        (void)uv_timer_start(&w->timer, on_hang_check, 20, 20);
    } else if (starts(r, "/lent")) {
        start_work(r);
        reply_begin(r, 200);
        reply_send_lent(r, pattern, sizeof(pattern), lent_sent);
    } else {
        reply_default(r, 404);
        request_done(r);
    }
}

/* ---- the program ---- */

static void set_option(struct config *c, const char *arg)
{
    const char *value = strchr(arg, '=') + 1;
#define NUMBER(name)                                                                               \
    if (strncmp(arg, #name "=", sizeof(#name)) == 0)                                               \
        c->name = (__typeof__(c->name))atof(value);
    NUMBER(client_timeout)
    NUMBER(max_clients)
    NUMBER(stop_timeout)
    NUMBER(standalone)
    NUMBER(network_chunk_size)
#undef NUMBER
    if (strncmp(arg, "quiet=", 6) == 0)
        quiet = true;
}

static int listen_on(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        perror("bind");
        exit(1);
    }
    return fd;
}

static struct loop *watched;

/* Also while the loop is stopping: a second signal may be of another kind. */
static void *on_signals(void *arg)
{
    for (;;) {
        int sig = 0;
        sigwait(arg, &sig);
        if (sig == SIGUSR1)
            loop_dump(watched);
        else if (sig == SIGUSR2)
            atomic_fetch_add(&released, 1);
        else
            loop_stop(watched, sig == SIGTERM);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct config c = {.client_timeout = 60,
                       .max_header_size = 8192,
                       .max_head_size = 65536,
                       .max_clients = 20000,
                       .backlog = 4096,
                       .network_chunk_size = 65536,
                       .keep_idle = 600,
                       .stop_timeout = 5,
                       .max_meta_count = 90};
    for (int i = 2; i < argc; i++)
        set_option(&c, argv[i]);
    memset(pattern, 'p', sizeof(pattern));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = listen_on(atoi(argv[1]));
    struct loop *l = NULL;
    int res = loop_start(0, &c, NULL, &fd, 1, &l);
    if (res < 0) {
        fprintf(stderr, "loop_start: %s\n", strerror(-res));
        return 1;
    }
    struct sockaddr_in bound = {0};
    socklen_t bound_len = sizeof(bound);
    (void)getsockname(fd, (struct sockaddr *)&bound, &bound_len);
    printf("ready %u\n", ntohs(bound.sin_port));
    fflush(stdout);
    pthread_t signals;
    watched = l;
    (void)pthread_create(&signals, NULL, on_signals, &set);
    loop_join(l);
    return 0;
}
