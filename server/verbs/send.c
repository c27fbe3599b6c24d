/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/send.h"
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include "server/verbs/answer.h"
#include "server/verbs/buffers.h"
#include <assert.h>
#include <errno.h>

/* A long body is worth larger blocks: each costs a trip to the disk's threads and back. */
#define LONG_BODY_BLOCKS  64
#define LONG_BLOCK_FACTOR 4

struct send_block {
    char *at;
    size_t len;
    bool ready; /* filled, not yet given to the socket */
};

struct send {
    struct request *request;
    struct df_object *object;
    struct slice device;
    const struct range_set *set;
    const struct multipart *multipart; /* NULL: one range */
    struct send_block blocks[2];
    size_t block_size;
    unsigned filling, writing_next; /* indexes into blocks: both go round in turn */
    unsigned part;                  /* the range that is read now */
    uint64_t offset;                /* in the object: next byte to read */
    bool part_begun;                /* its text is in a block */
    uint64_t length;                /* of the reply's body */
    bool begun;                     /* reply_stream() was called */
    bool read_all, reading, writing, pumping, failed, gone;
};

static void pump(struct send *s);
static void on_ready(struct request *r);

static void release(struct send *s)
{
    for (unsigned i = 0; i < 2; i++)
        buffer_put(s->blocks[i].at, s->block_size);
    df_object_each_step(s->object, metrics_step, s->request->loop->metrics);
    df_object_close(s->object);
}

static void finish(struct send *s)
{
    struct request *r = s->request;
    release(s);
    if (s->failed)
        reply_abort(r);
    else if (!s->gone)
        reply_end(r);
    request_done(r);
}

/* ---- disk to block ---- */

/* `len` more bytes of the object lie in the block being filled. */
static void took(struct send *s, size_t len)
{
    struct send_block *b = &s->blocks[s->filling];
    b->len += len;
    b->ready = true;
    s->offset += len;
    s->filling ^= 1;
    if (s->offset == s->set->items[s->part].end) {
        s->part++;
        s->part_begun = false;
        s->read_all = !s->multipart && s->part == s->set->count;
    }
}

/* The head has not left yet, so the client can be told. */
static void answer_unreadable(struct send *s, int err)
{
    struct request *r = s->request;
    release(s);
    if (err == -EBADMSG) /* damaged, and quarantined by this very read */
        answer_missing(r);
    else
        answer_errno(r, err, s->device);
}

static void begin_reply(struct send *s)
{
    s->begun = true;
    s->writing = true; /* until ready() */
    reply_stream(s->request, s->length, on_ready);
}

static void on_read(void *arg, int res)
{
    struct send *s = arg;
    s->reading = false;
    if (res == 0)
        res = -EIO; /* shorter than it was when opened */
    if (res < 0 && !s->begun) {
        answer_unreadable(s, res);
        return;
    }
    s->failed = res < 0;
    if (!s->failed)
        took(s, (size_t)res);
    if (!s->begun && !s->gone)
        begin_reply(s);
    else
        pump(s);
}

static void begin_part(struct send *s, struct send_block *b)
{
    if (s->multipart)
        b->len = multipart_text(s->multipart, s->set, s->part, b->at);
    s->part_begun = true;
    if (s->part == s->set->count) { /* that was the end of the body */
        b->ready = true;
        s->read_all = true;
        s->filling ^= 1;
    } else {
        s->offset = s->set->items[s->part].start;
    }
}

static void fill(struct send *s)
{
    struct send_block *b = &s->blocks[s->filling];
    b->len = 0;
    if (!s->part_begun)
        begin_part(s, b);
    if (s->read_all)
        return;
    uint64_t left = s->set->items[s->part].end - s->offset;
    size_t room = s->block_size - b->len, len = left < room ? (size_t)left : room;
    struct slice first = df_object_first(s->object);
    if (s->offset + len <= first.len) { /* read ahead when it was opened */
        memcpy(b->at + b->len, first.at + s->offset, len);
        took(s, len);
    } else {
        s->reading = true;
        df_read(s->object, b->at + b->len, len, s->offset, on_read, s);
    }
}

