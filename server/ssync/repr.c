/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ssync/repr.h"

static char *put_hex(char *to, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    *to++ = '\\';
    *to++ = 'x';
    *to++ = digits[c >> 4];
    *to++ = digits[c & 15];
    return to;
}

static char short_escape(unsigned char c)
{
    return c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : '\0';
}

static bool is_latin_letter(unsigned char c)
{
    return c > 0xa0 && c != 0xad;
}

static char *put_char(char *to, unsigned char c, char quote, bool text)
{
    if (c == (unsigned char)quote || c == '\\') {
        *to++ = '\\';
        *to++ = (char)c;
    } else if (short_escape(c) != '\0') {
        *to++ = '\\';
        *to++ = short_escape(c);
    } else if (c >= ' ' && c < 0x7f) {
        *to++ = (char)c;
    } else if (text && is_latin_letter(c)) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        to = put_hex(to, c);
    }
    return to;
}

static const char *repr(struct arena *a, struct slice s, bool text)
{
    char *start = arena_alloc(a, 4 * s.len + 4), *to = start;
    if (start == NULL)
        return NULL;
    bool single = s.len > 0 && memchr(s.at, '\'', s.len) != NULL;
    bool twofold = s.len > 0 && memchr(s.at, '"', s.len) != NULL;
    char quote = single && !twofold ? '"' : '\'';
    if (!text)
        *to++ = 'b';
    *to++ = quote;
    for (size_t i = 0; i < s.len; i++)
        to = put_char(to, (unsigned char)s.at[i], quote, text);
    *to++ = quote;
    *to = '\0';
    return start;
}

const char *repr_bytes(struct arena *a, struct slice bytes)
{
    return repr(a, bytes, false);
}

const char *repr_text(struct arena *a, struct slice text)
{
    return repr(a, text, true);
}
