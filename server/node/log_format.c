/* SPDX-License-Identifier: Apache-2.0 */
/* log_format.c -- see log_format.h. */
#include "server/node/log_format.h"
#include "server/http/request.h"
#include "server/node/access.h"
#include "server/node/float_text.h"
#include "server/node/log_template.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_MAX = 8192 };

struct line {
    char *text;
    size_t len, room;
};

static void put(struct line *l, const char *at, size_t len)
{
    size_t left = l->room - l->len;
    len = len < left ? len : left;
    memcpy(l->text + l->len, at, len);
    l->len += len;
}

static void put_many(struct line *l, char c, int count)
{
    for (int i = 0; i < count; i++)
        put(l, &c, 1);
}

/* Bytes are Latin-1 characters to Swift, and its log is UTF-8. */
static void put_latin1(struct line *l, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        if (c < 0x80)
            put(l, value.at + i, 1);
        else
            put(l, two, 2);
    }
}

static void put_formed(struct line *l, const struct log_form *f, enum log_kind kind,
                       struct slice value)
{
    if (kind == LOG_KIND_TEXT && f->precision >= 0 && (size_t)f->precision < value.len)
        value.len = (size_t)f->precision;
    int pad = f->width > (int)value.len ? f->width - (int)value.len : 0;
    char align = f->align != '\0' ? f->align : kind == LOG_KIND_TEXT ? '<' : '>';
    int before = align == '>' ? pad : align == '^' ? pad / 2 : 0;
    put_many(l, f->fill, before);
    put_latin1(l, value);
    put_many(l, f->fill, pad - before);
}

static struct slice digest_text(const struct log_template *t, struct slice value, char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = md != NULL && EVP_DigestInit_ex(md, t->digest, NULL) == 1 &&
                EVP_DigestUpdate(md, t->salt, strlen(t->salt)) == 1 &&
                EVP_DigestUpdate(md, value.at, value.len) == 1 &&
                EVP_DigestFinal_ex(md, digest, &len) == 1;
    EVP_MD_CTX_free(md);
    if (!good)
        return SLICE("-");
    size_t at = (size_t)sprintf(text, "%s", t->label);
    for (unsigned i = 0; i < len; i++)
        at += (size_t)sprintf(text + at, "%02x", digest[i]);
    return (struct slice){text, at};
}

/* The n-th of "/disk/partition/account/container/object". */
static struct slice segment(struct slice path, unsigned n)
{
    if (path.len == 0 || path.at[0] != '/')
        return (struct slice){NULL, 0};
    for (const char *end = path.at + path.len;; n--) {
        path.at++;
        const char *slash = memchr(path.at, '/', (size_t)(end - path.at));
        if (n == 0)
            return (struct slice){path.at, (size_t)((slash != NULL ? slash : end) - path.at)};
        if (slash == NULL)
            return (struct slice){NULL, 0};
        path.at = slash;
    }
}

static struct slice object_of(struct slice path)
{
    struct slice first = segment(path, 4);
    if (first.at != NULL)
        first.len = (size_t)(path.at + path.len - first.at);
    return first;
}

static struct slice fraction(const struct timespec *now, unsigned digits, char *text)
{
    snprintf(text, 16, "%09ld", now->tv_nsec);
    return (struct slice){text, digits};
}

