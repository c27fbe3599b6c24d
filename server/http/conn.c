/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c -- the life of a connection; states and invariants are in conn_own.h. */
#include "server/http/conn_own.h"
#include "server/node/config.h"
#include "server/node/log.h"
#include "server/verbs/verbs.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

bool conn_live(const struct conn *c)
{
    return c->state != CONN_CLOSING;
}

void conn_arm(struct conn *c, uint64_t ms)
{
    if (conn_live(c))
        deadline_set(&c->conns->deadlines, &c->deadline, ms);
}

/* ---- exchanges ---- */

static struct exchange *take_exchange(struct conns *s)
{
    struct exchange *x = s->pool;
    if (x != NULL) {
        s->pool = x->next;
        s->pooled--;
        return x;
    }
    x = calloc(1, sizeof(*x));
    if (x != NULL && (x->r.arena = arena_new(ARENA_LIMIT)) == NULL) {
        free(x);
        return NULL;
    }
    return x;
}

static void free_exchange(struct exchange *x)
{
    arena_free(x->r.arena);
    free(x->head);
    free(x);
}

static void release_exchange(struct conns *s, struct exchange *x)
{
    struct arena *arena = x->r.arena;
    if (s->pooled >= EXCHANGES_KEPT || x->head_room > REPLY_HEAD_KEPT) {
        free_exchange(x);
        return;
    }
    arena_reset(arena);
    *x = (struct exchange){
        .next = s->pool, .head = x->head, .head_room = x->head_room, .r.arena = arena};
    s->pool = x;
    s->pooled++;
}

/* ---- ends ---- */

static void free_conn(struct conn *c)
{
    struct conns *s = c->conns;
    if (c->x != NULL)
        release_exchange(s, c->x);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    s->loop->conn_count--;
    free(c->in);
    free(c);
    s->freed(s->loop);
}

/* I3 */
static void tell(struct conn *c)
{
    struct exchange *x = c->x;
    if (x == NULL || x->done || x->told)
        return;
    if (x->body == BODY_READ || x->body == BODY_PAUSED) {
        body_fail(c, -ECONNRESET);
        return;
    }
    x->told = true;
    if (x->r.handler != NULL && x->r.handler->gone != NULL)
        x->r.handler->gone(&x->r);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    bool outer = conn_enter(c);
    c->detached = true;
    tell(c);
    conn_leave(c, outer);
}

void conn_lost(struct conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    c->state = CONN_CLOSING;
    c->reading = false;
    c->view_len = 0;
    deadline_remove(&c->conns->deadlines, &c->deadline);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* The reply is out, but a close with input unread would reset the connection and could take the
 * reply from the client: say that nothing more comes, and read on for a moment. */
static void linger(struct conn *c)
{
    uint64_t ms = c->conns->timeout_ms < LINGER_MS ? c->conns->timeout_ms : LINGER_MS;
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) {
        conn_lost(c);
        return;
    }
    c->state = CONN_LINGER;
    c->view_len = 0;
    conn_arm(c, ms);
}

/* ---- one request after the other ---- */

