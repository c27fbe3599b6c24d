/* SPDX-License-Identifier: Apache-2.0 */
/* session.c -- the life of a conversation: its steps, what comes in, what goes out, its end. */
#include "server/ssync/session.h"
#include "server/http/status.h"
#include "server/node/config.h"
#include "server/node/float_text.h"
#include "server/node/log.h"
#include "server/ssync/repr.h"
#include "server/ssync/ssync.h"
#include "server/verbs/answer.h"
#include "server/verbs/path.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- log ---- */

static void say_to_log(const struct session *s, enum log_level level, const char *what,
                       const char *text)
{
    log_line(level, "%.*s/%.*s/%.*s %s%s", (int)s->request->peer.len, s->request->peer.at,
             (int)s->partition.device.len, s->partition.device.at, (int)s->partition.partition.len,
             s->partition.partition.at, what, text);
}

/* What is waited for, as Swift calls it. */
static const char *const contexts[STEPS] = {
    [STEP_MISSING_START] = "missing_check start",
    [STEP_OFFERS] = "missing_check line",
    [STEP_LOOKING] = "missing_check line",
    [STEP_WANTED] = "updates start",
    [STEP_UPDATES_START] = "updates start",
    [STEP_PART_LINE] = "updates line",
    [STEP_PART_HEAD] = "updates line",
    [STEP_PART_BODY] = "updates content",
    [STEP_PART_REST] = "updates content",
    [STEP_FAREWELL] = "updates line",
};

static const char *context_of(const struct session *s)
{
    return contexts[s->step] != NULL ? contexts[s->step] : "start";
}

/* ---- output ---- */

static void on_ready(struct request *r)
{
    struct session *s = r->state;
    s->writable = true;
    if (s->step != STEP_OVER) /* else whoever ended it runs it */
        session_run(s);
}

void session_say(struct session *s, const char *at, size_t len)
{
    s->writable = false;
    reply_write(s->request, at, len);
}

void session_say_text(struct session *s, const char *text)
{
    session_say(s, text, strlen(text));
}

/* ---- the end ---- */

static void cut(struct session *s)
{
    s->step = STEP_OVER;
    if (s->replying)
        reply_cut(s->request);
}

void session_drop(struct session *s)
{
    if (s->step != STEP_OVER)
        cut(s);
}

/* Others are talking, which is as it should be: an operator need not know. */
static bool is_turned_away(const struct session *s)
{
    int err = s->admission.err;
    return s->step == STEP_ADMISSION && (err == 0 || err == -EAGAIN);
}

void session_fail(struct session *s, int code, const char *format, ...)
{
    struct arena *a = s->request->arena;
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        text = NULL;
    struct slice said = text != NULL ? (struct slice){text, (size_t)len} : SLICE("no memory");
    bool of_page = code >= 500; /* Swift: the body of a reply, which is bytes */
    const char *shown = of_page ? repr_bytes(a, said) : repr_text(a, said);
    const char *line = arena_printf(a, ":ERROR: %d %s\n", code, shown != NULL ? shown : "''");
    say_to_log(s, is_turned_away(s) ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
               "ssync receiver: ", text != NULL ? text : "no memory");
    free(text);
    if (s->step != STEP_OVER) {
        s->step = STEP_OVER;
        if (s->writable && line != NULL)
            session_say_text(s, line);
        cut(s);
    }
}

void session_cut_short(struct session *s)
{
    say_to_log(s, LOG_LEVEL_ERROR, "read failed in ssync.Receiver: ", context_of(s));
    session_drop(s);
}

static bool is_busy(const struct session *s)
{
    return s->checking || s->looking || s->updates.running;
}

/* S3. True: the session is no more. */
static bool finish(struct session *s)
{
    if (s->step != STEP_OVER || !admission_end(&s->admission) || is_busy(s))
        return false;
    missing_release(s);
    updates_release(s);
    lines_free(&s->in);
    s->finished = true;
    request_done(s->request);
    return true;
}

/* ---- input ---- */

/* After a line ends its time begins anew: who enumerates objects on a slow disk is not late. */
enum input session_line(struct session *s, struct slice *ret_line)
{
    enum line_verdict verdict = lines_next(&s->in, ret_line);
    if (verdict == LINE_WHOLE) {
        if (!s->ended)
            request_earned(s->request);
        return INPUT_LINE;
    }
    if (verdict == LINE_TOO_LONG) {
        session_fail(s, 0, "%s: line too long", context_of(s));
        return INPUT_BAD;
    }
    if (!s->ended) {
        s->hungry = true;
        return INPUT_MORE;
    }
    if (lines_bytes(&s->in).len == 0)
        return INPUT_END;
    session_fail(s, 0, "%s: missing newline at end of line", context_of(s));
    return INPUT_BAD;
}

