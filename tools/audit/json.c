/* SPDX-License-Identifier: Apache-2.0 */
/* json.c -- see json.h. */
#include "tools/audit/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define DEPTH_MAX 64

static struct json *value_new(enum json_type type)
{
    struct json *v = calloc(1, sizeof(*v));
    if (v)
        v->type = type;
    return v;
}

void json_free(struct json *v)
{
    if (!v)
        return;
    for (struct json *m = v->first, *next; m; m = next) {
        next = m->next;
        json_free(m);
    }
    free(v->text);
    free(v->key);
    free(v);
}

static struct json *with_text(enum json_type type, struct slice text)
{
    struct json *v = value_new(type);
    if (!v)
        return NULL;
    v->text = malloc(text.len + 1);
    if (!v->text) {
        free(v);
        return NULL;
    }
    if (text.len > 0)
        memcpy(v->text, text.at, text.len);
    v->text[text.len] = '\0';
    v->text_len = text.len;
    return v;
}

struct json *json_object(void)
{
    return value_new(JSON_OBJECT);
}

struct json *json_array(void)
{
    return value_new(JSON_ARRAY);
}

struct json *json_string(struct slice text)
{
    return with_text(JSON_STRING, text);
}

struct json *json_integer(int64_t n)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, n);
    return with_text(JSON_NUMBER, slice_of(text));
}

/* The shortest text that reads as the same number. */
struct json *json_real(double n)
{
    char text[40];
    if (!isfinite(n))
        return value_new(JSON_NULL);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, n);
        if (strtod(text, NULL) == n)
            break;
    }
    if (!strpbrk(text, ".e"))
        strcat(text, ".0");
    return with_text(JSON_NUMBER, slice_of(text));
}

struct json *json_bool(bool yes)
{
    return value_new(yes ? JSON_TRUE : JSON_FALSE);
}

/* ---- members ---- */

static void link_member(struct json *parent, struct json *v)
{
    if (parent->last)
        parent->last->next = v;
    else
        parent->first = v;
    parent->last = v;
}

struct json *json_get(const struct json *object, const char *key)
{
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (struct json *m = object->first; m; m = m->next)
        if (strcmp(m->key, key) == 0)
            return m;
    return NULL;
}

void json_remove(struct json *object, const char *key)
{
    struct json *before = NULL;
    for (struct json *m = object->first; m; before = m, m = m->next) {
        if (strcmp(m->key, key) != 0)
            continue;
        if (before)
            before->next = m->next;
        else
            object->first = m->next;
        if (object->last == m)
            object->last = before;
        json_free(m);
        return;
    }
}

int json_set(struct json *object, const char *key, struct json *take_value)
{
    char *copy = take_value ? strdup(key) : NULL;
    if (!copy) {
        json_free(take_value);
        return -ENOMEM;
    }
    json_remove(object, key);
    take_value->key = copy;
    link_member(object, take_value);
    return 0;
}

int json_append(struct json *array, struct json *take_value)
{
    if (!take_value)
        return -ENOMEM;
    link_member(array, take_value);
    return 0;
}

/* ---- reading ---- */

struct reader {
    const char *at, *end;
};

static struct json *read_value(struct reader *r, int depth);

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
        r->at++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static int hex4(struct reader *r, unsigned *ret)
{
    unsigned n = 0;
    if (r->end - r->at < 4)
        return -EBADMSG;
    for (int i = 0; i < 4; i++) {
        char c = *r->at++;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return -EBADMSG;
        n = n << 4 | digit;
    }
    *ret = n;
    return 0;
}

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Behind "\u". A lone surrogate is kept as it stands, as Python does. */
static int read_code_point(struct reader *r, unsigned *ret)
{
    unsigned low;
    int res = hex4(r, ret);
    if (res < 0 || *ret < 0xd800 || *ret > 0xdbff || r->end - r->at < 6 || r->at[0] != '\\' ||
        r->at[1] != 'u')
        return res;
    const char *before = r->at;
    r->at += 2;
    if (hex4(r, &low) < 0)
        return -EBADMSG;
    if (low >= 0xdc00 && low <= 0xdfff)
        *ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
    else
        r->at = before;
    return 0;
}

