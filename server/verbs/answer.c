/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/answer.h"
#include "server/http/status.h"
#include "server/loop.h"
#include "server/node/log.h"
#include <errno.h>

static const char html_type[] = "text/html; charset=UTF-8";

bool is_head(const struct request *r)
{
    return slice_eq(r->method, SLICE("HEAD"));
}

static bool is_plain(const struct request *r)
{
    return r->loop->config->standalone;
}

void answer_plain(struct request *r, int status, const char *text)
{
    const char *line = arena_printf(r->arena, "%s\n", text);
    reply_text(r, status, line ? line : text);
    request_done(r);
}

void answer_missing(struct request *r)
{
    if (is_plain(r))
        answer_plain(r, 404, "there is no object with this key");
    else
        answer_status(r, 404);
}

void answer_status(struct request *r, int status)
{
    if (is_plain(r)) {
        const char *text = status_text(status);
        answer_plain(r, status, text ? text : status_title(status));
        return;
    }
    reply_default(r, status);
    request_done(r);
}

void answer_refusal(struct request *r, const struct refusal *why)
{
    r->untimed = !why->timed;
    if (!why->text) {
        answer_status(r, why->status);
    } else if (is_plain(r)) {
        answer_plain(r, why->status, why->text);
    } else {
        (why->html ? reply_html : reply_text)(r, why->status, why->text);
        request_done(r);
    }
}

/* A disk that answers -ETIMEDOUT had its partition locked for too long: no fault of the
 * client's, which status_of_errno() would make of it. */
static int status_of_disk(int err)
{
    return err == -ETIMEDOUT || err == -ENOENT || err == -ECANCELED ? 500 : status_of_errno(err);
}

static void answer_errno_plain(struct request *r, int err, int status)
{
    const char *what;
    switch (status) {
    case 400:
        what =
            "the file system keeps no more than about 4000 bytes of metadata with an object: send "
            "fewer or shorter headers";
        break;
    case 403:
        what = "another object has the same hash as this key: choose another key";
        break;
    case 503:
        what = err == -EBUSY ? "the disk has too many requests waiting: try again later"
                             : "the server has too many files open: try again later";
        break;
    case 507:
        what = err == -ENOSPC || err == -EDQUOT
                   ? "there is not enough space on the disk that keeps this key"
                   : "the disk that keeps this key is not usable now";
        break;
    default:
        what = "the server could not complete the request: its outcome is unknown";
    }
    answer_plain(r, status, what);
}

/* What leaves Swift's handler as an exception has no time in statsd (http-api 20.3). */
static bool is_raised(const struct request *r, int err, int status)
{
    return status == 403 || status == 500 || (err == -ENODEV && slice_eq(r->method, SLICE("PUT")));
}

/* The line that operators look for; Swift's has a traceback behind it. */
static void log_why(const struct request *r, int err)
{
    struct slice id = request_header_value(r, "X-Trans-Id");
    log_line(LOG_LEVEL_ERROR, "ERROR %s %.*s %.*s : %s (txn: %.*s)",
             is_plain(r) ? "in" : "__call__ error with", (int)r->method.len, r->method.at,
             (int)r->path.len, r->path.at, strerror(-err), id.len > 0 ? (int)id.len : 1,
             id.len > 0 ? id.at : "-");
}

void answer_errno(struct request *r, int err, struct slice device)
{
    int status = status_of_disk(err);
    if (status == 500 && err != -ECANCELED)
        log_why(r, err);
    r->untimed = is_raised(r, err, status);
    if (is_plain(r)) {
        answer_errno_plain(r, err, err == -E2BIG ? 400 : status);
        return;
    }
    if (status == 507)
        reply_default_device(r, status, device);
    else
        reply_default(r, status);
    request_done(r);
}

/* ---- replies with headers of the verb's own ---- */

void answer_with_text(struct request *r, const char *text, const char *content_type)
{
    reply_header(r, "Content-Type", slice_of(content_type));
    reply_send(r, text, strlen(text));
    request_done(r);
}

void answer_with_nothing(struct request *r)
{
    reply_header(r, "Content-Type", slice_of(html_type));
    reply_send(r, NULL, 0);
    request_done(r);
}

void answer_with_default(struct request *r, int status)
{
    const char *text = status_text(status);
    const char *body = text ? arena_printf(r->arena, "<html><h1>%s</h1><p>%s</p></html>",
                                           status_title(status), text)
                            : NULL;
    if (!body || is_head(r)) /* Swift: HEAD of a default body has Content-Length 0 */
        answer_with_nothing(r);
    else
        answer_with_text(r, body, html_type);
}

struct conditions conditions_of(const struct request *r)
{
    return (struct conditions){
        .if_match = request_header(r, "If-Match"),
        .if_none_match = request_header(r, "If-None-Match"),
        .if_modified_since = request_header(r, "If-Modified-Since"),
        .if_unmodified_since = request_header(r, "If-Unmodified-Since"),
    };
}
