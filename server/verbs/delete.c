/* SPDX-License-Identifier: Apache-2.0 */
/* delete.c -- DELETE: a tombstone (http-api 13).
 *
 * The judge sees what is there and decides both the reply and whether a tombstone is written;
 * all else is in one go. Stand-alone, an absent object gets no tombstone, and the conditions are
 * judged again under the lock. */
#include "server/loop.h"
#include "server/updates/queue_row.h"
#include "server/updates/tell.h"
#include "server/metrics/metrics.h"
#include "server/verbs/answer.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/object_headers.h"
#include "server/verbs/target.h"
#include "server/verbs/turns.h"
#include <errno.h>

#define STALE_TRIES 100

struct delete
{
    struct request *request;
    struct target target;
    struct df_upload *upload;
    struct timestamp timestamp; /* R */
    struct conditions conditions;
    const struct slice *if_delete_at; /* X-If-Delete-At, or NULL */

    /* The judge's, written on a pool thread. */
    int status;            /* of the reply, unless the disk fails */
    const char *text;      /* explicit body, or NULL */
    bool bare;             /* without X-Backend-* headers */
    int64_t old_expiry;    /* X-Delete-At in seconds; 0: none */
    struct timestamp seen; /* T */
    struct metadata found; /* its Content-Type, if any */

    struct turn turn; /* stand-alone */
    unsigned tries;
    char times[256];
};

static void delete_start(struct delete *d);

/* ---- on a pool thread ---- */

static int note_content_type(struct delete *d, const struct df_info *info)
{
    struct slice type = metadata_value(info->metadata, "Content-Type");
    metadata_release(&d->found);
    return type.len ? metadata_set(&d->found, SLICE("Content-Type"), type) : 0;
}

static int refuse_if(struct delete *d, int status, const char *text)
{
    d->status = status;
    d->text = text;
    d->bare = true;
    return -EPERM;
}

static int judge_if_delete_at(struct delete *d, const struct df_info *info)
{
    struct timestamp wanted, stored = {0};
    struct slice text = metadata_value(info->metadata, "X-Delete-At");
    if (timestamp_parse(*d->if_delete_at, &wanted) < 0)
        return refuse_if(d, 400, "Bad X-If-Delete-At header value");
    if (timestamp_is_zero(d->seen))
        return refuse_if(d, 404, NULL);
    if (timestamp_cmp(d->seen, d->timestamp) >= 0)
        return refuse_if(d, 409, NULL);
    /* A stored time beyond what a timestamp can say (bug not to copy: 500) equals none. */
    if (text.len > 0 && timestamp_parse(text, &stored) < 0)
        stored = (struct timestamp){TIMESTAMP_TICKS_END - TIMESTAMP_TICKS_PER_S, 0};
    if (timestamp_cmp(stored, wanted) != 0)
        return refuse_if(d, 412, "X-If-Delete-At and X-Delete-At do not match");
    d->status = 204;
    return 0;
}

static int judge_swift(void *arg, struct df_upload *u, const struct df_info *info)
{
    struct delete *d = arg;
    bool live = info->state == DF_LIVE;
    d->seen = live ? info->data_timestamp : info->timestamp;
    d->old_expiry = queue_time_of(metadata_value(info->metadata, "X-Delete-At"));
    int res = note_content_type(d, info);
    if (res < 0)
        return res;
    if (d->if_delete_at)
        return judge_if_delete_at(d, info);
    bool newer = timestamp_cmp(d->seen, d->timestamp) < 0;
    d->status = !live ? 404 : newer ? 204 : 409;
    return newer ? 0 : -EPERM;
}

static int judge_plain(void *arg, struct df_upload *u, const struct df_info *info)
{
    struct delete *d = arg;
    struct validators v = {.found = info->state == DF_LIVE,
                           .etag = metadata_value(info->metadata, "ETag"),
                           .last_modified_s = (int64_t)timestamp_ceil_s(info->timestamp)};
    d->seen = info->timestamp;
    d->status = conditions_rfc9110(&d->conditions, &v, false);
    if (d->status == 0 && !v.found)
        d->status = 404;
    if (d->status)
        return -EPERM;
    d->status = 204;
    return timestamp_cmp(d->seen, d->timestamp) >= 0 ? -ESTALE : 0;
}

/* ---- the reply ---- */

