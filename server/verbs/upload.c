/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/upload.h"
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include "server/metrics/statsd.h"
#include "server/verbs/answer.h"
#include "server/verbs/buffers.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/turns.h"
#include "server/verbs/upload_mime.h"
#include <assert.h>
#include <errno.h>
#include <time.h>

#define ONE_GO_MAX  65536 /* bodies up to this may be collected first */
#define BLOCKS_MAX  96    /* above upload_buffers' bound and what one data() can bring */
#define STALE_TRIES 100   /* own clock: how often others may overtake a small upload */

struct block {
    char *at;
    size_t len;
};

struct upload_body {
    struct request *request;
    struct df_upload *upload; /* in flight, or NULL */
    struct md5 *md5;
    unsigned char digest[MD5_LEN];
    struct block blocks[BLOCKS_MAX]; /* a queue; the first may be lent, the last is filling */
    unsigned block_count;
    size_t block_size;
    uint64_t started_s;       /* when the body was first asked for */
    int failure;              /* status to answer with, or 0: U1 */
    const char *failure_text; /* its body, or NULL */
    unsigned tries;
    struct turn turn; /* own clock: held from the time's being given to finished() */
    bool one_go;      /* the whole body is in blocks[0] */
    bool lending;     /* blocks[0] */
    bool paused;      /* request_more() is due */
    bool ended;       /* the body */
    bool committed;
    bool held;    /* stored, and waiting for the second phase */
    bool waiting; /* finished, but the body goes on */
    bool overdue; /* max_upload_time */
    bool gone;
    char times[256];
};

static void run(struct upload *up);

/* ---- life ---- */

struct upload *upload_new(struct request *r, const struct upload_form *form,
                          const struct target *target)
{
    struct upload *up = arena_alloc(r->arena, sizeof *up);
    struct upload_body *b = arena_alloc(r->arena, sizeof *b);
    struct md5 *md5 = md5_new();
    if (!up || !b || !md5) {
        md5_free(md5);
        answer_status(r, 500);
        return NULL;
    }
    b->request = r;
    b->md5 = md5;
    b->block_size = (size_t)r->loop->config->network_chunk_size;
    up->form = form;
    up->target = *target;
    up->size = -1;
    up->body = b;
    return up;
}

static void free_blocks(struct upload_body *b)
{
    while (b->block_count > 0)
        buffer_put(b->blocks[--b->block_count].at, b->block_size);
}

void upload_drop(struct upload *up)
{
    free_blocks(up->body);
    md5_free(up->body->md5);
    up->body->md5 = NULL;
    if (up->mime)
        upload_mime_release(up->mime);
    metadata_release(&up->metadata);
}

static uint64_t monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

void upload_fail(struct upload *up, int status, const char *text)
{
    struct upload_body *b = up->body;
    if (b->failure == 0) {
        b->failure = status;
        b->failure_text = text;
    }
    b->paused = false;
    if (b->upload && (!b->committed || b->held))
        df_upload_abort(b->upload);
}

static void fail(struct upload *up, int status)
{
    upload_fail(up, status, NULL);
}

static void too_long(struct upload *up)
{
    struct request *r = up->body->request;
    metric_add(r->loop->metrics, METRIC_put_timeouts, 1);
    statsd_count("PUT.timeouts");
    up->body->overdue = true;
    fail(up, 408);
}

/* ---- bytes ---- */

/* Copies `len` bytes behind those that wait. -ENOMEM. */
static int take(struct upload_body *b, const char *at, size_t len)
{
    md5_add(b->md5, at, len);
    while (len > 0) {
        struct block *last = b->block_count ? &b->blocks[b->block_count - 1] : NULL;
        if (!last || last->len == b->block_size || (b->lending && b->block_count == 1)) {
            if (b->block_count == BLOCKS_MAX)
                return -ENOMEM;
            last = &b->blocks[b->block_count];
            *last = (struct block){buffer_get(b->block_size), 0};
            if (!last->at)
                return -ENOMEM;
            b->block_count++;
        }
        size_t room = b->block_size - last->len, n = len < room ? len : room;
        memcpy(last->at + last->len, at, n);
        last->len += n;
        at += n;
        len -= n;
    }
    return 0;
}

/* Only while a block is lent, since its return is what makes the reading go on. */
static bool too_much_waits(const struct upload_body *b)
{
    return b->lending && b->block_count - 1 >= (unsigned)b->request->loop->config->upload_buffers;
}

