/* SPDX-License-Identifier: Apache-2.0 */
/* log_format.c -- a template becomes a list of pieces: a text, or a field with its form. */
#include "server/node/log_format.h"
#include "server/http/request.h"
#include "server/node/access.h"
#include "server/node/float_text.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PIECES_MOST = 128, WIDTH_MOST = 1000, PRECISION_MOST = 60, VALUE_MAX = 8192 };

enum field {
    FIELD_TEXT, /* no field: text between two of them */
    FIELD_REMOTE_ADDR,
    FIELD_TIME,
    FIELD_METHOD,
    FIELD_PATH,
    FIELD_DISK,
    FIELD_PARTITION,
    FIELD_ACCOUNT,
    FIELD_CONTAINER,
    FIELD_OBJECT,
    FIELD_STATUS,
    FIELD_CONTENT_LENGTH,
    FIELD_REFERER,
    FIELD_TXN_ID,
    FIELD_USER_AGENT,
    FIELD_TRANS_TIME,
    FIELD_ADDITIONAL_INFO,
    FIELD_PID,
    FIELD_POLICY_INDEX,
    FIELDS
};

enum kind { KIND_TEXT, KIND_INT, KIND_FLOAT };

static const struct {
    const char *name;
    bool anonymizable;
    enum kind kind;
} fields[FIELDS] = {
    [FIELD_TEXT] = {"", false, KIND_TEXT},
    [FIELD_REMOTE_ADDR] = {"remote_addr", true, KIND_TEXT},
    [FIELD_TIME] = {"time", false, KIND_TEXT},
    [FIELD_METHOD] = {"method", false, KIND_TEXT},
    [FIELD_PATH] = {"path", true, KIND_TEXT},
    [FIELD_DISK] = {"disk", false, KIND_TEXT},
    [FIELD_PARTITION] = {"partition", false, KIND_TEXT},
    [FIELD_ACCOUNT] = {"account", true, KIND_TEXT},
    [FIELD_CONTAINER] = {"container", true, KIND_TEXT},
    [FIELD_OBJECT] = {"object", true, KIND_TEXT},
    [FIELD_STATUS] = {"status", false, KIND_TEXT},
    [FIELD_CONTENT_LENGTH] = {"content_length", false, KIND_INT},
    [FIELD_REFERER] = {"referer", true, KIND_TEXT},
    [FIELD_TXN_ID] = {"txn_id", false, KIND_TEXT},
    [FIELD_USER_AGENT] = {"user_agent", true, KIND_TEXT},
    [FIELD_TRANS_TIME] = {"trans_time", false, KIND_FLOAT},
    [FIELD_ADDITIONAL_INFO] = {"additional_info", false, KIND_TEXT},
    [FIELD_PID] = {"pid", false, KIND_INT},
    [FIELD_POLICY_INDEX] = {"policy_index", false, KIND_TEXT},
};

struct form {
    char fill, align;     /* align 0: as the type has it */
    int width, precision; /* -1: none */
    char type;            /* 0: the type's own */
};

struct piece {
    enum field field;
    bool anonymized;
    char time_part[12]; /* behind "time."; or empty */
    struct form form;
    const char *text; /* FIELD_TEXT */
    size_t len;
};

struct template
{
    struct piece pieces[PIECES_MOST];
    unsigned count;
    char *text; /* what the pieces point into */
};

static struct {
    struct template *template;
    const EVP_MD *digest;
    char label[48]; /* "{SMD5}" */
    char salt[256];
} current;

/* ---- reading a template ---- */

static int expect(char *expected, size_t len, const char *what, const char *at)
{
    snprintf(expected, len, "%s: \"%.40s\"", what, at);
    return -EINVAL;
}

/* [[fill]align][width][.precision][type]; true if all of it was understood. */
static bool read_form(const char *at, const char *end, enum kind kind, struct form *f)
{
    *f = (struct form){.fill = ' ', .width = -1, .precision = -1};
    if (end - at >= 2 && memchr("<>^", at[1], 3) != NULL) {
        f->fill = at[0];
        f->align = at[1];
        at += 2;
    } else if (end > at && memchr("<>^", at[0], 3) != NULL) {
        f->align = *at++;
    }
    if (at < end && isdigit((unsigned char)*at)) {
        if (*at == '0' && f->align == '\0') {
            f->fill = '0';
            f->align = kind == KIND_TEXT ? '<' : '>';
        }
        f->width = (int)strtol(at, (char **)&at, 10);
    }
    if (at < end && *at == '.') {
        if (++at == end || !isdigit((unsigned char)*at) || kind == KIND_INT)
            return false;
        f->precision = (int)strtol(at, (char **)&at, 10);
    }
    static const char *const types[] = {
        [KIND_TEXT] = "s", [KIND_INT] = "d", [KIND_FLOAT] = "fFeEgG"};
    if (at < end && strchr(types[kind], *at) != NULL)
        f->type = *at++;
    return at == end && f->width <= WIDTH_MOST && f->precision <= PRECISION_MOST;
}