/* Nothing begun, and nothing waiting in the socket either. */
static bool is_idle(const struct conn *c)
{
    char byte;
    return c->state == CONN_HEAD && !c->started &&
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void next_head(struct conn *c)
{
    if (c->x != NULL)
        release_exchange(c->conns, c->x);
    c->x = NULL;
    c->state = CONN_HEAD;
    c->started = c->skipped = false;
    c->scan = (struct head_scan){0};
    conn_arm(c, c->conns->timeout_ms);
}

static void refuse(struct conn *c, enum head_verdict v)
{
    reply_refuse(c, head_refusal(v, c->conns->limits.standalone));
    linger(c);
}

static void begin_request(struct conn *c, size_t head_len)
{
    struct conns *s = c->conns;
    struct exchange *x = take_exchange(s);
    if (x == NULL) {
        conn_lost(c);
        return;
    }
    struct request *r = &x->r;
    enum head_verdict v = head_parse(r, &c->parser, &c->scan, &s->limits, c->view, head_len);
    if (v != HEAD_WHOLE) {
        release_exchange(s, x);
        refuse(c, v);
        return;
    }
    c->view += head_len;
    c->view_len -= head_len;
    c->x = x;
    c->state = CONN_BUSY;
    deadline_clear(&c->deadline);
    r->peer = slice_of(c->peer);
    r->started_ns = c->started_ns;
    r->loop = s->loop;
    r->conn = c;
    r->reply_length = -1;
    body_start(c);
    router_dispatch(r);
}

/* RFC 9112 2.2: some clients send an empty line after a body; one is passed over. Swift answers
 * 400, and so does its mode. */
static void skip_empty_line(struct conn *c)
{
    if (!c->conns->limits.standalone || c->skipped || c->view_len < 2 ||
        memcmp(c->view, "\r\n", 2) != 0)
        return;
    c->skipped = true;
    c->started = false;
    c->scan = (struct head_scan){0};
    c->view += 2;
    c->view_len -= 2;
}

static bool step_head(struct conn *c)
{
    skip_empty_line(c);
    if (c->view_len == 0) {
        const struct loop *l = c->conns->loop;
        if (c->eof || (l->stopping && !l->draining && is_idle(c)))
            conn_lost(c);
        return false;
    }
    if (!c->started) {
        c->started = true;
        c->started_ns = uv_hrtime();
        conn_arm(c, c->conns->timeout_ms);
    }
    size_t head_len = 0;
    enum head_verdict v = head_scan(&c->scan, &c->conns->limits, c->view, c->view_len, &head_len);
    if (v == HEAD_WHOLE)
        begin_request(c, head_len);
    else if (v != HEAD_MORE)
        refuse(c, v);
    else if (c->eof)
        conn_lost(c);
    return v != HEAD_MORE;
}

static void end_request(struct conn *c)
{
    struct exchange *x = c->x;
    bool unread = body_unread(x);
    if (!reply_is_out(x))
        conn_lost(c); /* given up: reply_abort(), or no reply at all */
    else if (x->close_after && (unread || x->body == BODY_FAILED || c->view_len > 0))
        linger(c);
    else if (x->close_after)
        conn_lost(c);
    else if (unread) {
        c->state = CONN_DRAIN;
        conn_arm(c, c->conns->timeout_ms);
    } else {
        next_head(c);
    }
}

static bool step_busy(struct conn *c)
{
    struct exchange *x = c->x;
    if (x->body == BODY_READ)
        body_feed(c);
    if (x->body == BODY_READ && c->eof && conn_live(c))
        body_fail(c, -ECONNRESET);
    bool over = x->done && (x->reply != REPLY_FLUSH || !conn_live(c));
    if (over && conn_live(c))
        end_request(c);
    else
        return x->body == BODY_READ && c->view_len > 0;
    return true;
}

static bool step_drain(struct conn *c)
{
    body_discard(c);
    if (c->x->body == BODY_DONE)
        next_head(c);
    else if (c->x->body == BODY_FAILED)
        linger(c);
    else if (c->eof)
        conn_lost(c);
    else
        return c->view_len > 0;
    return true;
}

static bool step(struct conn *c)
{
    switch (c->state) {
    case CONN_HEAD:
        return step_head(c);
    case CONN_BUSY:
        return step_busy(c);
    case CONN_DRAIN:
        return step_drain(c);
    case CONN_LINGER:
        c->view_len = 0;
        if (c->eof)
            conn_lost(c);
        return false;
    case CONN_CLOSING:
        c->view_len = 0;
        return false;
    }
    return false;
}

/* ---- input ---- */

static bool grow_in(struct conn *c, size_t room)
{
    if (room <= c->in_room)
        return true;
    char *bigger = realloc(c->in, room);
    if (bigger == NULL)
        return false;
    c->in = bigger;
    c->in_room = room;
    return true;
}

/* What nobody took moves to the front of `in`; an empty `in` goes. */
static void keep_rest(struct conn *c)
{
    bool inside = c->in != NULL && c->view >= c->in && c->view <= c->in + c->in_len;
    if (c->view_len == 0) {
        free(c->in);
        c->in = NULL;
        c->in_room = 0;
    } else if (inside) {
        memmove(c->in, c->view, c->view_len);
    } else if (grow_in(c, c->view_len)) {
        memcpy(c->in, c->view, c->view_len);
    } else {
        c->view_len = 0;
        conn_lost(c);
    }
    c->in_len = c->view_len;
    c->view = NULL;
    c->view_len = 0;
}

bool conn_enter(struct conn *c)
{
    bool outer = c->running;
    c->running = true;
    return outer;
}

void conn_leave(struct conn *c, bool outer)
{
    c->running = outer;
    conn_run(c);
}

/* With c->view set: new input, which stands behind what `in` may hold already. */
void conn_run(struct conn *c)
{
    if (c->running)
        return;
    c->running = true;
    if (c->view == NULL) {
        c->view = c->in;
        c->view_len = c->in_len;
    }
    while (step(c))
        ;
    keep_rest(c);
    c->running = false;
    if (c->detached && (c->x == NULL || c->x->done))
        free_conn(c);
    else
        conn_update_reading(c);
}

void request_done(struct request *r)
{
    exchange_of(r)->done = true;
    if (r->conn != NULL)
        conn_run(r->conn);
    else
        subrequest_over(exchange_of(r));
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->conns->buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (count == 0 || !conn_live(c))
        return;
    if (count == UV_EOF) {
        c->eof = true;
    } else if (count < 0 || (c->in_len > 0 && !grow_in(c, c->in_len + (size_t)count))) {
        conn_lost(c);
        return;
    } else if (c->in_len == 0) {
        c->view = buf->base;
        c->view_len = (size_t)count;
    } else {
        memcpy(c->in + c->in_len, buf->base, (size_t)count);
        c->in_len += (size_t)count;
    }
    conn_run(c);
}

static bool wants_input(const struct conn *c)
{
    if (c->state == CONN_CLOSING || c->eof)
        return false;
    if (c->state != CONN_BUSY || c->x->body == BODY_READ)
        return true;
    return c->x->body != BODY_PAUSED && c->in_len < PREREAD_LIMIT;
}

/* ---- hang-ups nobody reads about ---- */

static bool is_deaf(const struct conn *c)
{
    return c->state == CONN_BUSY && !c->reading;
}

static void check_hangups(uv_timer_t *timer)
{
    struct conns *s = timer->data;
    unsigned deaf = 0;
    for (struct conn *c = s->loop->conns; c != NULL; c = c->next) {
        if (!is_deaf(c))
            continue;
        struct pollfd p = {.fd = c->fd};
        deaf++;
        if (poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0)
            conn_lost(c);
    }
    if (deaf == 0)
        uv_timer_stop(timer);
}

void conn_update_reading(struct conn *c)
{
    bool want = wants_input(c);
    if (want && !c->reading) {
        if (uv_read_start((uv_stream_t *)&c->tcp, give_buffer, on_read) < 0)
            conn_lost(c);
        else
            c->reading = true;
    } else if (!want && c->reading) {
        uv_read_stop((uv_stream_t *)&c->tcp);
        c->reading = false;
    }
    if (is_deaf(c) && !uv_is_active((uv_handle_t *)&c->conns->hangups))
        (void)uv_timer_start(&c->conns->hangups, check_hangups, HANGUP_CHECK_MS, HANGUP_CHECK_MS);
}

/* ---- deadlines ---- */

static bool still_writing(struct conn *c)
{
    struct exchange *x = c->x;
    size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (!x->writing || queued >= x->queue_seen)
        return false;
    x->queue_seen = queued;
    conn_arm(c, c->conns->timeout_ms);
    return true;
}

static void on_deadline(struct deadline *d)
{
    struct conn *c = (struct conn *)((char *)d - offsetof(struct conn, deadline));
    if (c->state == CONN_BUSY && still_writing(c))
        return;
    bool reading = c->state == CONN_BUSY && !c->x->writing &&
                   (c->x->body == BODY_READ || c->x->body == BODY_PAUSED);
    if (!reading) {
        conn_lost(c);
        return;
    }
    bool outer = conn_enter(c);
    body_fail(c, -ETIMEDOUT);
    conn_leave(c, outer);
}

/* ---- all of them ---- */

struct conns *conns_new(struct loop *loop, void (*freed)(struct loop *loop))
{
    struct conns *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->loop = loop;
    s->freed = freed;
    s->limits = head_limits_of(loop->config);
    s->timeout_ms = (uint64_t)(loop->config->client_timeout * 1000.0);
    s->window = (size_t)loop->config->network_chunk_size;
    deadlines_init(&s->deadlines, &loop->uv, on_deadline);
    (void)uv_timer_init(&loop->uv, &s->hangups); /* cannot fail */
    s->hangups.data = s;
    return s;
}

void conns_close(struct conns *s)
{
    deadlines_close(&s->deadlines);
    uv_close((uv_handle_t *)&s->hangups, NULL);
}

void conns_free(struct conns *s)
{
    while (s->pool != NULL) {
        struct exchange *x = s->pool;
        s->pool = x->next;
        free_exchange(x);
    }
    free(s);
}

static void name_peer(int fd, char text[46])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer = {0};
    socklen_t len = sizeof(peer);
    const char *name = NULL;
    if (getpeername(fd, &peer.any, &len) == 0 && peer.any.sa_family == AF_INET)
        name = inet_ntop(AF_INET, &peer.v4.sin_addr, text, 46);
    else if (peer.any.sa_family == AF_INET6)
        name = inet_ntop(AF_INET6, &peer.v6.sin6_addr, text, 46);
    if (name == NULL)
        (void)snprintf(text, 46, "-");
}

