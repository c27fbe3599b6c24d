/* SPDX-License-Identifier: Apache-2.0 */
/* json.c -- writing; see json.h. */
#include "server/recon/json.h"
#include "server/node/float_text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void json_init(struct json *j)
{
    *j = (struct json){.text = NULL};
}

static void put(struct json *j, const char *at, size_t len)
{
    if (j->len + len + 1 > j->room && !j->failed) {
        size_t room = (j->room + len + 128) * 2;
        char *bigger = realloc(j->text, room);
        j->failed = bigger == NULL;
        if (bigger != NULL) {
            j->text = bigger;
            j->room = room;
        }
    }
    if (j->failed)
        return;
    memcpy(j->text + j->len, at, len);
    j->len += len;
    j->text[j->len] = '\0';
}

__attribute__((format(printf, 2, 3))) static void print(struct json *j, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put(j, text, (size_t)len);
}

static void begin_value(struct json *j)
{
    if (j->comma)
        put(j, ", ", 2);
    j->comma = true;
}

static void open_with(struct json *j, const char *mark)
{
    begin_value(j);
    put(j, mark, 1);
    j->comma = false;
}

static void close_with(struct json *j, const char *mark)
{
    put(j, mark, 1);
    j->comma = true;
}

void json_object(struct json *j)
{
    open_with(j, "{");
}

void json_array(struct json *j)
{
    open_with(j, "[");
}

void json_end_object(struct json *j)
{
    close_with(j, "}");
}

void json_end_array(struct json *j)
{
    close_with(j, "]");
}

/* ---- strings ---- */

static void put_unit(struct json *j, unsigned unit)
{
    static const char escaped[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    const char *at = unit > 0 && unit < 0x80 ? strchr(escaped, (int)unit) : NULL;
    if (at != NULL)
        print(j, "\\%c", letters[at - escaped]);
    else if (unit >= 0x20 && unit < 0x7f)
        put(j, &(char){(char)unit}, 1);
    else
        print(j, "\\u%04x", unit);
}

static void put_code_point(struct json *j, unsigned point)
{
    if (point < 0x10000) {
        put_unit(j, point);
        return;
    }
    put_unit(j, 0xd800 + ((point - 0x10000) >> 10));
    put_unit(j, 0xdc00 + ((point - 0x10000) & 0x3ff));
}

/* Length of the well-formed sequence at `at`, 0: none. */
static unsigned sequence(const unsigned char *at, size_t left, unsigned *ret_point)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned len = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (len == 0 || len > left || at[0] > 0xf4)
        return 0;
    unsigned point = len == 1 ? at[0] : at[0] & (0x7fu >> len);
    for (unsigned i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return 0;
    *ret_point = point;
    return len;
}

static void put_string(struct json *j, struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    put(j, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        unsigned point = 0, len = sequence(at + i, text.len - i, &point);
        if (len == 0)
            put_unit(j, 0xdc00 + at[i]);
        else
            put_code_point(j, point);
        i += len > 0 ? len : 1;
    }
    put(j, "\"", 1);
}

void json_key(struct json *j, struct slice key)
{
    begin_value(j);
    put_string(j, key);
    put(j, ": ", 2);
    j->comma = false;
}

void json_text(struct json *j, struct slice text)
{
    begin_value(j);
    put_string(j, text);
}

/* ---- the rest ---- */

void json_int(struct json *j, int64_t value)
{
    begin_value(j);
    print(j, "%lld", (long long)value);
}

void json_float(struct json *j, double value)
{
    char text[FLOAT_TEXT_MAX];
    begin_value(j);
    print(j, "%s", float_text(value, text));
}

void json_bool(struct json *j, bool value)
{
    begin_value(j);
    print(j, "%s", value ? "true" : "false");
}

void json_null(struct json *j)
{
    begin_value(j);
    put(j, "null", 4);
}

char *json_take(struct json *j, size_t *ret_len)
{
    char *text = j->text;
    if (j->failed) {
        free(text);
        text = NULL;
    }
    *ret_len = j->len;
    json_init(j);
    return text;
}

/* ---- copying what was read ---- */

static unsigned hex4(const char *at)
{
    char digits[5] = {at[0], at[1], at[2], at[3], '\0'};
    return (unsigned)strtoul(digits, NULL, 16);
}

/* An escape is one unit of UTF-16 in and one out, so halves of a pair need not meet. */
static const char *copy_string(struct json *j, const char *at)
{
    static const char letters[] = "\"\\/nrtfb", meant[] = "\"\\/\n\r\t\f\b";
    put(j, "\"", 1);
    for (at++; *at != '"';) {
        unsigned point = 0;
        if (*at == '\\' && at[1] == 'u') {
            put_unit(j, hex4(at + 2));
            at += 6;
        } else if (*at == '\\') {
            put_unit(j, (unsigned char)meant[strchr(letters, at[1]) - letters]);
            at += 2;
        } else {
            at += sequence((const unsigned char *)at, 4, &point);
            put_code_point(j, point);
        }
    }
    put(j, "\"", 1);
    return at + 1;
}

static const char *copy_number(struct json *j, const char *at)
{
    size_t len = strcspn(at, ",]} \t\r\n");
    char text[FLOAT_TEXT_MAX];
    if (memchr(at, '.', len) != NULL || memchr(at, 'e', len) != NULL ||
        memchr(at, 'E', len) != NULL)
        print(j, "%s", float_text(strtod(at, NULL), text));
    else if (len == 2 && at[0] == '-' && at[1] == '0')
        put(j, "0", 1);
    else
        put(j, at, len);
    return at + len;
}

/* The value was checked by json_find() and lies in a document that ends in '}', so there is
 * always a byte to look at. */
void json_copy(struct json *j, struct slice value)
{
    begin_value(j);
    for (const char *at = value.at, *end = at + value.len; at < end;) {
        if (*at == '"')
            at = copy_string(j, at);
        else if (*at == '-' || (*at >= '0' && *at <= '9'))
            at = strncmp(at, "-I", 2) == 0 ? (put(j, at, 9), at + 9) : copy_number(j, at);
        else if (strchr(" \t\r\n", *at) != NULL)
            at++;
        else {
            put(j, at, 1);
            if (*at == ',' || *at == ':')
                put(j, " ", 1);
            at++;
        }
    }
    j->comma = true;
}