static void answer_in_swift(void *arg)
{
    struct delete *d = arg;
    struct request *r = d->request;
    int status = d->status;
    reply_begin(r, status);
    if (!d->bare) {
        bool older = timestamp_cmp(d->seen, d->timestamp) < 0;
        reply_timestamp(r, "X-Backend-Timestamp", older ? d->timestamp : d->seen);
        reply_header(r, "X-Backend-Content-Type", metadata_value(&d->found, "Content-Type"));
    }
    metadata_release(&d->found);
    if (d->text)
        answer_with_text(r, d->text, "text/html; charset=UTF-8");
    else
        answer_with_default(r, status);
}

/* The row of the old expiry is to go even if the object stays (409); nothing at all is said of
 * a request whose X-If-Delete-At does not fit. */
static void tell_and_answer(struct delete *d, bool deleted)
{
    const struct tell tell = {d->request, &d->target, d->timestamp, answer_in_swift, d};
    if (d->bare)
        answer_in_swift(d);
    else
        tell_delete(&tell, d->old_expiry, deleted);
}

static void answer_in_plain(struct delete *d)
{
    struct request *r = d->request;
    if (d->status == 204) {
        reply_begin(r, 204);
        reply_send(r, NULL, 0);
        request_done(r);
    } else {
        answer_plain(r, d->status,
                     d->status == 404 ? "there is no object with this key"
                                      : "the object is not as If-Match, If-None-Match or "
                                        "If-Unmodified-Since want it: nothing was deleted");
    }
}

static void on_finished(void *arg, int res)
{
    struct delete *d = arg;
    struct request *r = d->request;
    df_upload_times(d->upload, d->times, sizeof d->times);
    r->times = d->times;
    df_upload_each_step(d->upload, metrics_step, r->loop->metrics);
    turn_give(&d->turn);
    if (res == -ESTALE && ++d->tries < STALE_TRIES) {
        delete_start(d);
    } else if (res == 0 || res == -EPERM) {
        if (d->target.plain)
            answer_in_plain(d);
        else
            tell_and_answer(d, res == 0);
    } else {
        metadata_release(&d->found);
        answer_errno(r, res, d->target.name.device);
    }
}

/* ---- start ---- */

static void on_gone(struct request *r)
{
    /* finished() is still to come; the reply is a no-op then. */
}

static const char *step_of(const struct request *r)
{
    return "writing tombstone";
}

static const struct handler delete_handler = {.name = "DELETE", .gone = on_gone, .step = step_of};

static void commit(struct delete *d)
{
    struct metadata m = {0};
    if (metadata_set_timestamp(&m, "X-Timestamp", d->timestamp) == 0 &&
        metadata_set_name(&m, &d->target.name) == 0)
        df_upload_commit(d->upload, &m);
    else
        df_upload_abort(d->upload);
    metadata_release(&m);
}

static void begin(void *arg)
{
    struct delete *d = arg;
    struct loop *loop = d->request->loop;
    const struct df_upload_calls calls = {.judge = d->target.plain ? judge_plain : judge_swift,
                                          .finished = on_finished};
    if (d->target.plain)
        d->timestamp = df_store_clock(loop->store, d->seen);
    struct df_upload_spec spec = {.kind = DF_UPLOAD_TOMBSTONE,
                                  .timestamp = d->timestamp,
                                  .size = -1,
                                  .now = d->timestamp,
                                  .next_part_power =
                                      d->target.plain ? 0 : next_part_power(d->request),
                                  .recheck = d->target.plain};
    d->upload = df_upload_begin(loop->disk, &d->target.name, &spec, &calls, d);
    if (d->upload)
        commit(d);
    else {
        turn_give(&d->turn);
        answer_status(d->request, 500);
    }
}

static void delete_start(struct delete *d)
{
    if (d->target.plain)
        turn_take(&d->turn, d->request->loop, &d->target.name, begin, d);
    else
        begin(d);
}

static struct delete *delete_new(struct request *r, const struct target *target)
{
    struct delete *d = arena_alloc(r->arena, sizeof *d);
    if (!d) {
        answer_status(r, 500);
        return NULL;
    }
    d->request = r;
    d->target = *target;
    r->handler = &delete_handler;
    r->state = d;
    return d;
}

void delete_swift(struct request *r, const struct target *target)
{
    const struct timestamp none = {0};
    struct timestamp ts;
    struct refusal why;
    if (!check_timestamp(r, false, none, &ts, &why)) {
        answer_refusal(r, &why);
        return;
    }
    struct delete *d = delete_new(r, target);
    if (!d)
        return;
    d->timestamp = ts;
    d->if_delete_at = request_header(r, "X-If-Delete-At");
    delete_start(d);
}

void delete_plain(struct request *r, const struct target *target)
{
    struct delete *d = delete_new(r, target);
    if (!d)
        return;
    d->conditions = conditions_of(r);
    delete_start(d);
}