static void lend_next(struct upload_body *b)
{
    if (b->lending || b->block_count == 0)
        return;
    if (b->blocks[0].len < b->block_size && !b->ended)
        return; /* still filling */
    b->lending = true;
    df_upload_append(b->upload, b->blocks[0].at, b->blocks[0].len);
}

/* What was announced and what came: 0, or the status. */
static int check_size(const struct upload *up)
{
    return up->size >= 0 && up->received != (uint64_t)up->size ? 499 : 0;
}

static int check_received(struct upload *up)
{
    struct upload_body *b = up->body;
    if (check_size(up) != 0)
        return check_size(up);
    if (up->etag.len > 0 && !slice_eq(up->etag, (struct slice){up->md5_hex, MD5_HEX_LEN}))
        return 422;
    if (up->has_content_md5 && memcmp(up->content_md5, b->digest, MD5_LEN) != 0)
        return 422;
    return 0;
}

/* The rest of the metadata is known only now. 0 or -errno. */
static int complete_metadata(struct upload *up, struct metadata *m)
{
    int res = metadata_set_timestamp(m, "X-Timestamp", up->timestamp);
    if (res == 0)
        res = metadata_set_number(m, "Content-Length", up->received);
    if (res == 0)
        res = metadata_set_text(m, "ETag", up->md5_hex);
    return res == 0 ? metadata_set_name(m, &up->target.name) : res;
}

/* The metadata's own index wins over the request's. */
static int name_fragment(struct upload *up)
{
    static const char key[] = "X-Object-Sysmeta-Ec-Frag-Index";
    const struct slice *text = metadata_get(&up->metadata, key);
    int index = up->wish.index, res = 0;
    if (text)
        res = fragment_index_parse(*text, up->fragments, &index);
    else if (up->wish.only_index)
        res = metadata_set_number(&up->metadata, key, (uint64_t)index);
    else
        res = -EINVAL;
    if (res == 0)
        df_upload_set_fragment(up->body->upload, (unsigned)index);
    return res;
}

static void commit(struct upload *up)
{
    struct upload_body *b = up->body;
    struct metadata m = {0};
    if (up->fragments > 0 && name_fragment(up) < 0) {
        fail(up, 500);
        return;
    }
    if (metadata_copy(&m, &up->metadata) < 0 || complete_metadata(up, &m) < 0) {
        metadata_release(&m);
        fail(up, 500);
        return;
    }
    b->committed = true;
    up->time_fixed = true;
    df_upload_commit(b->upload, &m);
    metadata_release(&m);
}

static void stamp_and_commit(void *arg)
{
    struct upload *up = arg;
    struct upload_body *b = up->body;
    up->timestamp = df_store_clock(b->request->loop->store, up->seen);
    df_upload_set_timestamp(b->upload, up->timestamp);
    commit(up);
}

/* The streamed body is on the disk. */
static void whole(struct upload *up)
{
    struct upload_body *b = up->body;
    int status = md5_end(b->md5, b->digest, up->md5_hex) < 0 ? 500 : check_size(up);
    if (status == 0 && up->mime && !upload_mime_footers(up->mime))
        return;
    if (status == 0)
        status = check_received(up);
    if (status != 0) {
        fail(up, status);
        return;
    }
    if (up->form->own_clock)
        turn_take(&b->turn, b->request->loop, &up->target.name, stamp_and_commit, up);
    else
        commit(up);
}

static void on_drained(void *arg)
{
    struct upload *up = arg;
    struct upload_body *b = up->body;
    if (b->one_go)
        return; /* the block may be needed again: see run() */
    buffer_put(b->blocks[0].at, b->block_size);
    b->block_count--;
    memmove(b->blocks, b->blocks + 1, b->block_count * sizeof *b->blocks);
    b->lending = false;
    if (b->failure)
        return;
    lend_next(b);
    if (b->ended && !b->lending)
        whole(up);
    else if (b->paused && !too_much_waits(b)) {
        b->paused = false;
        request_more(b->request);
    }
}

/* ---- the body arrives ---- */

