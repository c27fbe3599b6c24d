/* SPDX-License-Identifier: Apache-2.0 */
/* access.c -- the access line, byte for byte as Swift writes it (http-api 20.1):
 *
 *   127.0.0.1 - - [20/Nov/2026:10:14:11 +0000] "PUT /sda1/0/a/c/o" 201 - "-" "tx1" "-" 0.0037
 *   "-" 20394 0
 *
 * With log_format another line (log_format.h); with log_times the time of each step behind it. */
#include "server/node/access.h"
#include "diskfile/format/number.h"
#include "server/http/request.h"
#include "server/loop.h"
#include "server/node/config.h"
#include "server/node/log_format.h"
#include "server/node/log_template.h"
#include <string.h>
#include <time.h>

#define ACCESS_LINE_MAX 12288

struct line {
    char text[ACCESS_LINE_MAX];
    size_t len;
};

static void put(struct line *l, char c)
{
    if (l->len + 1 < sizeof(l->text))
        l->text[l->len++] = c;
}

static void put_text(struct line *l, const char *text)
{
    for (; *text != '\0'; text++)
        put(l, *text);
}

/* A header's bytes are Latin-1 characters to Swift, and its log is UTF-8. */
static void put_header(struct line *l, struct slice value)
{
    if (value.len == 0)
        put(l, '-');
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c < 0x80) {
            put(l, (char)c);
        } else {
            put(l, (char)(0xc0 | c >> 6));
            put(l, (char)(0x80 | (c & 0x3f)));
        }
    }
}

size_t access_quote(struct slice path, char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_.-~/";
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.at[i];
        if (memchr(plain, c, sizeof(plain) - 1) != NULL) {
            text[len++] = (char)c;
        } else {
            text[len++] = '%';
            text[len++] = hex[c >> 4];
            text[len++] = hex[c & 15];
        }
    }
    text[len] = '\0';
    return len;
}

/* In pieces: a path may be longer than any stack should hold. */
static void put_quoted(struct line *l, struct slice path)
{
    char text[3 * 256 + 1];
    if (path.len == 0)
        put(l, '-');
    while (path.len > 0) {
        struct slice piece = {path.at, path.len < 256 ? path.len : 256};
        (void)access_quote(piece, text);
        put_text(l, text);
        path.at += piece.len;
        path.len -= piece.len;
    }
}

static uint64_t ns_since(uint64_t start_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    return now_ns > start_ns ? now_ns - start_ns : 0;
}

/* No locale: strftime's %b is English. */
static void put_date(struct line *l)
{
    static _Thread_local char text[40];
    static _Thread_local time_t text_of = -1;
    time_t now = time(NULL);
    if (now != text_of) {
        struct tm utc;
        gmtime_r(&now, &utc);
        strftime(text, sizeof(text), "%d/%b/%Y:%H:%M:%S +0000", &utc);
        text_of = now;
    }
    put_text(l, text);
}

static void put_digits(struct line *l, uint64_t n, unsigned width)
{
    char text[NUMBER_DIGITS_MAX + 1];
    *number_write(text, n, width) = '\0';
    put_text(l, text);
}

static void put_number(struct line *l, int64_t n)
{
    if (n > 0)
        put_digits(l, (uint64_t)n, 1);
    else
        put(l, '-');
}

/* In seconds, to four places. */
static void put_duration(struct line *l, uint64_t ns)
{
    uint64_t tenths_of_ms = (ns + 50000) / 100000;
    put_digits(l, tenths_of_ms / 10000, 1);
    put(l, '.');
    put_digits(l, tenths_of_ms % 10000, 4);
}

static void put_request(struct line *l, const struct request *r)
{
    put_header(l, r->peer);
    put_text(l, " - - [");
    put_date(l);
    put_text(l, "] \"");
    put_header(l, r->method);
    put(l, ' ');
    put_quoted(l, r->path);
    put_text(l, "\" ");
    put_number(l, r->status);
    put(l, ' ');
    put_number(l, r->reply_length);
    put_text(l, " \"");
    put_header(l, request_header_value(r, "Referer"));
    put_text(l, "\" \"");
    put_header(l, request_header_value(r, "X-Trans-Id"));
    put_text(l, "\" \"");
    put_header(l, request_header_value(r, "User-Agent"));
}

static void put_outcome(struct line *l, const struct request *r, uint64_t took_ns)
{
    put_text(l, "\" ");
    put_duration(l, took_ns);
    put_text(l, " \"-\" ");
    put_digits(l, (uint64_t)log_pid(), 1);
    put(l, ' ');
    if (r->log_policy != NULL && r->log_policy[0] != '\0')
        put_text(l, r->log_policy);
    else
        put_header(l, request_header_value(r, "X-Backend-Storage-Policy-Index"));
}

static void put_times(struct line *l, const struct request *r)
{
    if (!r->loop->config->log_times || r->times == NULL || r->times[0] == '\0')
        return;
    put(l, ' ');
    put_text(l, r->times);
}

/* ---- the transaction ---- */

static void put_txn(struct line *l, const struct request *r)
{
    struct slice id = request_header_value(r, "X-Trans-Id");
    struct line as_logged;
    as_logged.len = 0;
    if (id.len == 0)
        return;
    put_header(&as_logged, id);
    if (memmem(l->text, l->len, as_logged.text, as_logged.len) != NULL)
        return;
    put_text(l, " (txn: ");
    put_header(l, id);
    put(l, ')');
}

static void finish(enum log_level level, struct line *l, const struct request *r)
{
    put_txn(l, r);
    l->text[l->len] = '\0';
    log_plain(level, l->text);
}

void log_request(enum log_level level, const struct request *r, const char *text)
{
    struct line l;
    l.len = 0;
    if (!log_wants(level))
        return;
    put_text(&l, text);
    finish(level, &l, r);
}

static enum log_level level_of(const struct request *r)
{
    bool internal = slice_eq(r->method, SLICE("REPLICATE")) ||
                    slice_eq(r->method, SLICE("SSYNC")) ||
                    request_header(r, "X-Backend-Replication") != NULL;
    return internal ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

void log_access(const struct request *r)
{
    enum log_level level = level_of(r);
    if (!r->loop->config->log_requests || !log_wants(level))
        return;
    struct line l;
    l.len = 0;
    uint64_t took_ns = ns_since(r->started_ns);
    if (log_template() != NULL) {
        l.len = log_format_line(r, took_ns, l.text, sizeof(l.text) - 1);
    } else {
        put_request(&l, r);
        put_outcome(&l, r, took_ns);
    }
    put_times(&l, r);
    finish(level, &l, r);
}