int conn_open(struct conns *s, int take_fd)
{
    struct loop *loop = s->loop;
    struct conn *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        close(take_fd);
        return -ENOMEM;
    }
    c->conns = s;
    c->fd = take_fd;
    name_peer(take_fd, c->peer);
    (void)uv_tcp_init(&loop->uv, &c->tcp); /* cannot fail without flags */
    c->tcp.data = c;
    c->next = loop->conns;
    c->link = &loop->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    loop->conns = c;
    loop->conn_count++;
    int res = uv_tcp_open(&c->tcp, take_fd);
    if (res < 0) {
        close(take_fd);
        conn_lost(c);
        return res;
    }
    next_head(c);
    conn_update_reading(c);
    return 0;
}

void conns_stop(struct conns *s, bool graceful)
{
    for (struct conn *c = s->loop->conns; c != NULL; c = c->next) /* none is freed at once */
        if (!graceful || is_idle(c) || c->state == CONN_LINGER)
            conn_lost(c);
}

void conns_dump(struct conns *s)
{
    uint64_t now = uv_hrtime();
    for (const struct conn *c = s->loop->conns; c != NULL; c = c->next) {
        if (c->x == NULL || c->x->done)
            continue;
        const struct request *r = &c->x->r;
        const struct handler *h = r->handler;
        const char *step_name = h != NULL && h->step != NULL ? h->step(r) : NULL;
        log_line(LOG_LEVEL_NOTICE, "in flight: loop=%u peer=%s \"%.*s %.*s\" age_ms=%llu %s/%s%s",
                 s->loop->index, c->peer, (int)r->method.len, r->method.at, (int)r->target.len,
                 r->target.at, (unsigned long long)((now - r->started_ns) / 1000000),
                 h != NULL ? h->name : "router", step_name != NULL ? step_name : "-",
                 conn_live(c) ? "" : " (client gone)");
    }
}
