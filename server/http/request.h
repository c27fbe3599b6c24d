/* SPDX-License-Identifier: Apache-2.0 */
/* request.h -- one HTTP request, from its head to the last byte of its reply.
 *
 * conn.c reads the head, makes a struct request and calls router_dispatch(). From there the
 * verb drives. Everything here is for the loop thread that owns the connection.
 *
 * Calling sequence of a verb:
 *
 *   [request_read_body -> sink.data* -> sink.end | sink.failed]
 *   reply_begin -> reply_header* -> reply_send                       a whole reply
 *                                `> reply_stream -> ready() -> reply_write -> ready() ... reply_end
 *   request_done                                                    exactly once, at the very end
 *
 * R1  One reply per request. Answering before the body was read is allowed: the connection
 *     drains the rest, or closes if the client still waits for its 100.
 * R2  The request lives until the verb calls request_done(), also if the client has gone:
 *     then handler.gone() is called once, replies become no-ops, and the verb winds up what
 *     it has in flight before it calls request_done(). While a body is being read it is
 *     sink.failed() instead, not both; it may come while the sink waits for request_more().
 *     gone() may also come after the reply, as long as request_done() was not called. By then
 *     nothing is lent any more; ready() never comes after it.
 * R3  "100 Continue" goes out when the body is first asked for, never before; and once more for
 *     each request_read_again().
 * R4  Back-pressure: after sink.data() the connection reads no more until request_more()
 *     unless data() returned true. After reply_write() the verb waits for ready(), which
 *     often comes within reply_stream() or reply_write(): let those be the last thing done.
 *     sink.end() comes after request_more() if the last data() returned false.
 *
 * Ownership: slices point into the request's arena and live until request_done().
 * Not here: what a path or a header means (verbs/), sockets (conn.h). */
#ifndef OBJSRV_REQUEST_H
#define OBJSRV_REQUEST_H

#include "diskfile/slice.h"
#include "server/http/arena.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct conn;
struct loop;
struct request;

struct header {
    struct slice name;  /* as received */
    struct slice value; /* SP and TAB stripped at both ends; repeated headers joined by ',' */
};

/* What a verb is to a connection. All on the loop thread. */
struct handler {
    const char *name; /* for the stuck-request dump */
    /* The client has gone or the connection failed. Wind up, then request_done(). */
    void (*gone)(struct request *r);
    /* The step it is in, for the dump; may be NULL. Borrowed. */
    const char *(*step)(const struct request *r);
};

struct body_sink {
    /* Some bytes, de-chunked; borrowed for the call. true: go on reading; false: wait for
     * request_more(). */
    bool (*data)(struct request *r, const char *at, size_t len);
    void (*end)(struct request *r);
    /* The body will not come: -ECONNRESET hung up (499), -EPROTO broken chunk framing (499 as
     * Swift says, though the client is there), -ETIMEDOUT slow (408). */
    void (*failed)(struct request *r, int err);
};

struct request {
    /* The request line and headers; read only. */
    struct slice method;
    struct slice target; /* as received */
    struct slice path;   /* percent-decoded once, without query; may hold NUL */
    struct slice query;  /* raw, after the first '?', or empty */
    struct header *headers;
    unsigned header_count;
    bool http10;
    bool expects_continue;
    bool chunked;
    bool has_length;
    uint64_t content_length;
    struct slice peer;   /* "127.0.0.1" */
    uint64_t started_ns; /* CLOCK_MONOTONIC, first byte of the head */

    struct arena *arena; /* this request's memory */
    struct loop *loop;
    struct conn *conn;

    /* The verb's. */
    const struct handler *handler;
    void *state;

    /* The reply, for the access log. */
    int status;
    int64_t reply_length;   /* Content-Length sent; -1: none */
    const char *times;      /* "lookup=0.1 sync=2.0": shown in the access line, or NULL */
    const char *log_policy; /* text of the policy header, or NULL */
    struct slice device;    /* whose object it is about, for metrics; or empty */
    bool filtered;          /* a filter answers: no access line, no metrics */
    bool untimed;           /* statsd is told no time: Swift's server raised this reply */