static bool time_part_known(struct slice part)
{
    static const char *const words[] = {"asctime", "datetime", "iso8601", "ms", "us", "ns", "s"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (slice_eq(part, slice_of(words[i])))
            return true;
    return part.len == 1 && memchr("aAbBcdHIjmMpSUwWxXyYZ", part.at[0], 21) != NULL;
}

static bool read_attribute(struct slice attribute, struct piece *p)
{
    if (p->field == FIELD_TIME && time_part_known(attribute)) {
        memcpy(p->time_part, attribute.at, attribute.len);
        return true;
    }
    p->anonymized = slice_eq(attribute, SLICE("anonymized"));
    return p->anonymized && fields[p->field].anonymizable;
}

/* What stands between the braces. */
static bool read_field(const char *at, const char *end, struct piece *p)
{
    const char *colon = memchr(at, ':', (size_t)(end - at));
    const char *name_end = colon != NULL ? colon : end;
    const char *dot = memchr(at, '.', (size_t)(name_end - at));
    struct slice name = {at, (size_t)((dot != NULL ? dot : name_end) - at)};
    enum field field = FIELD_TEXT + 1;
    while (field < FIELDS && !slice_eq(name, slice_of(fields[field].name)))
        field++;
    if (field == FIELDS)
        return false;
    *p = (struct piece){.field = field, .form = {.fill = ' ', .width = -1, .precision = -1}};
    if (dot != NULL && !read_attribute((struct slice){dot + 1, (size_t)(name_end - dot) - 1}, p))
        return false;
    bool whole_time = field == FIELD_TIME && dot == NULL; /* Python gives it no form */
    return colon == NULL || colon + 1 == end ||
           (!whole_time && read_form(colon + 1, end, fields[field].kind, &p->form));
}

static struct piece *next_piece(struct template *t)
{
    return t->count < PIECES_MOST ? &t->pieces[t->count++] : NULL;
}

static bool add_text(struct template *t, const char *at, size_t len)
{
    struct piece *p = len > 0 ? next_piece(t) : NULL;
    if (p != NULL)
        *p = (struct piece){.field = FIELD_TEXT, .text = at, .len = len};
    return p != NULL || len == 0;
}

static int compile(struct template *t, const char *at, char *expected, size_t expected_len)
{
    while (*at != '\0') {
        size_t len = strcspn(at, "{}");
        bool doubled = at[len] != '\0' && at[len + 1] == at[len];
        if (!add_text(t, at, doubled ? len + 1 : len))
            return expect(expected, expected_len, "not so many fields", at);
        at += len;
        if (*at == '\0')
            break;
        if (doubled) {
            at += 2;
            continue;
        }
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        if (end == NULL)
            return expect(expected, expected_len, "\"{field}\"; braces alone are doubled", at);
        struct piece *p = next_piece(t);
        if (p == NULL || !read_field(at + 1, end, p))
            return expect(expected, expected_len, "a field of log_format with a known form", at);
        at = end + 1;
    }
    return 0;
}

int log_format_check(const char *template, char *expected, size_t expected_len)
{
    struct template *t = calloc(1, sizeof(*t));
    int res = t != NULL ? compile(t, template, expected, expected_len) : -ENOMEM;
    if (res == -ENOMEM)
        snprintf(expected, expected_len, "more memory");
    free(t);
    return res;
}

/* ---- digests: hashlib's names ---- */

static const EVP_MD *digest_of(const char *name)
{
    static const char *const names[][2] = {
        {"md5", "MD5"},           {"sha1", "SHA1"},          {"sha224", "SHA224"},
        {"sha256", "SHA256"},     {"sha384", "SHA384"},      {"sha512", "SHA512"},
        {"sha3_224", "SHA3-224"}, {"sha3_256", "SHA3-256"},  {"sha3_384", "SHA3-384"},
        {"sha3_512", "SHA3-512"}, {"blake2b", "BLAKE2b512"}, {"blake2s", "BLAKE2s256"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(name, names[i][0]) == 0)
            return EVP_get_digestbyname(names[i][1]);
    return NULL;
}

bool log_digest_known(const char *name)
{
    return digest_of(name) != NULL;
}

static void set_digest(const char *digest, const char *salt)
{
    current.digest = digest_of(digest);
    snprintf(current.salt, sizeof(current.salt), "%s", salt);
    int len = snprintf(current.label, sizeof(current.label), "{%s%s}", salt[0] != '\0' ? "S" : "",
                       digest);
    for (int i = 0; i < len && i < (int)sizeof(current.label) - 1; i++)
        current.label[i] = (char)toupper((unsigned char)current.label[i]);
}

int log_format_set(const char *template, const char *digest, const char *salt)
{
    char ignored[256];
    if (current.template != NULL)
        free(current.template->text);
    free(current.template);
    current.template = NULL;
    if (template[0] == '\0')
        return 0;
    struct template *t = calloc(1, sizeof(*t));
    char *copy = strdup(template);
    int res = t != NULL && copy != NULL ? compile(t, copy, ignored, sizeof(ignored)) : -ENOMEM;
    if (res < 0) {
        free(copy);
        free(t);
        return res;
    }
    t->text = copy;
    set_digest(digest, salt);
    current.template = t;
    return 0;
}

bool log_format_is_set(void)
{
    return current.template != NULL;
}

/* ---- writing a line ---- */

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

static void put_formed(struct line *l, const struct form *f, enum kind kind, struct slice value)
{
    if (kind == KIND_TEXT && f->precision >= 0 && (size_t)f->precision < value.len)
        value.len = (size_t)f->precision;
    int pad = f->width > (int)value.len ? f->width - (int)value.len : 0;
    char align = f->align != '\0' ? f->align : kind == KIND_TEXT ? '<' : '>';
    int before = align == '>' ? pad : align == '^' ? pad / 2 : 0;
    put_many(l, f->fill, before);
    put_latin1(l, value);
    put_many(l, f->fill, pad - before);
}

static struct slice digest_text(struct slice value, char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = md != NULL && EVP_DigestInit_ex(md, current.digest, NULL) == 1 &&
                EVP_DigestUpdate(md, current.salt, strlen(current.salt)) == 1 &&
                EVP_DigestUpdate(md, value.at, value.len) == 1 &&
                EVP_DigestFinal_ex(md, digest, &len) == 1;
    EVP_MD_CTX_free(md);
    if (!good)
        return SLICE("-");
    size_t at = (size_t)sprintf(text, "%s", current.label);
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

static struct slice float_formed(double s, const struct form *f, char *text)
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
static struct slice value_of(const struct piece *p, const struct request *r, uint64_t took_ns,
                             struct slice path, char *text)
{
    switch (p->field) {
    case FIELD_REMOTE_ADDR:
        return r->peer;
    case FIELD_TIME:
        return time_text(p->time_part, text);
    case FIELD_METHOD:
        return r->method;
    case FIELD_PATH:
        return path;
    case FIELD_DISK:
    case FIELD_PARTITION:
    case FIELD_ACCOUNT:
    case FIELD_CONTAINER:
        return segment(path, (unsigned)(p->field - FIELD_DISK));
    case FIELD_OBJECT:
        return object_of(path);
    case FIELD_STATUS:
        return number_text(r->status, text);
    case FIELD_CONTENT_LENGTH:
        return number_text(r->reply_length, text);
    case FIELD_REFERER:
        return header(r, "Referer");
    case FIELD_TXN_ID:
        return header(r, "X-Trans-Id");
    case FIELD_USER_AGENT:
        return header(r, "User-Agent");
    case FIELD_TRANS_TIME:
        return float_formed((double)took_ns / 1e9, &p->form, text);
    case FIELD_PID:
        return number_text(getpid(), text);
    case FIELD_POLICY_INDEX:
        return r->log_policy != NULL ? slice_of(r->log_policy)
                                     : header(r, "X-Backend-Storage-Policy-Index");
    default:
        return SLICE("");
    }
}

static void put_piece(struct line *l, const struct piece *p, const struct request *r,
                      uint64_t took_ns, struct slice path)
{
    char text[VALUE_MAX], digest[sizeof(current.label) + 2 * EVP_MAX_MD_SIZE + 1];
    if (p->field == FIELD_TEXT) {
        put(l, p->text, p->len);
        return;
    }
    struct slice value = value_of(p, r, took_ns, path, text);
    if (value.len > 0 && p->anonymized)
        value = digest_text(value, digest);
    if (value.len > 0)
        put_formed(l, &p->form, fields[p->field].kind, value);
    else
        put(l, "-", 1);
}

size_t log_format_line(const struct request *r, uint64_t took_ns, char *text, size_t room)
{
    struct line l = {.text = text, .room = room};
    const struct template *t = current.template;
    char *quoted = arena_alloc(r->arena, 3 * r->path.len + 1);
    struct slice path = {quoted, quoted != NULL ? access_quote(r->path, quoted) : 0};
    for (unsigned i = 0; i < t->count; i++)
        put_piece(&l, &t->pieces[i], r, took_ns, path);
    return l.len;
}
