/* SPDX-License-Identifier: Apache-2.0 */
/* json_find.c -- a strict reader that keeps nothing: it checks the whole document and notes
 * where the values of the wanted keys lie. */
#include "server/recon/json.h"
#include <errno.h>

struct reader {
    const char *at, *end;
    unsigned depth;
};

static bool value(struct reader *r);

static void blanks(struct reader *r)
{
    while (r->at < r->end && memchr(" \t\r\n", *r->at, 4) != NULL)
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool word(struct reader *r, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0)
        return false;
    r->at += len;
    return true;
}

static bool digits(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at > from;
}

static bool number(struct reader *r)
{
    (void)take(r, '-');
    if (word(r, "Infinity"))
        return true;
    if (!take(r, '0') && !digits(r))
        return false;
    if (take(r, '.') && !digits(r))
        return false;
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            (void)take(r, '-');
        return digits(r);
    }
    return true;
}

static bool escape(struct reader *r)
{
    if (r->at == r->end)
        return false;
    if (*r->at != 'u')
        return memchr("\"\\/nrtfb", *r->at++, 8) != NULL;
    if (r->end - r->at < 5)
        return false;
    for (unsigned i = 1; i <= 4; i++)
        if (memchr("0123456789abcdefABCDEF", r->at[i], 22) == NULL)
            return false;
    r->at += 5;
    return true;
}

/* That it is UTF-8 was looked at before. */
static bool string(struct reader *r)
{
    if (!take(r, '"'))
        return false;
    while (r->at < r->end && *r->at != '"') {
        unsigned char c = (unsigned char)*r->at++;
        if (c < 0x20 || (c == '\\' && !escape(r)))
            return false;
    }
    return take(r, '"');
}

static bool array(struct reader *r)
{
    blanks(r);
    if (take(r, ']'))
        return true;
    do {
        if (!value(r))
            return false;
    } while (take(r, ','));
    return take(r, ']');
}

static bool key(struct reader *r, struct slice *ret_key)
{
    blanks(r);
    const char *from = r->at;
    if (!string(r))
        return false;
    *ret_key = (struct slice){from + 1, (size_t)(r->at - from) - 2};
    blanks(r);
    return take(r, ':');
}

static bool object(struct reader *r)
{
    struct slice ignored;
    blanks(r);
    if (take(r, '}'))
        return true;
    do {
        if (!key(r, &ignored) || !value(r))
            return false;
    } while (take(r, ','));
    return take(r, '}');
}

static bool bare_value(struct reader *r)
{
    if (take(r, '{'))
        return object(r);
    if (take(r, '['))
        return array(r);
    if (r->at < r->end && *r->at == '"')
        return string(r);
    return word(r, "true") || word(r, "false") || word(r, "null") || word(r, "NaN") || number(r);
}

static bool value(struct reader *r)
{
    if (r->depth == JSON_DEPTH_MAX)
        return false;
    r->depth++;
    blanks(r);
    bool good = bare_value(r);
    blanks(r);
    r->depth--;
    return good;
}

static bool is_utf8(struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.at[i];
        unsigned more = c < 0x80   ? 0
                        : c < 0xc2 ? 9
                        : c < 0xe0 ? 1
                        : c < 0xf0 ? 2
                        : c < 0xf5 ? 3
                                   : 9;
        if (more >= text.len - i)
            return false;
        unsigned char second = more > 0 ? (unsigned char)text.at[i + 1] : 0x80;
        if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second >= 0xa0) ||
            (c == 0xf0 && second < 0x90) || (c == 0xf4 && second >= 0x90))
            return false;
        for (unsigned k = 1; k <= more; k++)
            if (((unsigned char)text.at[i + k] & 0xc0) != 0x80)
                return false;
        i += 1 + more;
    }
    return true;
}

static bool pair(struct reader *r, const char *const *keys, unsigned count, struct slice *values)
{
    struct slice name;
    if (!key(r, &name))
        return false;
    blanks(r);
    const char *from = r->at;
    if (!value(r))
        return false;
    for (unsigned i = 0; i < count; i++)
        if (slice_eq(name, slice_of(keys[i]))) /* none of those wanted has an escape in it */
            values[i] = (struct slice){from, (size_t)(r->at - from)};
    return true;
}

int json_find(struct slice document, const char *const *keys, unsigned count,
              struct slice *ret_values)
{
    struct reader r = {.at = document.at, .end = document.at + document.len};
    for (unsigned i = 0; i < count; i++)
        ret_values[i] = SLICE("");
    blanks(&r);
    if (!is_utf8(document) || !take(&r, '{'))
        return -EINVAL;
    blanks(&r);
    bool more = !take(&r, '}');
    while (more) {
        if (!pair(&r, keys, count, ret_values))
            return -EINVAL;
        more = take(&r, ',');
        if (!more && !take(&r, '}'))
            return -EINVAL;
    }
    blanks(&r);
    return r.at == r.end ? 0 : -EINVAL;
}
