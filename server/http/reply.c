/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c -- replies: the head is collected, then it leaves together with the body or with the
 * first bytes of a stream. What the socket does not take at once is queued with libuv, and the
 * connection has client_timeout for each bit of progress. */
#include "server/http/conn_own.h"
#include "server/http/status.h"
#include "server/metrics/metrics.h"
#include "server/node/log.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the head ---- */

static char *head_room(struct exchange *x, size_t len)
{
    size_t need = x->head_len + len;
    if (need > x->head_room) {
        size_t room = x->head_room > 0 ? x->head_room : 1024;
        while (room < need)
            room *= 2;
        char *bigger = realloc(x->head, room);
        if (bigger == NULL) {
            x->head_failed = true;
            return NULL;
        }
        x->head = bigger;
        x->head_room = room;
    }
    char *at = x->head + x->head_len;
    x->head_len = need;
    return at;
}

static void put_bytes(struct exchange *x, const char *at, size_t len)
{
    char *to = head_room(x, len);
    if (to != NULL && len > 0)
        memcpy(to, at, len);
}

/* Lower case, with a capital after each byte that is no letter. */
static void put_name(struct exchange *x, struct slice name)
{
    char *to = head_room(x, name.len);
    bool inside = false;
    for (size_t i = 0; to != NULL && i < name.len; i++) {
        char c = name.at[i], lower = c | 32;
        bool letter = lower >= 'a' && lower <= 'z';
        to[i] = !letter ? c : inside ? lower : (char)(lower & ~32);
        inside = letter;
    }
}

/* A value that was stored with line ends in it must not become two lines. */
static void put_value(struct exchange *x, struct slice value)
{
    char *to = head_room(x, value.len);
    for (size_t i = 0; to != NULL && i < value.len; i++) {
        char c = value.at[i];
        to[i] = c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    }
}

__attribute__((format(printf, 2, 3))) static void put_text(struct exchange *x, const char *format,
                                                           ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof(text));
    put_bytes(x, text, (size_t)len);
}

void reply_begin(struct request *r, int status)
{
    struct exchange *x = exchange_of(r);
    assert(x->reply == REPLY_NONE || x->reply == REPLY_BEGUN);
    x->reply = REPLY_BEGUN;
    x->head_len = 0;
    r->status = status;
    put_text(x, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, status_title(status), loop_date(r->loop));
}

void reply_header(struct request *r, const char *name, struct slice value)
{
    struct exchange *x = exchange_of(r);
    put_name(x, slice_of(name));
    put_bytes(x, ": ", 2);
    put_value(x, value);
    put_bytes(x, "\r\n", 2);
}

void reply_headerf(struct request *r, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        exchange_of(r)->head_failed = true;
        return;
    }
    reply_header(r, name, (struct slice){text, (size_t)len});
    free(text);
}

void reply_close_after(struct request *r)
{
    exchange_of(r)->close_after = true;
}

/* The connection cannot be used again if the rest of the body has no known or no near end, or if
 * the client may send it or not, having asked first. */
static bool must_close(const struct exchange *x)
{
    unsigned bits = x->r.state_bits;
    bool open = body_unread(x) && (bits & BODY_COMPLETE) == 0;
    return x->close_after || !(bits & HEAD_KEEP_ALIVE) || (bits & HEAD_AMBIGUOUS) ||
           (bits & HEAD_BODY_UNREADABLE) || x->r.loop->stopping || x->continue_due ||
           (open && x->body_left > DRAIN_LIMIT);
}

/* `content_length` below 0: not known; chunks then, or up to the end of the connection. */
static void finish_head(struct exchange *x, int64_t content_length)
{
    x->close_after = must_close(x);
    /* RFC 9110 8.6: not with 204. Swift sends it, and its clients may count on it. */
    if (content_length >= 0 && (x->r.status != 204 || !x->r.loop->config->standalone))
        put_text(x, "Content-Length: %lld\r\n", (long long)content_length);
    else if (content_length < 0 && x->chunks)
        put_text(x, "Transfer-Encoding: chunked\r\n");
    if (x->close_after)
        put_text(x, "Connection: close\r\n");
    else if (x->r.http10)
        put_text(x, "Connection: keep-alive\r\n");
    put_bytes(x, "\r\n", 2);
    x->r.reply_length = content_length;
    metrics_reply(&x->r);
    if (!x->r.filtered)
        log_access(&x->r);
}

/* ---- bytes to the socket ---- */

static void call_sent(struct exchange *x)
{
    void (*sent)(struct request *) = x->sent;
    x->sent = NULL;
    if (sent != NULL)
        sent(&x->r);
}

static void pump(struct exchange *x)
{
    if (x->in_ready)
        return;
    x->in_ready = true;
    while (x->ready_due && conn_live(x->r.conn)) {
        x->ready_due = false;
        x->ready(&x->r);
    }
    x->in_ready = false;
}