static int read_escape(struct reader *r, char *out, size_t *len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end)
        return -EBADMSG;
    char c = *r->at++;
    if (c == 'u') {
        unsigned point;
        int res = read_code_point(r, &point);
        if (res == 0)
            *len += put_utf8(out + *len, point);
        return res;
    }
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return -EBADMSG;
    out[(*len)++] = to[found - from];
    return 0;
}

/* Behind the opening quote. *ret: yours to free. */
static int read_text(struct reader *r, char **ret, size_t *ret_len)
{
    char *out = malloc((size_t)(r->end - r->at) + 5);
    size_t len = 0;
    int res = out ? 0 : -ENOMEM;
    while (res == 0 && r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c == '\\')
            res = read_escape(r, out, &len);
        else if ((unsigned char)c < 0x20)
            res = -EBADMSG;
        else
            out[len++] = c;
    }
    if (res == 0 && r->at == r->end)
        res = -EBADMSG;
    if (res < 0) {
        free(out);
        return res;
    }
    r->at++;
    out[len] = '\0';
    char *fit = realloc(out, len + 1);
    *ret = fit ? fit : out;
    *ret_len = len;
    return 0;
}

static struct json *read_string(struct reader *r)
{
    struct json *v = value_new(JSON_STRING);
    if (v && read_text(r, &v->text, &v->text_len) < 0) {
        free(v);
        v = NULL;
    }
    return v;
}

static struct json *read_number(struct reader *r)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at && strchr("+-.eE0123456789", *r->at))
        r->at++;
    struct json *v = with_text(JSON_NUMBER, (struct slice){start, (size_t)(r->at - start)});
    char *end = NULL;
    if (v)
        (void)strtod(v->text, &end);
    if (v && (v->text_len == 0 || *end != '\0' || *start == '+')) {
        json_free(v);
        v = NULL;
    }
    return v;
}

static struct json *read_word(struct reader *r)
{
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"null", JSON_NULL}, {"true", JSON_TRUE}, {"false", JSON_FALSE}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(r->end - r->at) >= len && memcmp(r->at, words[i].word, len) == 0) {
            r->at += len;
            return value_new(words[i].type);
        }
    }
    return read_number(r);
}

static int read_member(struct reader *r, struct json *parent, int depth)
{
    char *key = NULL;
    size_t ignored;
    if (parent->type == JSON_OBJECT &&
        (!take(r, '"') || read_text(r, &key, &ignored) < 0 || !take(r, ':'))) {
        free(key);
        return -EBADMSG;
    }
    struct json *v = read_value(r, depth);
    int res = !v                            ? -EBADMSG
              : parent->type == JSON_OBJECT ? json_set(parent, key, v)
                                            : json_append(parent, v);
    free(key);
    return res;
}

static struct json *read_members(struct reader *r, enum json_type type, char close, int depth)
{
    struct json *v = value_new(type);
    if (!v || take(r, close))
        return v;
    int res;
    do
        res = read_member(r, v, depth + 1);
    while (res == 0 && take(r, ','));
    if (res == 0 && take(r, close))
        return v;
    json_free(v);
    return NULL;
}

static struct json *read_value(struct reader *r, int depth)
{
    if (depth > DEPTH_MAX)
        return NULL;
    if (take(r, '{'))
        return read_members(r, JSON_OBJECT, '}', depth);
    if (take(r, '['))
        return read_members(r, JSON_ARRAY, ']', depth);
    if (take(r, '"'))
        return read_string(r);
    return read_word(r);
}

struct json *json_parse(struct slice text)
{
    struct reader r = {text.at, text.at + text.len};
    struct json *v = read_value(&r, 0);
    skip_blanks(&r);
    if (v && r.at != r.end) {
        json_free(v);
        v = NULL;
    }
    return v;
}