/* ---- block to socket ---- */

static void write_next(struct send *s)
{
    struct send_block *b = &s->blocks[s->writing_next];
    b->ready = false;
    s->writing = true;
    s->writing_next ^= 1;
    reply_write(s->request, b->at, b->len);
}

static void on_ready(struct request *r)
{
    struct send *s = r->state;
    s->writing = false;
    pump(s);
}

/* Is the block that would be filled next free: neither ready nor at the socket? */
static bool may_fill(const struct send *s)
{
    const bool at_socket = s->writing && (s->writing_next ^ 1) == s->filling;
    return !s->read_all && !s->reading && !s->blocks[s->filling].ready && !at_socket;
}

/* The one place that decides what happens next. reply_write() may call ready() within the
 * call, hence the flag. */
static void pump(struct send *s)
{
    if (s->pumping)
        return;
    s->pumping = true;
    for (bool more = true; more;) {
        more = false;
        if (s->failed || s->gone)
            break;
        if (!s->writing && s->blocks[s->writing_next].ready) {
            write_next(s);
            more = true;
        }
        if (may_fill(s)) {
            fill(s);
            more = true;
        }
    }
    s->pumping = false;
    bool sent_all = s->read_all && !s->blocks[0].ready && !s->blocks[1].ready;
    if (!s->reading && !s->writing && (s->failed || s->gone || sent_all))
        finish(s);
}

static void on_gone(struct request *r)
{
    struct send *s = r->state;
    s->gone = true;
    s->writing = false; /* the socket has given its block back */
    pump(s);
}

static const char *step_of(const struct request *r)
{
    const struct send *s = r->state;
    return s->reading ? "reading" : "sending";
}

static const struct handler stream_handler = {.name = "GET", .gone = on_gone, .step = step_of};

static void stream(struct request *r, struct send *s, uint64_t length)
{
    if (length >= LONG_BODY_BLOCKS * s->block_size)
        s->block_size *= LONG_BLOCK_FACTOR;
    for (unsigned i = 0; i < 2; i++)
        s->blocks[i].at = buffer_get(s->block_size);
    if (!s->blocks[0].at || !s->blocks[1].at) {
        answer_unreadable(s, -ENOMEM);
        return;
    }
    r->handler = &stream_handler;
    s->length = length;
    fill(s); /* before the head leaves: what fails here gets a status of its own */
    if (!s->reading)
        begin_reply(s);
}

/* ---- all of it is in memory ---- */

static void on_sent(struct request *r)
{
    struct send *s = r->state;
    df_object_close(s->object);
    request_done(r);
}

static void gone_while_lent(struct request *r)
{
    /* on_sent() is still to come. */
}

static const struct handler lent_handler = {.name = "GET", .gone = gone_while_lent};

void send_object(struct request *r, struct df_object *o, struct slice device,
                 const struct range_set *set, const struct multipart *multipart)
{
    struct slice first = df_object_first(o);
    const struct byte_range *range = &set->items[0];
    struct send *s = arena_alloc(r->arena, sizeof *s);
    if (!s) {
        df_object_close(o);
        answer_status(r, 500);
        return;
    }
    s->request = r;
    s->device = device;
    s->object = o;
    s->set = set;
    s->multipart = multipart;
    s->block_size = (size_t)r->loop->config->disk_chunk_size;
    if (s->block_size < 65536 && multipart)
        s->block_size = 65536; /* a part's text with a long content type must fit */
    r->state = s;
    if (!multipart && range->end <= first.len) {
        r->handler = &lent_handler;
        reply_send_lent(r, first.at + range->start, (size_t)(range->end - range->start), on_sent);
    } else {
        stream(r, s, multipart ? multipart_length(multipart, set) : range->end - range->start);
    }
}
