/* SPDX-License-Identifier: Apache-2.0 */
/* post.c -- POST: new metadata for an object that is there (http-api 12).
 *
 * A .meta file is written without a body; what it holds depends on what the judge finds:
 *
 *   begin -> judge (pool thread: 404, 409, or copies what is needed) -> began -> merge -> commit
 *
 * Swift's form merges as http-api 12 says. Stand-alone, X-Object-Meta-* are replaced, the
 * other stored headers kept unless sent again, and the server gives the time: a judge that runs
 * again under the lock and finds another version answers -ESTALE, and all is done again. */
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include "server/updates/queue_row.h"
#include "server/updates/tell.h"
#include "server/verbs/answer.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/object_headers.h"
#include "server/verbs/target.h"
#include "server/verbs/turns.h"
#include <errno.h>

#define STALE_TRIES 100

struct post {
    struct request *request;
    struct target target;
    struct df_upload *upload;
    struct timestamp timestamp;       /* R */
    struct timestamp ctype_timestamp; /* Rc; zero: no content type was sent */
    struct slice content_type;        /* sent, or empty */
    struct slice delete_at;           /* checked text, or empty */
    struct conditions conditions;     /* stand-alone */

    /* The judge's, written on a pool thread before began(). */
    int verdict;
    bool looked; /* stand-alone: the first look is done */
    struct timestamp seen, seen_ctype;
    struct timestamp seen_data;
    bool ctype_from_meta;
    int64_t old_expiry;                 /* X-Delete-At in seconds; 0: none */
    struct metadata merged, data, meta; /* copies; meta is empty without a .meta */

    struct slice reply_type; /* the content type that holds now, once merged */
    const char *told_type;   /* X-Backend-Content-Type */
    bool commit_failed;
    struct turn turn; /* stand-alone */
    unsigned tries;
    char times[256];
};

static void post_start(struct post *p);

/* ---- on a pool thread ---- */

static int copy_state(struct post *p, const struct df_info *info)
{
    int res = metadata_copy(&p->merged, info->metadata);
    if (res == 0)
        res = metadata_copy(&p->data, info->data_metadata);
    if (res == 0 && info->meta_metadata)
        res = metadata_copy(&p->meta, info->meta_metadata);
    return res;
}

static void note_state(struct post *p, const struct df_info *info)
{
    p->seen = info->timestamp;
    p->seen_ctype = info->ctype_timestamp;
    p->seen_data = info->data_timestamp;
    p->ctype_from_meta = info->ctype_from_meta;
}

static int refuse(struct post *p, int status)
{
    p->verdict = status;
    return -EPERM;
}

static bool is_there(const struct request *r, const struct df_info *info)
{
    return info->state == DF_LIVE ||
           (info->state == DF_EXPIRED && request_header_true(r, "X-Backend-Replication"));
}

static int judge_swift(void *arg, struct df_upload *u, const struct df_info *info)
{
    struct post *p = arg;
    if (!is_there(p->request, info))
        return refuse(p, 404);
    note_state(p, info);
    p->old_expiry = queue_time_of(metadata_value(info->metadata, "X-Delete-At"));
    if (timestamp_cmp(info->timestamp, p->timestamp) >= 0 &&
        timestamp_cmp(info->ctype_timestamp, p->ctype_timestamp) >= 0)
        return refuse(p, 409);
    return copy_state(p, info);
}

static int judge_plain(void *arg, struct df_upload *u, const struct df_info *info)
{
    struct post *p = arg;
    struct validators v = {.found = info->state == DF_LIVE,
                           .etag = metadata_value(info->metadata, "ETag"),
                           .last_modified_s = (int64_t)timestamp_ceil_s(info->timestamp)};
    int verdict = conditions_rfc9110(&p->conditions, &v, false);
    if (verdict || !v.found)
        return refuse(p, verdict ? verdict : 404);
    if (p->looked) /* under the lock: is it still what was merged? */
        return timestamp_cmp(info->timestamp, p->seen) == 0 ? 0 : -ESTALE;
    p->looked = true;
    note_state(p, info);
    return copy_state(p, info);
}

/* ---- merging ---- */

static int set_content_type(struct post *p, struct metadata *m, struct slice type,
                            struct timestamp ts)
{
    int res = metadata_set(m, SLICE("Content-Type"), type);
    df_upload_set_ctype_timestamp(p->upload, ts);
    return res == 0 ? metadata_set_timestamp(m, "Content-Type-Timestamp", ts) : res;
}

/* The content type that is current after this POST, and who says so. */
static int merge_content_type(struct post *p, struct metadata *m)
{
    struct slice current = metadata_value(&p->merged, "Content-Type");
    bool is_new = timestamp_cmp(p->ctype_timestamp, p->seen_ctype) > 0;
    p->reply_type = is_new ? p->content_type : current;
    if (is_new)
        return set_content_type(p, m, p->content_type, p->ctype_timestamp);
    return p->ctype_from_meta ? set_content_type(p, m, current, p->seen_ctype) : 0;
}

/* Replication sends the content type's time along and it is stored as it is, even if the content
 * type that is there stays; then the file's name says so, as with Swift. */