    /* conn.c's own. */
    unsigned state_bits;
};

/* The first header of this name, ASCII case ignored, or NULL. */
const struct slice *request_header(const struct request *r, const char *name);
/* Its value, or empty; and Swift's idea of a true value (http-api, Conventions). */
struct slice request_header_value(const struct request *r, const char *name);
bool request_header_true(const struct request *r, const char *name);

/* ---- body ---- */
bool request_has_body(const struct request *r); /* chunked, or Content-Length > 0 */
void request_read_body(struct request *r, const struct body_sink *sink);
void request_more(struct request *r);
/* The client has sent what it is given client_timeout for: its time begins anew. Without this call
 * each network_chunk_size bytes have it. While the body is being read. */
void request_earned(struct request *r);
/* Header lines ("Name: value\r\n") that go with each "100 Continue" of this request; lent until
 * request_done(). Before the body is first asked for. */
void request_continue_with(struct request *r, const char *lines);
/* After sink.end(): asks, by one more 100, for another chunked stream of the same request, as
 * Swift's two-phase PUT has it; its bytes go to this sink. 0, or -EPROTO: this client
 * did not say that it waits for 100s, or does not send chunks; nothing was done. */
int request_read_again(struct request *r, const struct body_sink *sink);
/* The whole body lies in the connection's buffer already (not chunked, no Expect to honour):
 * request_read_body() would deliver it within the call. */
bool request_body_is_here(const struct request *r);

/* ---- reply ---- */
void reply_begin(struct request *r, int status);
void reply_header(struct request *r, const char *name, struct slice value);
void reply_headerf(struct request *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void reply_close_after(struct request *r); /* "Connection: close" */

/* The reply is whole: Content-Length and, unless HEAD, body[]. The iovecs' bytes are copied
 * or sent before it returns, or lent until request `sent`; see reply_send_lent(). */
void reply_send(struct request *r, const void *body, size_t len);
/* As reply_send(), but `body` is lent until sent() is called (also if the client has gone). */
void reply_send_lent(struct request *r, const void *body, size_t len,
                     void (*sent)(struct request *r));
/* A HEAD-like reply: Content-Length as given, no body. */
void reply_send_head(struct request *r, uint64_t content_length);

/* Text of Swift's default body for the status (http-api 4), or an explicit text. */
void reply_default(struct request *r, int status);
void reply_default_device(struct request *r, int status,
                          struct slice device);                   /* 507 names the drive */
void reply_text(struct request *r, int status, const char *text); /* text/plain */
void reply_html(struct request *r, int status, const char *text); /* text/html, explicit text */
/* The only place where an errno becomes a status. */
int status_of_errno(int err);

/* A long body of a known length. ready() is called once at the start and after each write. */
void reply_stream(struct request *r, uint64_t content_length, void (*ready)(struct request *r));
void reply_write(struct request *r, const void *buf, size_t len); /* lent until ready() */
void reply_end(struct request *r);
/* A body of any length, in chunks: each reply_write() is one, and reaches the client at once. The
 * reply may go on while the request's body is read; who does both waits for ready() before
 * he reads on. No 100 is sent after it. */
void reply_stream_chunked(struct request *r, void (*ready)(struct request *r));
/* The body ends here though it is not whole: without the last chunk, so that the client sees it.
 * What was written still arrives (buffers stay lent until then: let them lie in the arena), then
 * the connection closes. In place of reply_end(), also while a write is under way. */
void reply_cut(struct request *r);
/* The body cannot be finished: close the connection so that the client sees it is short. */
void reply_abort(struct request *r);

/* The verb is through with the request: nothing in flight, nothing lent. May free it. */
void request_done(struct request *r);

#endif
