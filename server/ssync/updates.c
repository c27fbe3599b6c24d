/* SPDX-License-Identifier: Apache-2.0 */
/* updates.c -- the updates: each subrequest becomes a request of its own (http/subrequest.h) that
 * goes to the ordinary verbs; what they answer is counted. */
#include "server/http/status.h"
#include "server/node/config.h"
#include "server/node/log.h"
#include "server/ssync/session.h"
#include "server/verbs/verbs.h"
#include <errno.h>
#include <inttypes.h>

/* ---- the body, from the stream to the verb ---- */

/* As much as is here and the verb takes. */
static void feed(struct session *s)
{
    struct updates *u = &s->updates;
    u->feeding = true;
    while (u->running && subrequest_wants(u->part)) {
        struct slice here = lines_bytes(&s->in);
        if (u->left == 0) {
            subrequest_end(u->part);
            continue;
        }
        if (here.len == 0)
            break;
        size_t len = here.len < u->left ? here.len : (size_t)u->left;
        u->left -= len;
        lines_skip(&s->in, len);
        subrequest_data(u->part, here.at, len);
    }
    u->feeding = false;
}

static void on_wants(void *arg)
{
    struct session *s = arg;
    if (s->updates.feeding) /* whoever feeds goes on; nothing may move the bytes he is lending */
        return;
    feed(s);
    session_run(s);
}

static size_t bytes_here(const void *arg)
{
    return lines_bytes(&((const struct session *)arg)->in).len;
}

static void on_over(void *arg)
{
    struct session *s = arg;
    s->updates.running = false;
    if (!s->updates.feeding) /* else whoever feeds goes on */
        session_run(s);
}

static const struct subrequest_calls calls = {
    .wants = on_wants, .have = bytes_here, .over = on_over};

/* ---- the head ---- */

static bool start_part(struct session *s, struct slice line)
{
    struct updates *u = &s->updates;
    struct loop *loop = s->request->loop;
    if (u->part == NULL)
        u->part = subrequest_new(loop, &calls, s);
    if (u->part == NULL) {
        session_fail(s, 0, "%s", strerror(ENOMEM));
        return false;
    }
    struct request *r = subrequest_reset(u->part);
    size_t limit = (size_t)loop->config->max_head_size;
    if (part_head_begin(&u->head, r->arena, limit, line) == PART_BAD) {
        session_fail(s, 0, "%s", u->head.problem);
        return false;
    }
    s->step = STEP_PART_HEAD;
    return true;
}

bool updates_line(struct session *s)
{
    struct slice line;
    enum input input = session_line(s, &line);
    if (input == INPUT_MORE)
        return false;
    if (input == INPUT_END ||
        (input == INPUT_LINE && slice_eq(line_strip(line), SLICE(":UPDATES: END"))))
        s->step = STEP_FAREWELL;
    else if (input == INPUT_LINE)
        (void)start_part(s, line);
    return true;
}

static void add(struct request *r, const char *name, struct slice value)
{
    r->headers[r->header_count++] = (struct header){slice_of(name), value};
}

