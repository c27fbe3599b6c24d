/* SPDX-License-Identifier: Apache-2.0 */
/* get.c -- GET and HEAD, both modes (http-api 9 to 11). */
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include "server/verbs/answer.h"
#include "server/verbs/comma_list.h"
#include "server/verbs/footers.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/object_headers.h"
#include "server/verbs/send.h"
#include "server/verbs/target.h"
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#define READ_AHEAD 65536

struct get {
    struct request *request;
    struct target target;
    struct df_object *object;
    struct conditions conditions;
    bool open_expired;
    struct fragment_wish wish;
    bool bad_wish; /* answered after what the disk may have to say */
    bool gone;
    char times[64];
};

/* ---- small pieces ---- */

static void close_and(struct get *g, void (*answer)(struct request *r))
{
    struct request *r = g->request;
    df_object_each_step(g->object, metrics_step, r->loop->metrics);
    df_object_close(g->object);
    answer(r);
}

/* The etag that conditions are compared with (X-Backend-Etag-Is-At). */
static struct slice effective_etag(const struct get *g, const struct metadata *m)
{
    struct slice names = request_header_value(g->request, "X-Backend-Etag-Is-At"), name;
    while (!g->target.plain && names.len > 0 && comma_list_next(&names, &name)) {
        const struct slice *value = metadata_get_nocase(m, name);
        if (value)
            return *value;
    }
    return metadata_value(m, "ETag");
}

static bool range_is_ignored(const struct get *g, const struct metadata *m,
                             const struct validators *v)
{
    const struct request *r = g->request;
    struct slice names = request_header_value(r, "X-Backend-Ignore-Range-If-Metadata-Present");
    struct slice name;
    if (g->target.plain)
        return !if_range_holds(request_header_value(r, "If-Range"), v);
    while (names.len > 0 && comma_list_next(&names, &name))
        if (metadata_get_nocase(m, name))
            return true;
    return false;
}

static void object_headers(const struct get *g, const char *content_type)
{
    const struct df_info *info = df_object_info(g->object);
    (g->target.plain ? reply_plain_headers : reply_object_headers)(g->request, info, content_type);
}

static bool make_boundary(char boundary[RANGE_BOUNDARY_LEN + 1])
{
    unsigned char random[RANGE_BOUNDARY_LEN / 2];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return false;
    for (unsigned i = 0; i < sizeof random; i++)
        sprintf(boundary + 2 * i, "%02x", random[i]);
    return true;
}

/* ---- not there ---- */

static void answer_absent(struct get *g)
{
    struct request *r = g->request;
    struct df_info info = *df_object_info(g->object);
    struct validators v = {.found = false};
    df_object_each_step(g->object, metrics_step, r->loop->metrics);
    df_object_close(g->object);
    if (g->target.plain) {
        answer_missing(r);
        return;
    }
    int status = conditions_swift(&g->conditions, &v);
    reply_begin(r, status ? status : 404);
    if (info.state == DF_DELETED || info.state == DF_EXPIRED)
        reply_timestamp(r, "X-Backend-Timestamp", info.timestamp);
    if (status)
        answer_with_nothing(r);
    else
        answer_with_default(r, 404);
}

/* ---- there ---- */

/* 304, or 412 with the object's headers. */
static void answer_condition(struct get *g, int status)
{
    struct request *r = g->request;
    uint64_t size = df_object_info(g->object)->size;
    reply_begin(r, status);
    object_headers(g, NULL);
    if (g->target.plain && status == 304)
        reply_send_head(r, size); /* as the 200 would have had */
    else
        reply_send(r, NULL, 0);
    close_and(g, request_done);
}

static void answer_unsatisfiable(struct get *g)
{
    static const char swift_text[] = "<html><h1>Requested Range Not Satisfiable</h1><p>The Range "
                                     "requested is not available.</p></html>";
    static const char plain_text[] = "no part of the object lies in the range asked for, or "
                                     "there are too many ranges\n";
    struct request *r = g->request;
    const char *text = g->target.plain ? plain_text : swift_text;
    reply_begin(r, 416);
    object_headers(g, g->target.plain ? "text/plain; charset=utf-8" : NULL);
    reply_headerf(r, "Content-Range", "bytes */%llu",
                  (unsigned long long)df_object_info(g->object)->size);
    reply_send(r, text, strlen(text));
    close_and(g, request_done);
}

static void answer_head(struct get *g)
{
    reply_begin(g->request, 200);
    object_headers(g, NULL);
    reply_send_head(g->request, df_object_info(g->object)->size);
    close_and(g, request_done);
}

static void answer_whole(struct get *g, struct range_set *set)
{
    struct request *r = g->request;
    const uint64_t size = df_object_info(g->object)->size;
    reply_begin(r, 200);
    object_headers(g, NULL);
    if (size == 0) {
        reply_send(r, NULL, 0);
        close_and(g, request_done);
        return;
    }
    set->items[0] = (struct byte_range){0, size};
    set->count = 1;
    send_object(r, g->object, g->target.name.device, set, NULL);
}