static void name_content_type(struct post *p, const struct metadata *m)
{
    struct timestamp ts;
    if (timestamp_parse(metadata_value(m, "Content-Type-Timestamp"), &ts) == 0)
        df_upload_set_ctype_timestamp(p->upload, ts);
}

static int merge_swift(struct post *p, struct metadata *m)
{
    int res;
    if (timestamp_cmp(p->timestamp, p->seen) > 0) {
        res = metadata_set_timestamp(m, "X-Timestamp", p->timestamp);
        if (res == 0)
            res = metadata_from_request(p->request, META_OF_POST, m);
        if (p->delete_at.len == 0)
            metadata_remove(m, SLICE("X-Delete-At")); /* empty is as good as absent */
    } else { /* only the content type is new: all else stays, its time too */
        res = p->meta.count ? metadata_copy(m, &p->meta)
                            : metadata_set_timestamp(m, "X-Timestamp", p->seen);
        metadata_remove(m, SLICE("Content-Type"));
        metadata_remove(m, SLICE("Content-Type-Timestamp"));
        df_upload_set_timestamp(p->upload, p->seen);
    }
    name_content_type(p, m);
    return res == 0 ? merge_content_type(p, m) : res;
}

static bool is_file_key(struct slice key)
{
    static const char *const keys[] = {"X-Timestamp",  "Content-Length",         "ETag",
                                       "Content-Type", "Content-Type-Timestamp", "name"};
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        if (slice_eq(key, slice_of(keys[i])))
            return true;
    return false;
}

static int merge_plain(struct post *p, struct metadata *m)
{
    p->timestamp = df_store_clock(p->request->loop->store, p->seen);
    p->ctype_timestamp = p->content_type.len ? p->timestamp : (struct timestamp){0};
    df_upload_set_timestamp(p->upload, p->timestamp);
    int res = metadata_set_timestamp(m, "X-Timestamp", p->timestamp);
    for (unsigned i = 0; res == 0 && i < p->merged.count; i++) {
        const struct metadata_item *item = &p->merged.items[i];
        if (!is_user_meta(item->key) && !is_file_key(item->key))
            res = metadata_set(m, item->key, item->value);
    }
    if (res == 0)
        res = metadata_from_request(p->request, META_OF_PLAIN, m);
    return res == 0 ? merge_content_type(p, m) : res;
}

static void merge_and_commit(void *arg)
{
    struct post *p = arg;
    struct metadata m = {0};
    int res = (p->target.plain ? merge_plain : merge_swift)(p, &m);
    if (res == 0)
        res = metadata_set_name(&m, &p->target.name);
    if (res == 0) {
        df_upload_commit(p->upload, &m);
    } else {
        p->commit_failed = true;
        df_upload_abort(p->upload);
    }
    metadata_release(&m);
}

/* The queue learns of a new expiry before the object has it: no object expires unseen. */
static void on_began(void *arg)
{
    struct post *p = arg;
    const struct tell tell = {p->request, &p->target, p->timestamp, merge_and_commit, p};
    if (p->target.plain || timestamp_cmp(p->timestamp, p->seen) <= 0)
        merge_and_commit(p);
    else
        tell_post_queue(&tell, p->old_expiry, queue_time_of(p->delete_at));
}

/* ---- the reply ---- */

static void release_copies(struct post *p)
{
    metadata_release(&p->merged);
    metadata_release(&p->data);
    metadata_release(&p->meta);
}

/* ";swift_bytes=N" of the data file's type, which SLO put there, must not get lost. */
static struct slice swift_bytes_of(struct slice type)
{
    const struct slice mark = SLICE(";swift_bytes=");
    for (size_t i = 0; i + mark.len <= type.len; i++) {
        if (memcmp(type.at + i, mark.at, mark.len) != 0)
            continue;
        const char *end = memchr(type.at + i + 1, ';', type.len - i - 1);
        return (struct slice){type.at + i, end ? (size_t)(end - type.at) - i : type.len - i};
    }
    return (struct slice){"", 0};
}

/* The content type that holds now, as others are told it. NULL: no memory. */
static const char *told_type(struct post *p)
{
    bool from_data = timestamp_cmp(p->ctype_timestamp, p->seen_ctype) <= 0 && !p->ctype_from_meta;
    struct slice bytes = swift_bytes_of(metadata_value(&p->data, "Content-Type"));
    return arena_printf(p->request->arena, "%.*s%.*s", (int)p->reply_type.len, p->reply_type.at,
                        from_data ? 0 : (int)bytes.len, bytes.at);
}

static void answer_accepted(void *arg)
{
    struct post *p = arg;
    struct request *r = p->request;
    reply_begin(r, 202);
    reply_header(r, "X-Backend-Content-Type", slice_of(p->told_type));
    for (unsigned i = 0; i < p->merged.count; i++) {
        const struct metadata_item *item = &p->merged.items[i];
        char *name = is_sysmeta(item->key) ? arena_text(r->arena, item->key) : NULL;
        if (name)
            reply_header(r, name, item->value);
    }
    release_copies(p);
    answer_with_default(r, 202);
}