void upload_take(struct upload *up, const char *at, size_t len)
{
    struct upload_body *b = up->body;
    const struct config *c = b->request->loop->config;
    if (b->failure)
        return;
    up->received += len;
    if (up->received > (uint64_t)c->max_file_size)
        fail(up, 413);
    else if ((double)(monotonic_s() - b->started_s) > c->max_upload_time)
        too_long(up);
    else if (take(b, at, len) < 0)
        fail(up, 500);
}

static bool on_data(struct request *r, const char *at, size_t len)
{
    struct upload *up = r->state;
    struct upload_body *b = up->body;
    if (b->failure)
        return true; /* the connection drains it */
    if (up->mime)
        upload_mime_data(up->mime, at, len);
    else
        upload_take(up, at, len);
    if (b->failure || b->one_go)
        return true;
    lend_next(b);
    b->paused = too_much_waits(b);
    return !b->paused;
}

static void on_end(struct request *r)
{
    struct upload *up = r->state;
    struct upload_body *b = up->body;
    b->ended = true;
    if (up->mime && !b->failure)
        upload_mime_stream_end(up->mime);
    if (b->failure || b->one_go)
        return;
    lend_next(b);
    if (!b->lending)
        whole(up);
}

static void on_body_failed(struct request *r, int err)
{
    struct upload *up = r->state;
    bool malformed = err == -EPROTO && up->target.plain;
    if (!up->body->ended)
        fail(up, malformed ? 400 : status_of_errno(err));
}

static const struct body_sink sink = {on_data, on_end, on_body_failed};

static void read_body(struct upload *up)
{
    up->body->started_s = monotonic_s();
    request_read_body(up->body->request, &sink);
}

/* ---- the disk answers ---- */

static int on_judge(void *arg, struct df_upload *u, const struct df_info *info)
{
    struct upload *up = arg;
    return up->form->judge(up, info);
}

static void on_began(void *arg)
{
    struct upload *up = arg;
    struct upload_body *b = up->body;
    if (b->failure) /* a small body that is not what was announced */
        df_upload_abort(b->upload);
    else if (up->mime && !b->gone && !upload_mime_start(up->mime))
        return;
    else if (!b->gone)
        read_body(up);
}

/* Of these failures Swift returns two and raises the rest (http-api 20.3). */
static bool is_raised(const struct upload_body *b)
{
    bool broken = b->failure == 499 && !b->request->has_length;
    return b->failure != 0 && !broken && (b->failure != 408 || b->overdue);
}

static void count(struct upload *up, int res)
{
    struct upload_body *b = up->body;
    struct metrics *m = b->request->loop->metrics;
    df_upload_each_step(b->upload, metrics_step, m);
    if (res == 0)
        metrics_stored(m, up->target.name.device, up->received);
    if (res == 0 || b->failure == 422)
        statsd_put_rate(up->target.name.device, df_upload_write_ns(b->upload), up->received);
}

/* A failure of ours ends the upload with -ECANCELED; whatever else the disk says came first. */
static void answer(struct upload *up, int res)
{
    struct upload_body *b = up->body;
    struct request *r = b->request;
    int failure = res == -ECANCELED ? b->failure : 0;
    r->untimed = is_raised(b);
    if (res == 0)
        up->form->created(r, up);
    else if (up->verdict)
        up->form->refused(r, up);
    else if (failure == 422 && up->target.plain)
        answer_plain(r, 422, "the body does not match the ETag or Content-MD5 sent with it");
    else if (failure == 400 && up->target.plain)
        answer_plain(r, 400, "the chunked body is malformed: nothing was stored");
    else if (failure && b->failure_text) {
        reply_begin(r, failure);
        answer_with_text(r, b->failure_text, "text/html; charset=UTF-8");
    } else if (failure)
        answer_status(r, failure);
    else if (res == -ESTALE)
        answer_plain(r, 409,
                     "another version of this key was stored at the same time: nothing was "
                     "changed, send the request again");
    else
        answer_errno(r, res, up->target.name.device);
}

static void end(struct upload *up, int res)
{
    upload_drop(up);
    answer(up, res);
}

static void on_finished(void *arg, int res)
{
    struct upload *up = arg;
    struct upload_body *b = up->body;
    df_upload_times(b->upload, b->times, sizeof b->times);
    b->request->times = b->times;
    count(up, res);
    b->upload = NULL;
    b->committed = b->held = false;
    turn_give(&b->turn);
    if (res == 0 && up->mime && b->failure) {
        res = -ECANCELED; /* durable, but the rest of the body did not come */
    } else if (res == 0 && up->mime && !upload_mime_is_over(up->mime)) {
        b->waiting = true;
        return;
    }
    if (res == -ESTALE && b->one_go && !up->verdict && !b->gone && ++b->tries < STALE_TRIES)
        run(up);
    else
        end(up, res);
}

