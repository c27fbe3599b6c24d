/* SPDX-License-Identifier: Apache-2.0 */
/* json_print.c -- JSON as Python's json.dumps(..., sort_keys=True) writes it. */
#include "tools/audit/json.h"

#include <stdlib.h>

/* Decodes one UTF-8 sequence; bytes that are none become themselves as U+DC80..U+DCFF, which
 * is what Python's surrogateescape makes of them. Returns the bytes used. */
static size_t code_point(const unsigned char *at, size_t left, unsigned *ret)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned c = at[0];
    size_t len = c < 0x80                ? 1
                 : c >= 0xf0 && c < 0xf8 ? 4
                 : c >= 0xe0 && c < 0xf0 ? 3
                 : c >= 0xc2 && c < 0xe0 ? 2
                                         : 0;
    if (len == 1) {
        *ret = c;
        return 1;
    }
    unsigned point = len ? c & (0x7fu >> len) : 0;
    bool good = len > 0 && len <= left;
    for (size_t i = 1; good && i < len; i++) {
        good = (at[i] & 0xc0) == 0x80;
        point = point << 6 | (at[i] & 0x3f);
    }
    if (!good || point < least[len] || point > 0x10ffff) {
        *ret = 0xdc00 + c;
        return 1;
    }
    *ret = point;
    return len;
}

static void print_point(unsigned c, FILE *out)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (found)
        fprintf(out, "\\%c", to[found - from]);
    else if (c >= 0x20 && c < 0x7f)
        fputc((int)c, out);
    else if (c < 0x10000)
        fprintf(out, "\\u%04x", c);
    else
        fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
}

void json_print_text(struct slice text, FILE *out)
{
    fputc('"', out);
    for (size_t at = 0; at < text.len;) {
        unsigned c;
        at += code_point((const unsigned char *)text.at + at, text.len - at, &c);
        print_point(c, out);
    }
    fputc('"', out);
}

static void print_array(const struct json *v, FILE *out)
{
    fputc('[', out);
    for (const struct json *m = v->first; m; m = m->next) {
        json_print(m, out);
        if (m->next)
            fputs(", ", out);
    }
    fputc(']', out);
}

static int by_key(const void *a, const void *b)
{
    const struct json *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static void print_object(const struct json *v, FILE *out)
{
    size_t count = 0, i = 0;
    for (const struct json *m = v->first; m; m = m->next)
        count++;
    const struct json **members = calloc(count + 1, sizeof(*members));
    if (!members) { /* unsorted is right too */
        fputs("{}", out);
        return;
    }
    for (const struct json *m = v->first; m; m = m->next)
        members[i++] = m;
    qsort(members, count, sizeof(*members), by_key);
    fputc('{', out);
    for (i = 0; i < count; i++) {
        fputs(i ? ", " : "", out);
        json_print_text(slice_of(members[i]->key), out);
        fputs(": ", out);
        json_print(members[i], out);
    }
    fputc('}', out);
    free(members);
}

void json_print(const struct json *v, FILE *out)
{
    switch (v->type) {
    case JSON_NULL:
        fputs("null", out);
        break;
    case JSON_FALSE:
        fputs("false", out);
        break;
    case JSON_TRUE:
        fputs("true", out);
        break;
    case JSON_NUMBER:
        fputs(v->text, out);
        break;
    case JSON_STRING:
        json_print_text((struct slice){v->text, v->text_len}, out);
        break;
    case JSON_ARRAY:
        print_array(v, out);
        break;
    case JSON_OBJECT:
        print_object(v, out);
        break;
    }
}