bool session_expect(struct session *s, const char *start, enum session_step next)
{
    struct slice line;
    enum input input = session_line(s, &line);
    if (input == INPUT_MORE)
        return false;
    if (input == INPUT_END) {
        say_to_log(s, LOG_LEVEL_ERROR, "ssync client disconnected", "");
        session_drop(s);
    } else if (input == INPUT_LINE && slice_eq(line_strip(line), slice_of(start))) {
        s->step = next;
    } else if (input == INPUT_LINE) {
        line.len = line.len < 1024 ? line.len : 1024;
        const char *got = repr_bytes(s->request->arena, line);
        session_fail(s, 0, "Looking for %s got %s", start, got != NULL ? got : "?");
    }
    return true;
}

static bool on_data(struct request *r, const char *at, size_t len)
{
    struct session *s = r->state;
    if (s->step == STEP_OVER)
        return false;
    if (lines_add(&s->in, at, len) < 0)
        session_fail(s, 0, "%s", strerror(ENOMEM));
    bool nested = s->running;
    session_run(s);
    s->paused = nested || !s->hungry;
    return !s->paused;
}

static void on_end(struct request *r)
{
    struct session *s = r->state;
    s->ended = true;
    session_run(s);
}

static void too_late(struct session *s)
{
    char text[FLOAT_TEXT_MAX];
    double seconds = s->request->loop->config->client_timeout;
    session_fail(s, 408, "%s second%s: %s", float_text(seconds, text), seconds == 1 ? "" : "s",
                 context_of(s));
}

static void on_failed(struct request *r, int err)
{
    struct session *s = r->state;
    bool over = s->step == STEP_OVER;
    s->ended = true;
    if (err == -ETIMEDOUT && !over) {
        too_late(s);
    } else if (!over) {
        session_cut_short(s);
    }
    updates_fail_part(s, err); /* no other subrequest runs: it is over */
    session_run(s);
}

static const struct body_sink sink = {on_data, on_end, on_failed};

/* ---- steps that wait for others ---- */

static bool step_wait(struct session *s)
{
    return false;
}

static void on_admitted(void *arg, enum admission_result result)
{
    struct session *s = arg;
    struct admission *a = &s->admission;
    char text[FLOAT_TEXT_MAX];
    if (s->step == STEP_OVER) {
        session_run(s);
        return;
    }
    if (result == ADMISSION_GRANTED) {
        s->step = STEP_MISSING_START;
    } else if (result == ADMISSION_FULL) {
        session_fail(s, 503, "<html><h1>%s</h1><p>%s</p></html>", status_title(503),
                     status_text(503));
    } else if (result == ADMISSION_FAILED) {
        session_fail(s, 0, "%s", strerror(-a->err));
    } else {
        bool whole = a->waited_s == (double)(int64_t)a->waited_s;
        if (whole)
            (void)snprintf(text, sizeof(text), "%lld", (long long)a->waited_s);
        else
            (void)float_text(a->waited_s, text);
        session_fail(s, 0, "%s second%s: %s", text, a->waited_s == 1 ? "" : "s", a->held);
    }
    session_run(s);
}

static bool step_opening(struct session *s)
{
    if (!s->writable)
        return false;
    s->step = STEP_ADMISSION;
    session_say_text(s, "\r\n"); /* flushed before any lock: the sender waits 10 s at most */
    return true;
}

static bool step_admission(struct session *s)
{
    if (!s->writable || s->admission.loop != NULL)
        return false;
    admission_ask(&s->admission, s->request->loop, &s->partition, on_admitted, s);
    return true;
}

static bool step_missing_start(struct session *s)
{
    if (!s->writable)
        return false;
    if (!s->reading) {
        s->reading = true;
        request_read_body(s->request, &sink);
        if (s->step != STEP_MISSING_START)
            return true;
    }
    return session_expect(s, ":MISSING_CHECK: START", STEP_OFFERS);
}

static bool step_updates_start(struct session *s)
{
    return s->writable && session_expect(s, ":UPDATES: START", STEP_PART_LINE);
}

/* A verb that asks for its body only now will not be served. Nothing may be freed under it: S1. */
static bool step_over(struct session *s)
{
    updates_fail_part(s, -ECONNRESET);
    return false;
}

/* ---- the driver ---- */

static const struct {
    const char *name;
    bool (*run)(struct session *s);
} steps[STEPS] = {
    [STEP_CHECK] = {"check", step_wait},
    [STEP_OPENING] = {"opening", step_opening},
    [STEP_ADMISSION] = {"waiting for a lock", step_admission},
    [STEP_MISSING_START] = {"missing check", step_missing_start},
    [STEP_OFFERS] = {"offers", missing_offers},
    [STEP_LOOKING] = {"looking", step_wait},
    [STEP_WANTED] = {"wanted", missing_wanted},
    [STEP_UPDATES_START] = {"updates", step_updates_start},
    [STEP_PART_LINE] = {"next update", updates_line},
    [STEP_PART_HEAD] = {"head of an update", updates_head},
    [STEP_PART_BODY] = {"update", updates_body},
    [STEP_PART_REST] = {"rest of an update", updates_rest},
    [STEP_FAREWELL] = {"farewell", updates_farewell},
    [STEP_OVER] = {"over", step_over},
};