/* ---- two phases ---- */

static void on_stored(void *arg)
{
    struct upload *up = arg;
    struct upload_body *b = up->body;
    b->held = true;
    if (b->failure || b->gone)
        df_upload_abort(b->upload);
    else
        upload_mime_stored(up->mime);
}

void upload_commit_durable(struct upload *up)
{
    if (!up->body->held)
        return; /* given up already */
    up->body->held = false;
    df_upload_make_durable(up->body->upload);
}

void upload_second_phase_over(struct upload *up)
{
    struct upload_body *b = up->body;
    if (!b->waiting)
        return;
    b->waiting = false;
    end(up, b->failure ? -ECANCELED : 0);
}

static const struct df_upload_calls upload_calls = {.judge = on_judge,
                                                    .began = on_began,
                                                    .drained = on_drained,
                                                    .stored = on_stored,
                                                    .finished = on_finished};

/* ---- the client leaves ---- */

static void on_gone(struct request *r)
{
    struct upload *up = r->state;
    struct upload_body *b = up->body;
    b->gone = true;
    bool wanted = !b->ended || (up->mime && !upload_mime_is_over(up->mime));
    if (wanted)
        fail(up, 499); /* the reply is a no-op, the access line is not */
}

static const char *step_of(const struct request *r)
{
    const struct upload_body *b = ((const struct upload *)r->state)->body;
    return b->held        ? "waiting for commit"
           : b->committed ? "committing"
           : b->lending   ? "writing"
           : b->ended     ? "ending"
                          : "receiving";
}

static const struct handler upload_handler = {.name = "PUT", .gone = on_gone, .step = step_of};

/* ---- start ---- */

static void begin(void *arg)
{
    struct upload *up = arg;
    struct upload_body *b = up->body;
    struct df_store *store = b->request->loop->store;
    if (up->form->own_clock)
        up->timestamp = df_store_clock(store, up->seen);
    up->time_fixed = false;
    struct df_upload_spec spec = {.kind = DF_UPLOAD_DATA,
                                  .timestamp = up->timestamp,
                                  .size = b->one_go ? (int64_t)up->received : up->size,
                                  .now = up->timestamp,
                                  .next_part_power = up->next_part_power,
                                  .recheck = up->form->own_clock,
                                  .hold = up->mime && upload_mime_two_phases(up->mime),
                                  .stay_pending = up->no_commit,
                                  .wish = up->fragments > 0 ? &up->wish : NULL};
    b->upload = df_upload_begin(b->request->loop->disk, &up->target.name, &spec, &upload_calls, up);
    if (!b->upload) {
        turn_give(&b->turn);
        end(up, -ENOMEM);
        return;
    }
    if (!b->one_go || b->failure)
        return;
    if (b->block_count > 0)
        df_upload_append(b->upload, b->blocks[0].at, b->blocks[0].len);
    commit(up);
}

/* Also again, when the server's own clock was behind a version found on the disk. */
static void run(struct upload *up)
{
    struct upload_body *b = up->body;
    if (up->form->own_clock && b->one_go)
        turn_take(&b->turn, b->request->loop, &up->target.name, begin, up);
    else
        begin(up);
}

static bool fits_one_go(const struct request *r, const struct upload *up)
{
    const struct upload_body *b = up->body;
    return !up->mime && !r->chunked && !r->expects_continue && r->content_length <= ONE_GO_MAX &&
           r->content_length <= b->block_size && request_body_is_here(r);
}

void upload_start(struct request *r, struct upload *up)
{
    struct upload_body *b = up->body;
    r->state = up;
    r->handler = &upload_handler;
    b->one_go = fits_one_go(r, up);
    if (b->one_go) {
        read_body(up);
        assert(b->ended || b->failure);
        if (!b->failure)
            b->failure = md5_end(b->md5, b->digest, up->md5_hex) < 0 ? 500 : check_received(up);
        /* A body that is wrong is refused by began(), so that 412, 409 and 507 come first. */
    }
    run(up);
}