static void all_taken(struct exchange *x)
{
    x->head_due = false;
    if (x->reply == REPLY_STREAM) {
        x->ready_due = true;
        pump(x);
    } else {
        x->reply = REPLY_SENT;
        call_sent(x);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct exchange *x = write->data;
    struct conn *c = x->r.conn;
    bool outer = conn_enter(c);
    x->writing = false;
    free(x->copy);
    x->copy = NULL;
    deadline_clear(&c->deadline);
    if (status == 0) {
        all_taken(x);
    } else {
        conn_lost(c);
        call_sent(x);
    }
    conn_leave(c, outer);
}

static void skip(uv_buf_t *bufs, unsigned count, size_t taken)
{
    for (unsigned i = 0; i < count; i++) {
        size_t part = taken < bufs[i].len ? taken : bufs[i].len;
        bufs[i].base += part;
        bufs[i].len -= part;
        taken -= part;
    }
}

static int queue(struct exchange *x, uv_buf_t *bufs, unsigned count, bool copy_last)
{
    struct conn *c = x->r.conn;
    uv_buf_t *last = &bufs[count - 1];
    if (copy_last && last->len > 0) {
        x->copy = malloc(last->len);
        if (x->copy == NULL)
            return -ENOMEM;
        last->base = memcpy(x->copy, last->base, last->len);
    }
    x->write.data = x;
    int res = uv_write(&x->write, (uv_stream_t *)&c->tcp, bufs, count, on_written);
    if (res < 0)
        return res;
    x->writing = true;
    x->queue_seen = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    conn_arm(c, c->conns->timeout_ms);
    return 0;
}

/* The head if it is due (with it a chunk's size), and `body`: at once if the socket takes it, else
 * queued. */
static void send_out(struct exchange *x, const void *body, size_t len, bool lent)
{
    static char line_end[] = "\r\n";
    struct conn *c = x->r.conn;
    if (x->head_failed)
        conn_lost(c);
    if (!conn_live(c)) {
        call_sent(x);
        return;
    }
    size_t head_len = x->head_due ? x->head_len : 0;
    size_t tail_len = x->chunks && len > 0 ? 2 : 0;
    uv_buf_t bufs[3] = {{.base = x->head, .len = head_len},
                        {.base = (char *)body, .len = len},
                        {.base = line_end, .len = tail_len}};
    unsigned count = tail_len > 0 ? 3 : len > 0 ? 2 : 1;
    int taken = uv_try_write((uv_stream_t *)&c->tcp, bufs, count);
    if (taken >= 0 && (size_t)taken == head_len + len + tail_len) {
        all_taken(x);
        return;
    }
    skip(bufs, count, taken > 0 ? (size_t)taken : 0);
    bool failed = taken < 0 && taken != UV_EAGAIN;
    if (failed || queue(x, bufs, count, !lent && count == 2) < 0) {
        conn_lost(c);
        call_sent(x);
    }
}

static void send_whole(struct request *r, const void *body, size_t len, uint64_t content_length,
                       void (*sent)(struct request *r), bool lent)
{
    struct exchange *x = exchange_of(r);
    struct conn *c = r->conn;
    assert(x->reply == REPLY_BEGUN);
    finish_head(x, (int64_t)content_length);
    if (c == NULL) {
        x->reply = REPLY_SENT;
        x->sent = sent;
        subrequest_replied(x, body, len);
        call_sent(x);
        return;
    }
    x->reply = REPLY_FLUSH;
    x->head_due = true;
    x->sent = sent;
    bool outer = conn_enter(c);
    send_out(x, body, slice_eq(r->method, SLICE("HEAD")) ? 0 : len, lent);
    conn_leave(c, outer);
}

void reply_send(struct request *r, const void *body, size_t len)
{
    send_whole(r, body, len, len, NULL, false);
}

void reply_send_lent(struct request *r, const void *body, size_t len,
                     void (*sent)(struct request *r))
{
    send_whole(r, body, len, len, sent, true);
}

void reply_send_head(struct request *r, uint64_t content_length)
{
    send_whole(r, NULL, 0, content_length, NULL, true);
}

bool reply_is_out(const struct exchange *x)
{
    return x->reply == REPLY_SENT;
}

/* ---- streams ---- */

static void start_stream(struct exchange *x, int64_t content_length,
                         void (*ready)(struct request *r))
{
    struct conn *c = x->r.conn;
    assert(x->reply == REPLY_BEGUN && c != NULL);
    finish_head(x, content_length);
    x->reply = REPLY_STREAM;
    x->head_due = true;
    x->stream_left = content_length >= 0 ? (uint64_t)content_length : UINT64_MAX;
    x->ready = ready;
    x->ready_due = true;
    bool outer = conn_enter(c);
    pump(x);
    conn_leave(c, outer);
}

void reply_stream(struct request *r, uint64_t content_length, void (*ready)(struct request *r))
{
    start_stream(exchange_of(r), (int64_t)content_length, ready);
}

void reply_stream_chunked(struct request *r, void (*ready)(struct request *r))
{
    struct exchange *x = exchange_of(r);
    x->chunks = !r->http10;
    x->close_after = r->http10;
    x->continue_due = false;
    start_stream(x, -1, ready);
}

/* Behind the reply's head, if that is still to be sent. */
static void put_chunk_size(struct exchange *x, size_t len)
{
    if (!x->head_due)
        x->head_len = 0;
    x->head_due = true;
    put_text(x, "%zx\r\n", len);
}

void reply_write(struct request *r, const void *buf, size_t len)
{
    struct exchange *x = exchange_of(r);
    struct conn *c = r->conn;
    assert(x->reply == REPLY_STREAM && !x->writing && len <= x->stream_left);
    x->stream_left -= len;
    if (x->chunks)
        put_chunk_size(x, len);
    bool outer = conn_enter(c);
    send_out(x, buf, slice_eq(r->method, SLICE("HEAD")) ? 0 : len, true);
    conn_leave(c, outer);
}

void reply_end(struct request *r)
{
    struct exchange *x = exchange_of(r);
    struct conn *c = r->conn;
    if (x->chunks) {
        put_chunk_size(x, 0);
        put_text(x, "\r\n");
    } else if (x->stream_left > 0 && r->reply_length >= 0) {
        reply_abort(r);
        return;
    }
    x->ready_due = false;
    x->reply = REPLY_FLUSH;
    bool outer = conn_enter(c);
    if (x->head_due && !x->writing)
        send_out(x, NULL, 0, true);
    else if (!x->writing)
        x->reply = REPLY_SENT;
    conn_leave(c, outer);
}

void reply_cut(struct request *r)
{
    struct exchange *x = exchange_of(r);
    x->ready_due = false;
    x->close_after = true;
    x->reply = x->writing ? REPLY_FLUSH : REPLY_SENT;
}

void reply_abort(struct request *r)
{
    struct exchange *x = exchange_of(r);
    x->told = true; /* the verb knows */
    conn_lost(r->conn);
}

/* ---- ready-made replies ---- */

static void reply_typed(struct request *r, int status, const char *type, const char *text)
{
    reply_begin(r, status);
    reply_header(r, "Content-Type", slice_of(type));
    reply_send(r, text, strlen(text));
}

void reply_text(struct request *r, int status, const char *text)
{
    reply_typed(r, status, "text/plain", text);
}

void reply_html(struct request *r, int status, const char *text)
{
    reply_typed(r, status, "text/html; charset=UTF-8", text);
}

void reply_default_device(struct request *r, int status, struct slice device)
{
    const char *text = status_text(status);
    char page[512] = "";
    if (text != NULL && !slice_eq(r->method, SLICE("HEAD"))) {
        char filled[384];
        const char *mark = strstr(text, "%s");
        if (mark != NULL)
            (void)snprintf(filled, sizeof(filled), "%.*s%.*s%s", (int)(mark - text), text,
                           (int)(device.len < 255 ? device.len : 255), device.at, mark + 2);
        (void)snprintf(page, sizeof(page), "<html><h1>%s</h1><p>%s</p></html>",
                       status_title(status), mark != NULL ? filled : text);
    }
    reply_html(r, status, page);
}

void reply_default(struct request *r, int status)
{
    reply_default_device(r, status, SLICE(""));
}

/* ---- outside of a verb's reply ---- */

void reply_refuse(struct conn *c, struct head_refusal refusal)
{
    char text[1024], typed[128] = "";
    if (refusal.type != NULL)
        (void)snprintf(typed, sizeof(typed), "Date: %s\r\nContent-Type: %s\r\n",
                       loop_date(c->conns->loop), refusal.type);
    int len =
        snprintf(text, sizeof(text), "%s\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 refusal.status_line, typed, strlen(refusal.body), refusal.body);
    assert(len > 0 && (size_t)len < sizeof(text));
    uv_buf_t buf = {.base = text, .len = (size_t)len};
    (void)uv_try_write((uv_stream_t *)&c->tcp, &buf, 1); /* the client is closed upon anyway */
}

#define CONTINUE_MAX 256

/* What the socket did not take of a 100 at once. */
struct late_continue {
    uv_write_t write;
    char text[CONTINUE_MAX];
};

static void on_continue_written(uv_write_t *write, int status)
{
    (void)status; /* a broken connection shows in its own write or read */
    free(write);  /* it comes first in its struct */
}

static bool write_late(struct conn *c, const char *text, size_t len)
{
    struct late_continue *late = malloc(sizeof(*late));
    if (late == NULL)
        return false;
    memcpy(late->text, text, len);
    uv_buf_t buf = {.base = late->text, .len = len};
    if (uv_write(&late->write, (uv_stream_t *)&c->tcp, &buf, 1, on_continue_written) == 0)
        return true;
    free(late);
    return false;
}

void reply_continue(struct conn *c)
{
    char text[CONTINUE_MAX];
    const char *lines = c->x->continue_lines != NULL ? c->x->continue_lines : "";
    int len = snprintf(text, sizeof(text), "HTTP/1.1 100 Continue\r\n%s\r\n", lines);
    assert(len > 0 && (size_t)len < sizeof(text));
    uv_buf_t buf = {.base = text, .len = (size_t)len};
    if (!conn_live(c))
        return;
    int taken = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (taken == len)
        return;
    if (taken < 0)
        taken = 0;
    if (!write_late(c, text + taken, (size_t)(len - taken)))
        conn_lost(c);
}