/* The letter was checked by time_part_known(). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void time_letter(char letter, const struct tm *utc, char *text)
{
    const char format[] = {'%', letter, '\0'};
    if (letter == 'Z')
        strcpy(text, "UTC");
    else
        strftime(text, 64, format, utc);
}
#pragma GCC diagnostic pop

static struct slice time_text(const char *part, char *text)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    if (part[0] == '\0')
        snprintf(text, 64, "%lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
    else if (strcmp(part, "ms") == 0)
        return fraction(&now, 3, text);
    else if (strcmp(part, "us") == 0)
        return fraction(&now, 6, text);
    else if (strcmp(part, "ns") == 0)
        return fraction(&now, 9, text);
    else if (strcmp(part, "s") == 0)
        snprintf(text, 64, "%lld", (long long)now.tv_sec);
    else if (strcmp(part, "asctime") == 0)
        strftime(text, 64, "%a %b %e %H:%M:%S %Y", &utc);
    else if (strcmp(part, "datetime") == 0)
        strftime(text, 64, "%d/%b/%Y/%H/%M/%S", &utc);
    else if (strcmp(part, "iso8601") == 0)
        strftime(text, 64, "%Y-%m-%dT%H:%M:%S", &utc);
    else
        time_letter(part[0], &utc, text);
    return slice_of(text);
}

static struct slice number_text(int64_t n, char *text)
{
    if (n <= 0)
        return SLICE("");
    snprintf(text, 32, "%lld", (long long)n);
    return slice_of(text);
}

static struct slice float_formed(double s, const struct log_form *f, char *text)
{
    int digits = f->precision < 0 ? 6 : f->precision;
    if (s <= 0)
        return SLICE("");
    if (f->type == '\0' && f->precision < 0)
        return slice_of(float_text(s, text));
    if (f->type == 'f' || f->type == 'F')
        snprintf(text, VALUE_MAX, "%.*f", digits, s);
    else if (f->type == 'e')
        snprintf(text, VALUE_MAX, "%.*e", digits, s);
    else if (f->type == 'E')
        snprintf(text, VALUE_MAX, "%.*E", digits, s);
    else if (f->type == 'G')
        snprintf(text, VALUE_MAX, "%.*G", digits, s);
    else
        snprintf(text, VALUE_MAX, "%.*g", digits, s);
    return slice_of(text);
}

static struct slice header(const struct request *r, const char *name)
{
    return request_header_value(r, name);
}

/* Empty: shown as "-". `text` has VALUE_MAX bytes to write into; `path` is quoted already. */
static struct slice value_of(const struct log_piece *p, const struct request *r, uint64_t took_ns,
                             struct slice path, char *text)
{
    switch (p->field) {
    case LOG_FIELD_REMOTE_ADDR:
        return r->peer;
    case LOG_FIELD_TIME:
        return time_text(p->time_part, text);
    case LOG_FIELD_METHOD:
        return r->method;
    case LOG_FIELD_PATH:
        return path;
    case LOG_FIELD_DISK:
    case LOG_FIELD_PARTITION:
    case LOG_FIELD_ACCOUNT:
    case LOG_FIELD_CONTAINER:
        return segment(path, (unsigned)(p->field - LOG_FIELD_DISK));
    case LOG_FIELD_OBJECT:
        return object_of(path);
    case LOG_FIELD_STATUS:
        return number_text(r->status, text);
    case LOG_FIELD_CONTENT_LENGTH:
        return number_text(r->reply_length, text);
    case LOG_FIELD_REFERER:
        return header(r, "Referer");
    case LOG_FIELD_TXN_ID:
        return header(r, "X-Trans-Id");
    case LOG_FIELD_USER_AGENT:
        return header(r, "User-Agent");
    case LOG_FIELD_TRANS_TIME:
        return float_formed((double)took_ns / 1e9, &p->form, text);
    case LOG_FIELD_PID:
        return number_text(getpid(), text);
    case LOG_FIELD_POLICY_INDEX:
        return r->log_policy != NULL ? slice_of(r->log_policy)
                                     : header(r, "X-Backend-Storage-Policy-Index");
    default:
        return SLICE("");
    }
}

static void put_piece(struct line *l, const struct log_template *t, const struct log_piece *p,
                      const struct request *r, uint64_t took_ns, struct slice path)
{
    char text[VALUE_MAX], digest[sizeof(t->label) + 2 * EVP_MAX_MD_SIZE + 1];
    if (p->field == LOG_FIELD_TEXT) {
        put(l, p->text, p->len);
        return;
    }
    struct slice value = value_of(p, r, took_ns, path, text);
    if (value.len > 0 && p->anonymized)
        value = digest_text(t, value, digest);
    if (value.len > 0)
        put_formed(l, &p->form, p->kind, value);
    else
        put(l, "-", 1);
}

size_t log_format_line(const struct request *r, uint64_t took_ns, char *text, size_t room)
{
    struct line l = {.text = text, .room = room};
    const struct log_template *t = log_template();
    char *quoted = arena_alloc(r->arena, 3 * r->path.len + 1);
    struct slice path = {quoted, quoted != NULL ? access_quote(r->path, quoted) : 0};
    for (unsigned i = 0; i < t->count; i++)
        put_piece(&l, t, &t->pieces[i], r, took_ns, path);
    return l.len;
}