static void answer_ranges(struct get *g, const struct range_set *set)
{
    struct request *r = g->request;
    const struct df_info *info = df_object_info(g->object);
    struct multipart *m = NULL;
    if (set->count > 1) {
        m = arena_alloc(r->arena, sizeof *m);
        if (!m || !make_boundary(m->boundary)) {
            df_object_close(g->object);
            answer_status(r, 500);
            return;
        }
        m->content_type = object_content_type(info);
        m->size = info->size;
    }
    reply_begin(r, 206);
    object_headers(g, m ? arena_printf(r->arena, "multipart/byteranges;boundary=%s", m->boundary)
                        : NULL);
    if (!m)
        reply_headerf(r, "Content-Range", "bytes %llu-%llu/%llu",
                      (unsigned long long)set->items[0].start,
                      (unsigned long long)set->items[0].end - 1, (unsigned long long)info->size);
    send_object(r, g->object, g->target.name.device, set, m);
}

static void answer_found(struct get *g)
{
    struct request *r = g->request;
    const struct df_info *info = df_object_info(g->object);
    struct validators v = {.found = true,
                           .etag = effective_etag(g, info->metadata),
                           .last_modified_s = (int64_t)timestamp_ceil_s(info->timestamp)};
    int status = g->target.plain ? conditions_rfc9110(&g->conditions, &v, true)
                                 : conditions_swift(&g->conditions, &v);
    if (status) {
        answer_condition(g, status);
        return;
    }
    if (is_head(r)) {
        answer_head(g);
        return;
    }
    struct range_set *set = arena_alloc(r->arena, sizeof *set);
    unsigned room = (unsigned)r->loop->config->max_ranges;
    struct slice header = request_header_value(r, "Range");
    if (header.len == 0)
        room = 1;
    if (set)
        set->items = arena_alloc(r->arena, room * sizeof *set->items);
    if (!set || !set->items) {
        df_object_close(g->object);
        answer_status(r, 500);
        return;
    }
    set->room = room;
    enum range_verdict verdict = RANGE_IGNORED;
    if (header.len > 0 && !range_is_ignored(g, info->metadata, &v))
        verdict = range_parse(header, info->size, set);
    if (verdict == RANGE_UNSATISFIABLE)
        answer_unsatisfiable(g);
    else if (verdict == RANGE_SATISFIABLE)
        answer_ranges(g, set);
    else
        answer_whole(g, set);
}

/* ---- opening ---- */

static void on_opened(void *arg, struct df_object *o, int res)
{
    struct get *g = arg;
    struct request *r = g->request;
    if (r->loop->config->log_times) {
        df_object_times(o, g->times, sizeof g->times);
        r->times = g->times;
    }
    if (res < 0) { /* the object frees itself */
        answer_errno(r, res, g->target.name.device);
        return;
    }
    g->object = o;
    if (g->gone) {
        close_and(g, request_done);
        return;
    }
    if (g->bad_wish) {
        df_object_close(o);
        answer_status(r, 500);
        return;
    }
    const struct df_info *info = df_object_info(o);
    if (info->state == DF_LIVE || (info->state == DF_EXPIRED && g->open_expired))
        answer_found(g);
    else
        answer_absent(g);
}

static void on_gone(struct request *r)
{
    struct get *g = r->state;
    g->gone = true; /* opened() is still to come */
}

static const char *step_of(const struct request *r)
{
    return "opening";
}

static const struct handler get_handler = {.name = "GET", .gone = on_gone, .step = step_of};

/* Swift neither verifies nor quarantines when a part is asked for, so nothing is read ahead. */
static size_t read_ahead_of(const struct get *g)
{
    const struct request *r = g->request;
    if (is_head(r) || (!g->target.plain && request_header(r, "Range")))
        return 0;
    return READ_AHEAD;
}

/* What one user fetches with a token will hardly be fetched again. */
static bool drops_cache(const struct get *g)
{
    const struct request *r = g->request;
    return !g->target.plain && !r->loop->config->keep_cache_private &&
           (request_header(r, "X-Auth-Token") || request_header(r, "X-Storage-Token"));
}

/* X-Backend-Fragment-Preferences. What is not JSON counts as absent. */
static const struct fragment_wish *read_wish(struct get *g)
{
    const struct request *r = g->request;
    const struct slice *text = request_header(r, "X-Backend-Fragment-Preferences");
    if (g->target.plain || !text ||
        !config_policy(r->loop->config, g->target.name.policy)->df.erasure_coded)
        return NULL;
    int res = fragment_preferences_parse(r->arena, *text, &g->wish);
    g->bad_wish = res < 0 && res != -EINVAL;
    return g->wish.any ? &g->wish : NULL;
}

void get_start(struct request *r, const struct target *target)
{
    struct refusal why;
    struct df_open_spec spec = {.now = df_now()};
    if (!target->plain && !check_timestamp(r, true, spec.now, &spec.now, &why)) {
        answer_refusal(r, &why);
        return;
    }
    struct get *g = arena_alloc(r->arena, sizeof *g);
    if (!g) {
        answer_status(r, 500);
        return;
    }
    g->request = r;
    g->target = *target;
    g->conditions = conditions_of(r);
    g->open_expired = !target->plain && request_header_true(r, "X-Backend-Replication");
    r->handler = &get_handler;
    r->state = g;
    spec.open_expired = g->open_expired;
    spec.read_ahead = read_ahead_of(g);
    spec.info_only = is_head(r);
    spec.drop_cache = drops_cache(g);
    spec.wish = read_wish(g);
    if (g->bad_wish) { /* nothing will be read, so nothing is to be found damaged */
        spec.info_only = true;
        spec.read_ahead = 0;
    }
    struct df_object *hot = df_open_hot(r->loop->disk, &g->target.name, &spec, g);
    if (hot)
        on_opened(g, hot, 0);
    else if (!df_open(r->loop->disk, &g->target.name, &spec, on_opened, g))
        answer_status(r, 500);
}
