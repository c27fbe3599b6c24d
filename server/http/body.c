/* SPDX-License-Identifier: Apache-2.0 */
/* body.c -- request bodies: from the connection's input, through llhttp, to the verb's sink.
 *
 * llhttp counts Content-Length and takes chunks apart. Of its callbacks only those that are no
 * data callbacks can pause it, so a sink that says "wait" is obeyed at the end of the chunk; there
 * is never more than one piece of data between two such points. */
#include "server/http/conn_own.h"
#include <assert.h>
#include <errno.h>

static struct conn *conn_of(llhttp_t *parser)
{
    return (struct conn *)((char *)parser - offsetof(struct conn, parser));
}

bool body_unread(const struct exchange *x)
{
    return x->body == BODY_WAIT || x->body == BODY_READ || x->body == BODY_PAUSED;
}

/* Each window of network_chunk_size bytes has client_timeout to arrive in, however the bytes are
 * spread over it: a trickle does not extend it. */
static void open_window(struct conn *c)
{
    c->x->window_left = c->conns->window;
    conn_arm(c, c->conns->timeout_ms);
}

/* The time a sink takes is not the client's. But a client whose time was up before stays
 * late: the deadline, which comes by ticks, is left to fire, or a trickle with a slow sink
 * behind it would put it off for ever. */
static void pause_body(struct conn *c)
{
    c->x->body = BODY_PAUSED;
    c->x->window_ms = deadline_left_ms(&c->conns->deadlines, &c->deadline);
    if (c->x->window_ms > 0)
        deadline_clear(&c->deadline);
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct conn *c = conn_of(parser);
    struct exchange *x = c->x;
    x->body_end = at + len;
    x->body_left -= len < x->body_left ? len : x->body_left;
    if (c->state == CONN_DRAIN || x->body != BODY_READ || x->done) {
        c->drained += len;
        return 0;
    }
    x->window_left -= len < x->window_left ? len : x->window_left;
    if (x->window_left == 0)
        open_window(c);
    x->more = false;
    bool go_on = x->sink.data(&x->r, at, len);
    if (!go_on && !x->more && x->body == BODY_READ)
        pause_body(c);
    return 0;
}

static int on_chunk_complete(llhttp_t *parser)
{
    return conn_of(parser)->x->body == BODY_PAUSED ? HPE_PAUSED : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    conn_of(parser)->x->body_left = 0;
    conn_of(parser)->x->r.state_bits |= BODY_COMPLETE;
    return HPE_PAUSED;
}

const llhttp_settings_t body_settings = {
    .on_body = on_body,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_message_complete,
};

void body_start(struct conn *c)
{
    struct exchange *x = c->x;
    bool has = request_has_body(&x->r) || (x->r.state_bits & HEAD_BODY_UNREADABLE) != 0;
    c->parser.settings = (void *)&body_settings;
    x->body = has ? BODY_WAIT : BODY_NONE;
    x->body_left = x->r.chunked ? 0 : x->r.content_length;
    x->continue_due = x->r.expects_continue;
    c->drained = 0;
}

/* Lets llhttp have the input. 0: took what it could; -EPROTO: broken framing. */
static int execute(struct conn *c)
{
    struct exchange *x = c->x;
    c->feeding = true;
    x->body_end = NULL;
    char *view = c->view;
    size_t len = c->view_len, taken = len;
    enum llhttp_errno err = llhttp_execute(&c->parser, view, len);
    c->feeding = false;
    if (err == HPE_PAUSED) {
        taken = (size_t)(llhttp_get_error_pos(&c->parser) - view);
        llhttp_resume(&c->parser);
    }
    x->overhead = x->body_end != NULL ? (size_t)(view + taken - x->body_end) : x->overhead + taken;
    if (!conn_live(c)) /* lost by what the sink did */
        return 0;
    c->view = view + taken;
    c->view_len = len - taken;
    if (err != HPE_OK && err != HPE_PAUSED)
        return -EPROTO;
    return x->overhead > CHUNK_OVERHEAD_LIMIT && x->r.chunked ? -EPROTO : 0;
}

void body_fail(struct conn *c, int err)
{
    struct exchange *x = c->x;
    bool asked = x->body == BODY_READ || x->body == BODY_PAUSED;
    x->body = BODY_FAILED;
    x->close_after = true;
    deadline_clear(&c->deadline);
    if (!asked || x->told || x->done)
        return;
    x->told = true;
    x->sink.failed(&x->r, err);
}