/* S1 */
void session_run(struct session *s)
{
    if (s->running || s->finished)
        return;
    s->running = true;
    do
        s->hungry = false;
    while (steps[s->step].run(s));
    s->running = false;
    if (finish(s))
        return;
    if (s->hungry && s->paused && !s->ended) {
        s->paused = false;
        request_more(s->request); /* may come back here */
    }
}

/* ---- start ---- */

static void on_gone(struct request *r)
{
    struct session *s = r->state;
    s->ended = true;
    if (s->step != STEP_OVER)
        say_to_log(s, LOG_LEVEL_ERROR, "ssync client disconnected", "");
    session_drop(s);
    updates_fail_part(s, -ECONNRESET);
    session_run(s);
}

static const char *step_of(const struct request *r)
{
    return steps[((const struct session *)r->state)->step].name;
}

static const struct handler ssync_handler = {.name = "SSYNC", .gone = on_gone, .step = step_of};

static void on_checked(void *arg, int res)
{
    struct session *s = arg;
    struct request *r = s->request;
    s->checking = false;
    if (s->step == STEP_OVER) {
        session_run(s);
        return;
    }
    if (res < 0) {
        answer_errno(r, res, s->partition.device);
        return;
    }
    s->step = STEP_OPENING;
    s->replying = true;
    reply_begin(r, 200);
    reply_header(r, "Content-Type", SLICE("text/html; charset=UTF-8"));
    reply_header(r, "X-Backend-Accept-No-Commit", SLICE("True"));
    reply_stream_chunked(r, on_ready);
}

/* "/device/partition", maybe with a slash behind it. */
static bool split_path(struct slice path, struct df_partition *ret)
{
    const char *end = path.at + path.len;
    if (path.len < 4 || path.at[0] != '/')
        return false;
    const char *device = path.at + 1, *slash = memchr(device, '/', (size_t)(end - device));
    if (slash == NULL)
        return false;
    const char *partition = slash + 1, *tail = memchr(partition, '/', (size_t)(end - partition));
    if (tail == NULL)
        tail = end;
    ret->device = (struct slice){device, (size_t)(slash - device)};
    ret->partition = (struct slice){partition, (size_t)(tail - partition)};
    return ret->device.len > 0 && ret->partition.len > 0 && end - tail <= 1;
}

static bool refuse(struct request *r, struct refusal *ret_why, const char *what, struct slice name)
{
    char *quoted = arena_alloc(r->arena, 3 * name.len + 1);
    *ret_why = (struct refusal){.status = quoted != NULL ? 400 : 500};
    if (quoted != NULL) {
        (void)path_quote(name, quoted);
        ret_why->text = arena_printf(r->arena, "%s%s", what, quoted);
    }
    return false;
}

/* In Swift's order. */
static bool check(struct session *s, struct refusal *ret_why)
{
    struct request *r = s->request;
    struct slice text = request_header_value(r, "X-Backend-Ssync-Frag-Index");
    int64_t index = -1;
    if (!split_path(r->path, &s->partition))
        return refuse(r, ret_why, "Invalid path: ", r->path);
    if (text.len > 0 && integer_parse(text, &index) < 0) {
        *ret_why =
            (struct refusal){.status = 400,
                             .text = arena_printf(r->arena, "Invalid X-Backend-Ssync-Frag-Index %s",
                                                  repr_text(r->arena, text))};
        return false;
    }
    if (!path_component_safe(s->partition.device))
        return refuse(r, ret_why, "Invalid device: ", s->partition.device);
    if (!path_component_safe(s->partition.partition))
        return refuse(r, ret_why, "Invalid partition: ", s->partition.partition);
    s->has_index = text.len > 0;
    s->wish = (struct fragment_wish){.only_index = true,
                                     .index = index > INT32_MAX ? INT32_MAX : (int)index};
    s->index = s->has_index && s->erasure_coded && index >= 0 ? s->wish.index : -1;
    return true;
}

void ssync_start(struct request *r, const struct config_policy *policy)
{
    struct refusal why;
    struct session *s = arena_alloc(r->arena, sizeof(*s));
    if (s == NULL) {
        answer_status(r, 500);
        return;
    }
    s->request = r;
    s->partition.policy = policy->df.index;
    s->erasure_coded = policy->df.erasure_coded;
    if (!check(s, &why)) {
        answer_refusal(r, &why);
        return;
    }
    r->state = s;
    r->handler = &ssync_handler;
    r->device = s->partition.device;
    s->checking = df_device_check(r->loop->disk, &s->partition, on_checked, s);
    if (!s->checking)
        answer_status(r, 500);
}