static bool is_ours(struct slice name)
{
    static const char *const names[] = {"X-Backend-Storage-Policy-Index", "X-Backend-Replication",
                                        "X-Backend-Ssync-Frag-Index",
                                        "X-Backend-Replication-Headers"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (slice_eq_nocase(name, slice_of(names[i])))
            return true;
    return false;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static size_t unquote(struct slice path, char *to)
{
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        bool quoted = path.at[i] == '%' && i + 2 < path.len && hex_value(path.at[i + 1]) >= 0 &&
                      hex_value(path.at[i + 2]) >= 0;
        to[len++] = quoted ? (char)(hex_value(path.at[i + 1]) * 16 + hex_value(path.at[i + 2]))
                           : path.at[i];
        i += quoted ? 2 : 0;
    }
    return len;
}

/* "/device/partition" and what the subrequest says, up to a '?'. */
static bool set_path(struct session *s, struct request *r)
{
    const struct df_partition *p = &s->partition;
    struct slice path = s->updates.head.path;
    const char *mark = path.len > 0 ? memchr(path.at, '?', path.len) : NULL;
    if (mark != NULL)
        path.len = (size_t)(mark - path.at);
    size_t base = p->device.len + p->partition.len + 2;
    char *decoded = arena_alloc(r->arena, base + path.len + 1);
    char *target = arena_printf(r->arena, "/%.*s/%.*s%.*s", (int)p->device.len, p->device.at,
                                (int)p->partition.len, p->partition.at, (int)path.len, path.at);
    if (decoded == NULL || target == NULL)
        return false;
    memcpy(decoded, target, base);
    r->path = (struct slice){decoded, base + unquote(path, decoded + base)};
    r->target = slice_of(target);
    r->query = SLICE("");
    return true;
}

/* What Swift's receiver adds: every header of the subrequest is stored, of these only an equal
 * fragment is in the way, and nobody is told. */
static bool set_headers(struct session *s, struct request *r)
{
    const struct part_head *h = &s->updates.head;
    const char *stored = part_head_stored_names(h);
    const char *policy = arena_printf(r->arena, "%u", s->partition.policy);
    const char *index = arena_printf(r->arena, "%d", s->wish.index);
    r->headers = arena_alloc(r->arena, (h->count + 4) * sizeof(*r->headers));
    if (r->headers == NULL || stored == NULL || policy == NULL || index == NULL)
        return false;
    add(r, "X-Backend-Storage-Policy-Index", slice_of(policy));
    add(r, "X-Backend-Replication", SLICE("True"));
    if (s->has_index)
        add(r, "X-Backend-Ssync-Frag-Index", slice_of(index));
    if (*stored != '\0')
        add(r, "X-Backend-Replication-Headers", slice_of(stored));
    for (unsigned i = 0; i < h->count; i++)
        if (!is_ours(h->headers[i].name))
            r->headers[r->header_count++] = h->headers[i];
    return true;
}

static bool dispatch(struct session *s)
{
    struct updates *u = &s->updates;
    struct request *r = subrequest_request(u->part);
    const struct part_head *h = &u->head;
    if (!set_path(s, r) || !set_headers(s, r)) {
        session_fail(s, 0, "%s", strerror(ENOMEM));
        return true;
    }
    r->method = h->method;
    r->peer = SLICE("-");
    r->log_policy = arena_printf(r->arena, "%u", s->partition.policy);
    r->has_length = h->has_length;
    r->content_length = h->content_length;
    u->left = h->content_length;
    u->running = true;
    s->step = STEP_PART_BODY;
    router_dispatch_part(r);
    return true;
}

bool updates_head(struct session *s)
{
    struct part_head *h = &s->updates.head;
    struct slice line;
    enum input input = session_line(s, &line);
    if (input == INPUT_MORE)
        return false;
    if (input == INPUT_BAD)
        return true;
    enum part_verdict verdict = input == INPUT_END ? PART_BAD : part_head_add(h, line);
    if (input == INPUT_END)
        h->problem = arena_printf(h->arena, "Got no headers for %s %s", h->method.at, h->path.at);
    if (verdict == PART_WHOLE) {
        h->problem = part_head_check(h);
        verdict = h->problem != NULL ? PART_BAD : PART_WHOLE;
    }
    if (verdict == PART_BAD)
        session_fail(s, 0, "%s", h->problem != NULL ? h->problem : strerror(ENOMEM));
    else if (verdict == PART_WHOLE)
        return dispatch(s);
    return true;
}

/* ---- the verb has it ---- */

bool updates_body(struct session *s)
{
    struct updates *u = &s->updates;
    feed(s);
    if (!u->running) {
        s->step = STEP_PART_REST;
        return true;
    }
    if (!subrequest_wants(u->part))
        return false; /* the disk's turn */
    if (s->ended) {
        u->left = 0;
        subrequest_fail(u->part, -ECONNRESET);
        return true;
    }
    s->hungry = true;
    return false;
}

void updates_fail_part(struct session *s, int err)
{
    if (s->updates.running)
        subrequest_fail(s->updates.part, err);
}

/* An object that is not there to be deleted or changed is as the sender wants it. */
static bool went_well(int status)
{
    return (status >= 200 && status < 300) || status == 404;
}

static bool too_many_failures(const struct session *s)
{
    const struct config *c = s->request->loop->config;
    const struct updates *u = &s->updates;
    return u->failures >= (uint64_t)c->replication_failure_threshold &&
           (u->successes == 0 ||
            (double)u->failures / (double)u->successes > c->replication_failure_ratio);
}

static void count(struct session *s)
{
    struct updates *u = &s->updates;
    const struct request *r = subrequest_request(u->part);
    struct slice said = subrequest_reply(u->part);
    if (went_well(r->status)) {
        u->successes++;
    } else {
        u->failures++;
        log_line(LOG_LEVEL_WARNING, "ssync subrequest failed with %d: %.*s %.*s (%.*s)", r->status,
                 (int)r->method.len, r->method.at, (int)r->target.len, r->target.at, (int)said.len,
                 said.at);
    }
}

bool updates_rest(struct session *s)
{
    struct updates *u = &s->updates;
    if (u->piece == 0) {
        u->piece = 1;
        count(s);
        if (too_many_failures(s)) {
            session_fail(s, 0, "Too many %" PRIu64 " failures to %" PRIu64 " successes",
                         u->failures, u->successes);
            return true;
        }
    }
    size_t here = lines_bytes(&s->in).len, len = here < u->left ? here : (size_t)u->left;
    lines_skip(&s->in, len);
    u->left -= len;
    if (u->left > 0 && !s->ended) {
        s->hungry = true;
        return false;
    }
    if (u->left > 0) { /* of a body that nobody wanted: Swift says nothing then either */
        session_cut_short(s);
        return true;
    }
    u->piece = 0;
    s->step = STEP_PART_LINE;
    return true;
}

bool updates_farewell(struct session *s)
{
    struct updates *u = &s->updates;
    if (!s->writable)
        return false;
    if (u->failures > 0) {
        session_fail(s, 500, "ERROR: With :UPDATES: %" PRIu64 " failures to %" PRIu64 " successes",
                     u->failures, u->successes);
        return true;
    }
    if (u->piece++ == 0)
        session_say_text(s, ":UPDATES: START\r\n");
    else if (u->piece == 2)
        session_say_text(s, ":UPDATES: END\r\n");
    else {
        reply_end(s->request);
        s->step = STEP_OVER;
    }
    return true;
}

void updates_release(struct session *s)
{
    subrequest_free(s->updates.part);
    s->updates.part = NULL;
}
