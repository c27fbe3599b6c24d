/* SPDX-License-Identifier: Apache-2.0 */
/* conn_own.h -- between conn.c, body.c and reply.c; nobody else includes it.
 *
 *          accept
 *            |     first byte ... whole head
 *            v                                 reply out, request done
 *          HEAD ------------------> BUSY -------------------------------.
 *            ^                       |                                  |
 *            |                       | reply out, request done,         |
 *            |  body all read        v body not read            must    v
 *            +-------------------- DRAIN ---------------------> close  LINGER -> CLOSING -> freed
 *            `----------------------------------------------------------^
 *
 * I1  A connection has one request at a time: the next head is parsed after the last byte of the
 *     reply before it was taken by the kernel and the verb called request_done().
 * I2  conn_run() is the only one that takes input. It is not re-entered: what happens inside a
 *     verb's callback is acted upon when the callback has returned. (request_read_body() called
 *     from the dispatch feeds what is there, which is the one promised exception.)
 * I3  The verb is told of a lost client once: by sink.failed() while it reads a body, else by
 *     handler.gone(). By then the socket is closed and nothing is lent to it any more.
 * I4  CLOSING: uv_close() was called. The struct lives until its callback came and the request,
 *     if any, is done.
 * I5  Unread input is in `view` while conn_run() is on the stack, else in `in`. */
#ifndef OBJSRV_CONN_OWN_H
#define OBJSRV_CONN_OWN_H

#include "server/http/conn.h"
#include "server/http/deadline.h"
#include "server/http/head.h"

enum {
    READ_SIZE = 65536,      /* the shared read buffer */
    PREREAD_LIMIT = 16384,  /* input kept while nobody wants it; above, reading stops */
    DRAIN_LIMIT = 1 << 20,  /* of an unread body, to save the connection */
    LINGER_MS = 2000,       /* after the last reply: the client reads it, we read what it sends */
    HANGUP_CHECK_MS = 1000, /* for connections that are not being read from */
    ARENA_LIMIT = 1 << 20,  /* memory of one request */
    EXCHANGES_KEPT = 64,    /* for the next requests */
    REPLY_HEAD_KEPT = 8192, /* of a reply's head buffer, between requests */
    CHUNK_OVERHEAD_LIMIT = 16384 /* bytes of chunk framing without a byte of body */
};

/* Bits of request.state_bits beside those of head.h. */
enum { BODY_COMPLETE = 256 /* the parser has seen the end of the body */ };

enum conn_state { CONN_HEAD, CONN_BUSY, CONN_DRAIN, CONN_LINGER, CONN_CLOSING };

enum body_state {
    BODY_NONE,   /* the request has none */
    BODY_WAIT,   /* not asked for yet */
    BODY_READ,   /* the sink takes bytes */
    BODY_PAUSED, /* the sink has enough for now */
    BODY_DONE,   /* the last byte was taken */
    BODY_FAILED  /* it will never be whole */
};

enum reply_state {
    REPLY_NONE,
    REPLY_BEGUN,  /* the head is being written */
    REPLY_STREAM, /* the head is whole; bytes come by reply_write() */
    REPLY_FLUSH,  /* all is given to the socket, some of it not taken yet */
    REPLY_SENT
};

/* One request and its reply. Pooled. Without a connection (r.conn is NULL) it is a part of another
 * request's body: subrequest.c. */
struct exchange {
    struct request r;
    struct exchange *next; /* in the pool */
    bool done;             /* request_done() was called */
    bool told;             /* I3 */

    enum body_state body;
    struct body_sink sink;
    bool more;                  /* request_more() came while data() was running */
    bool continue_due;          /* the client waits for "100 Continue" */
    const char *continue_lines; /* headers of each, or NULL */
    size_t window_left;         /* bytes until the body has earned another client_timeout */
    uint64_t window_ms;         /* what was left of it when the sink paused */
    uint64_t body_left;         /* Content-Length bodies: bytes to come */
    size_t overhead;            /* chunk framing since the last byte of body */
    const char *body_end; /* behind the last byte of body in this run of the parser, or NULL */

    enum reply_state reply;
    bool close_after; /* the connection ends with this reply */
    char *head;       /* status line and headers */
    size_t head_len, head_room;
    bool head_failed; /* no memory for it */
    uint64_t stream_left;
    bool chunks;   /* reply_stream_chunked() to a client that knows them */
    bool head_due; /* reply_stream(): the head leaves with the first bytes */
    bool ready_due, in_ready;
    void (*ready)(struct request *r);
    void (*sent)(struct request *r);
    uv_write_t write;
    bool writing;
    size_t queue_seen; /* bytes queued when the deadline was set */
    char *copy;        /* of a body that was not lent */
};

struct conn {
    uv_tcp_t tcp;
    struct conns *conns;
    struct conn *next, **link;
    struct deadline deadline;
    enum conn_state state;
    bool running;  /* I2 */
    bool feeding;  /* inside the parser, with a body */
    bool reading;  /* uv_read_start() */
    bool eof;      /* the client sends no more */
    bool detached; /* uv_close() came back */
    bool started;  /* the first byte of a head is here */
    bool skipped;  /* an empty line before it */
    struct head_scan scan;
    llhttp_t parser;
    char *in; /* input nobody has taken yet */
    size_t in_len, in_room;
    char *view; /* I5 */
    size_t view_len;
    size_t drained;
    struct exchange *x; /* the request being served, or NULL */
    uint64_t started_ns;
    int fd;
    char peer[46];
};

struct conns {
    struct loop *loop;
    void (*freed)(struct loop *loop);
    struct head_limits limits;
    uint64_t timeout_ms;
    size_t window; /* network_chunk_size */
    struct deadlines deadlines;
    uv_timer_t hangups;
    struct exchange *pool;
    unsigned pooled;
    char buffer[READ_SIZE];
};

static inline struct exchange *exchange_of(struct request *r)
{
    return (struct exchange *)((char *)r - offsetof(struct exchange, r));
}

/* conn.c */
bool conn_enter(struct conn *c);             /* before a verb's callback, outside conn_run() ... */
void conn_leave(struct conn *c, bool outer); /* ... and after it: goes on; may free c */
void conn_run(struct conn *c);               /* goes on with whatever can go on; may free c */
void conn_lost(struct conn *c);              /* the socket is of no use any more */
void conn_update_reading(struct conn *c);
void conn_arm(struct conn *c, uint64_t ms);
bool conn_live(const struct conn *c); /* replies can be sent */

/* body.c */
extern const llhttp_settings_t body_settings;
void body_start(struct conn *c);         /* after a head */
void body_feed(struct conn *c);          /* from view to the sink */
void body_fail(struct conn *c, int err); /* tells the sink; the connection will close */
void body_discard(struct conn *c);       /* from view to nobody */
bool body_unread(const struct exchange *x);

/* subrequest.c: what the functions of request.h do for a request without a connection. */
void subrequest_read(struct exchange *x); /* body is BODY_READ */
bool subrequest_body_is_here(const struct exchange *x);
void subrequest_replied(struct exchange *x, const void *body, size_t len);
void subrequest_over(struct exchange *x);

/* reply.c */
void reply_refuse(struct conn *c, struct head_refusal refusal);
bool reply_is_out(const struct exchange *x);
void reply_continue(struct conn *c);

#endif