static void tell_and_answer(struct post *p)
{
    bool new_type = timestamp_cmp(p->ctype_timestamp, p->seen_ctype) > 0;
    bool new_meta = timestamp_cmp(p->timestamp, p->seen) > 0;
    const struct tell tell = {p->request, &p->target, p->timestamp, answer_accepted, p};
    p->told_type = told_type(p);
    if (!p->told_type)
        p->told_type = "";
    const struct post_facts facts = {.stored = &p->merged,
                                     .content_type = slice_of(p->told_type),
                                     .data_timestamp = p->seen_data,
                                     .ctype_timestamp =
                                         new_type ? p->ctype_timestamp : p->seen_ctype,
                                     .meta_timestamp = new_meta ? p->timestamp : p->seen};
    tell_post(&tell, &facts);
}

static void answer_refused(struct post *p)
{
    struct request *r = p->request;
    if (p->target.plain && p->verdict == 404) {
        answer_missing(r);
        return;
    }
    if (p->target.plain) {
        answer_plain(r, p->verdict,
                     "the object is not as If-Match, If-None-Match or If-Unmodified-Since want it: "
                     "nothing was changed");
        return;
    }
    reply_begin(r, p->verdict);
    if (p->verdict == 409)
        reply_timestamp(r, "X-Backend-Timestamp", p->seen);
    answer_with_default(r, p->verdict);
}

static void on_finished(void *arg, int res)
{
    struct post *p = arg;
    struct request *r = p->request;
    df_upload_times(p->upload, p->times, sizeof p->times);
    r->times = p->times;
    df_upload_each_step(p->upload, metrics_step, r->loop->metrics);
    turn_give(&p->turn);
    p->upload = NULL;
    if (res == 0 && !p->target.plain) {
        tell_and_answer(p);
        return;
    }
    release_copies(p);
    if (res == -ESTALE && ++p->tries < STALE_TRIES)
        post_start(p);
    else if (res == 0)
        answer_plain(r, 202, "the object's metadata has been replaced");
    else if (p->verdict)
        answer_refused(p);
    else if (p->commit_failed)
        answer_status(r, 500);
    else
        answer_errno(r, res, p->target.name.device);
}

/* ---- start ---- */

static void on_gone(struct request *r)
{
    /* finished() is still to come; the reply is a no-op then. */
}

static const char *step_of(const struct request *r)
{
    return "writing metadata";
}

static const struct handler post_handler = {.name = "POST", .gone = on_gone, .step = step_of};

static void begin(void *arg)
{
    struct post *p = arg;
    struct loop *loop = p->request->loop;
    const struct df_upload_calls calls = {.judge = p->target.plain ? judge_plain : judge_swift,
                                          .began = on_began,
                                          .finished = on_finished};
    p->looked = false;
    if (p->target.plain)
        p->timestamp = df_store_clock(loop->store, p->seen);
    struct df_upload_spec spec = {
        .kind = DF_UPLOAD_META,
        .timestamp = p->timestamp,
        .size = -1,
        .now = p->timestamp,
        .open_expired =
            !p->target.plain && request_header_true(p->request, "X-Backend-Replication"),
        .next_part_power = p->target.plain ? 0 : next_part_power(p->request),
        .recheck = p->target.plain};
    p->upload = df_upload_begin(loop->disk, &p->target.name, &spec, &calls, p);
    if (!p->upload) {
        turn_give(&p->turn);
        answer_status(p->request, 500);
    }
}

static void post_start(struct post *p)
{
    if (p->target.plain)
        turn_take(&p->turn, p->request->loop, &p->target.name, begin, p);
    else
        begin(p);
}

static struct post *post_new(struct request *r, const struct target *target)
{
    struct post *p = arena_alloc(r->arena, sizeof *p);
    if (!p) {
        answer_status(r, 500);
        return NULL;
    }
    p->request = r;
    p->target = *target;
    p->content_type = request_header_value(r, "Content-Type");
    r->handler = &post_handler;
    r->state = p;
    return p;
}

void post_swift(struct request *r, const struct target *target)
{
    const struct timestamp none = {0};
    struct refusal why;
    struct post *p = post_new(r, target);
    if (!p)
        return;
    if (!check_timestamp(r, false, none, &p->timestamp, &why) ||
        !check_post_expiry(r, p->timestamp, &p->delete_at, &why)) {
        answer_refusal(r, &why);
        return;
    }
    if (p->content_type.len > 0) {
        const struct slice *ts = request_header(r, "Content-Type-Timestamp");
        p->ctype_timestamp = p->timestamp;
        if (ts && timestamp_parse(*ts, &p->ctype_timestamp) < 0) {
            answer_refusal(r, &(struct refusal){.status = 400,
                                                .text = "Invalid Content-Type-Timestamp header"});
            return;
        }
    }
    post_start(p);
}

void post_plain(struct request *r, const struct target *target)
{
    struct refusal why;
    if (!check_metadata(r, r->loop->config, &why)) {
        answer_refusal(r, &why);
        return;
    }
    struct post *p = post_new(r, target);
    if (!p)
        return;
    p->conditions = conditions_of(r);
    post_start(p);
}
