/* SPDX-License-Identifier: Apache-2.0 */
/* log_template.c -- see log_template.h. */
#include "server/node/log_template.h"
#include "diskfile/slice.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WIDTH_MOST = 1000, PRECISION_MOST = 60 };

static const struct {
    const char *name;
    bool anonymizable;
    enum log_kind kind;
} fields[LOG_FIELDS] = {
    [LOG_FIELD_TEXT] = {"", false, LOG_KIND_TEXT},
    [LOG_FIELD_REMOTE_ADDR] = {"remote_addr", true, LOG_KIND_TEXT},
    [LOG_FIELD_TIME] = {"time", false, LOG_KIND_TEXT},
    [LOG_FIELD_METHOD] = {"method", false, LOG_KIND_TEXT},
    [LOG_FIELD_PATH] = {"path", true, LOG_KIND_TEXT},
    [LOG_FIELD_DISK] = {"disk", false, LOG_KIND_TEXT},
    [LOG_FIELD_PARTITION] = {"partition", false, LOG_KIND_TEXT},
    [LOG_FIELD_ACCOUNT] = {"account", true, LOG_KIND_TEXT},
    [LOG_FIELD_CONTAINER] = {"container", true, LOG_KIND_TEXT},
    [LOG_FIELD_OBJECT] = {"object", true, LOG_KIND_TEXT},
    [LOG_FIELD_STATUS] = {"status", false, LOG_KIND_TEXT},
    [LOG_FIELD_CONTENT_LENGTH] = {"content_length", false, LOG_KIND_INT},
    [LOG_FIELD_REFERER] = {"referer", true, LOG_KIND_TEXT},
    [LOG_FIELD_TXN_ID] = {"txn_id", false, LOG_KIND_TEXT},
    [LOG_FIELD_USER_AGENT] = {"user_agent", true, LOG_KIND_TEXT},
    [LOG_FIELD_TRANS_TIME] = {"trans_time", false, LOG_KIND_FLOAT},
    [LOG_FIELD_ADDITIONAL_INFO] = {"additional_info", false, LOG_KIND_TEXT},
    [LOG_FIELD_PID] = {"pid", false, LOG_KIND_INT},
    [LOG_FIELD_POLICY_INDEX] = {"policy_index", false, LOG_KIND_TEXT},
};

static struct log_template *current;

/* ---- reading a template ---- */

static int expect(char *expected, size_t len, const char *what, const char *at)
{
    snprintf(expected, len, "%s: \"%.40s\"", what, at);
    return -EINVAL;
}

/* [[fill]align][width][.precision][type]; true if all of it was understood. */
static bool read_form(const char *at, const char *end, enum log_kind kind, struct log_form *f)
{
    *f = (struct log_form){.fill = ' ', .width = -1, .precision = -1};
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
            f->align = kind == LOG_KIND_TEXT ? '<' : '>';
        }
        f->width = (int)strtol(at, (char **)&at, 10);
    }
    if (at < end && *at == '.') {
        if (++at == end || !isdigit((unsigned char)*at) || kind == LOG_KIND_INT)
            return false;
        f->precision = (int)strtol(at, (char **)&at, 10);
    }
    static const char *const types[] = {
        [LOG_KIND_TEXT] = "s", [LOG_KIND_INT] = "d", [LOG_KIND_FLOAT] = "fFeEgG"};
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

static bool read_attribute(struct slice attribute, struct log_piece *p)
{
    if (p->field == LOG_FIELD_TIME && time_part_known(attribute)) {
        memcpy(p->time_part, attribute.at, attribute.len);
        return true;
    }
    p->anonymized = slice_eq(attribute, SLICE("anonymized"));
    return p->anonymized && fields[p->field].anonymizable;
}

/* What stands between the braces. */
static bool read_field(const char *at, const char *end, struct log_piece *p)
{
    const char *colon = memchr(at, ':', (size_t)(end - at));
    const char *name_end = colon != NULL ? colon : end;
    const char *dot = memchr(at, '.', (size_t)(name_end - at));
    struct slice name = {at, (size_t)((dot != NULL ? dot : name_end) - at)};
    enum log_field field = LOG_FIELD_TEXT + 1;
    while (field < LOG_FIELDS && !slice_eq(name, slice_of(fields[field].name)))
        field++;
    if (field == LOG_FIELDS)
        return false;
    *p = (struct log_piece){.field = field,
                            .kind = fields[field].kind,
                            .form = {.fill = ' ', .width = -1, .precision = -1}};
    if (dot != NULL && !read_attribute((struct slice){dot + 1, (size_t)(name_end - dot) - 1}, p))
        return false;
    bool whole_time = field == LOG_FIELD_TIME && dot == NULL; /* Python gives it no form */
    return colon == NULL || colon + 1 == end ||
           (!whole_time && read_form(colon + 1, end, p->kind, &p->form));
}

static struct log_piece *next_piece(struct log_template *t)
{
    return t->count < LOG_PIECES_MOST ? &t->pieces[t->count++] : NULL;
}

static bool add_text(struct log_template *t, const char *at, size_t len)
{
    struct log_piece *p = len > 0 ? next_piece(t) : NULL;
    if (p != NULL)
        *p = (struct log_piece){.field = LOG_FIELD_TEXT, .text = at, .len = len};
    return p != NULL || len == 0;
}

static int compile(struct log_template *t, const char *at, char *expected, size_t expected_len)
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
        struct log_piece *p = next_piece(t);
        if (p == NULL || !read_field(at + 1, end, p))
            return expect(expected, expected_len, "a field of log_format with a known form", at);
        at = end + 1;
    }
    return 0;
}

int log_template_check(const char *template, char *expected, size_t expected_len)
{
    struct log_template *t = calloc(1, sizeof(*t));
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

static void set_digest(struct log_template *t, const char *digest, const char *salt)
{
    t->digest = digest_of(digest);
    snprintf(t->salt, sizeof(t->salt), "%s", salt);
    int len = snprintf(t->label, sizeof(t->label), "{%s%s}", salt[0] != '\0' ? "S" : "", digest);
    for (int i = 0; i < len && i < (int)sizeof(t->label) - 1; i++)
        t->label[i] = (char)toupper((unsigned char)t->label[i]);
}

/* ---- the one that is in use ---- */

int log_template_set(const char *template, const char *digest, const char *salt)
{
    char ignored[256];
    if (current != NULL)
        free(current->text);
    free(current);
    current = NULL;
    if (template[0] == '\0')
        return 0;
    struct log_template *t = calloc(1, sizeof(*t));
    char *copy = strdup(template);
    int res = t != NULL && copy != NULL ? compile(t, copy, ignored, sizeof(ignored)) : -ENOMEM;
    if (res < 0) {
        free(copy);
        free(t);
        return res;
    }
    t->text = copy;
    set_digest(t, digest, salt);
    current = t;
    return 0;
}

const struct log_template *log_template(void)
{
    return current;
}