static void body_ended(struct conn *c)
{
    struct exchange *x = c->x;
    bool reading = x->body == BODY_READ || x->body == BODY_PAUSED;
    x->body = BODY_DONE;
    deadline_clear(&c->deadline);
    if (reading && !x->done)
        x->sink.end(&x->r);
}

/* The end is announced when the sink has room, so that end() never overtakes request_more(). */
static bool at_end(const struct exchange *x)
{
    return (x->r.state_bits & BODY_COMPLETE) != 0;
}

void body_feed(struct conn *c)
{
    struct exchange *x = c->x;
    while (x->body == BODY_READ && !at_end(x) && c->view_len > 0)
        if (execute(c) < 0) {
            c->view_len = 0;
            body_fail(c, -EPROTO);
            return;
        }
    if (x->body == BODY_READ && at_end(x))
        body_ended(c);
}

void body_discard(struct conn *c)
{
    struct exchange *x = c->x;
    if (!at_end(x) && c->view_len > 0 && (execute(c) < 0 || c->drained > DRAIN_LIMIT)) {
        c->view_len = 0;
        x->body = BODY_FAILED;
    } else if (at_end(x)) {
        x->body = BODY_DONE;
    }
}

/* ---- the verb's side ---- */

static void start_reading(struct conn *c)
{
    struct exchange *x = c->x;
    if (x->r.state_bits & HEAD_BODY_UNREADABLE) {
        x->body = BODY_READ;
        body_fail(c, -ECONNRESET);
        return;
    }
    bool none = x->body == BODY_NONE;
    x->body = BODY_READ;
    if (none)
        x->r.state_bits |= BODY_COMPLETE;
    else
        open_window(c);
    if (!c->running)
        conn_run(c);
    else if (!c->feeding)
        body_feed(c);
}

void request_read_body(struct request *r, const struct body_sink *sink)
{
    struct exchange *x = exchange_of(r);
    struct conn *c = r->conn;
    x->sink = *sink;
    if (c == NULL) {
        x->body = BODY_READ;
        subrequest_read(x);
        return;
    }
    if (x->continue_due) {
        x->continue_due = false;
        reply_continue(c);
    }
    start_reading(c);
}

void request_continue_with(struct request *r, const char *lines)
{
    exchange_of(r)->continue_lines = lines;
}

/* A fresh parser, told of a head that says "chunked", expects the first chunk's size. */
static void expect_chunks(llhttp_t *parser)
{
    static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    llhttp_init(parser, HTTP_REQUEST, &body_settings);
    (void)llhttp_execute(parser, head, sizeof(head) - 1); /* valid */
}

int request_read_again(struct request *r, const struct body_sink *sink)
{
    struct exchange *x = exchange_of(r);
    struct conn *c = r->conn;
    assert(x->body == BODY_DONE && !x->done);
    if (!r->expects_continue || !r->chunked)
        return -EPROTO;
    x->sink = *sink;
    x->body = BODY_WAIT;
    x->overhead = 0;
    r->state_bits &= ~(unsigned)BODY_COMPLETE;
    expect_chunks(&c->parser);
    reply_continue(c);
    start_reading(c);
    return 0;
}

void request_more(struct request *r)
{
    struct exchange *x = exchange_of(r);
    struct conn *c = r->conn;
    x->more = true;
    if (x->body != BODY_PAUSED)
        return;
    x->body = BODY_READ;
    if (c == NULL) {
        subrequest_read(x);
        return;
    }
    if (x->window_ms > 0)
        conn_arm(c, x->window_ms);
    if (!c->running)
        conn_run(c);
}

void request_earned(struct request *r)
{
    struct exchange *x = exchange_of(r);
    if (x->body == BODY_READ)
        open_window(r->conn);
    else if (x->body == BODY_PAUSED) {
        deadline_clear(&r->conn->deadline);
        x->window_left = r->conn->conns->window;
        x->window_ms = r->conn->conns->timeout_ms;
    }
}

bool request_body_is_here(const struct request *r)
{
    const struct conn *c = r->conn;
    if (c == NULL)
        return subrequest_body_is_here(
            (const struct exchange *)((const char *)r - offsetof(struct exchange, r)));
    size_t here = c->running ? c->view_len : c->in_len;
    return !r->chunked && !r->expects_continue && !(r->state_bits & HEAD_BODY_UNREADABLE) &&
           r->content_length <= here;
}
