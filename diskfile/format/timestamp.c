/* SPDX-License-Identifier: Apache-2.0 */
/* timestamp.c -- see timestamp.h. */
#include "diskfile/format/timestamp.h"
#include "diskfile/format/number.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_TEXT_MAX 256 /* with its NUL: no file name is longer */

static size_t count_digits(struct slice text, size_t from)
{
    size_t i = from;
    while (i < text.len && text.at[i] >= '0' && text.at[i] <= '9')
        i++;
    return i - from;
}

static uint64_t digits_value(struct slice text, size_t from, size_t count)
{
    uint64_t value = 0;
    for (size_t i = from; i < from + count; i++)
        value = value * 10 + (uint64_t)(text.at[i] - '0');
    return value;
}

/* Up to 10 digits, a point and up to 5 more: what is written everywhere. A double holds 15
 * digits without loss, so this is what the detour through floating point would give. */
static bool parse_plain(struct slice text, uint64_t *ret_ticks)
{
    static const unsigned scale[] = {100000, 10000, 1000, 100, 10, 1};
    size_t whole = count_digits(text, 0), decimals = 0, end = whole;

    if (whole == 0 || whole > 10)
        return false;
    if (end < text.len && text.at[end] == '.') {
        decimals = count_digits(text, whole + 1);
        end += 1 + decimals;
    }
    if (end != text.len || decimals > 5)
        return false;
    *ret_ticks = digits_value(text, 0, whole) * TIMESTAMP_TICKS_PER_S +
                 digits_value(text, whole + 1, decimals) * scale[decimals];
    return true;
}

/* What strtod(3) takes beyond this (hex, inf, nan) is not a timestamp. */
static bool is_decimal_float(struct slice text)
{
    size_t i = 0;
    if (i < text.len && (text.at[i] == '+' || text.at[i] == '-'))
        i++;
    size_t digits = count_digits(text, i);
    i += digits;
    if (i < text.len && text.at[i] == '.') {
        size_t decimals = count_digits(text, ++i);
        digits += decimals;
        i += decimals;
    }
    if (digits == 0)
        return false;
    if (i < text.len && (text.at[i] | 0x20) == 'e') {
        i++;
        if (i < text.len && (text.at[i] == '+' || text.at[i] == '-'))
            i++;
        size_t exponent = count_digits(text, i);
        if (exponent == 0)
            return false;
        i += exponent;
    }
    return i == text.len;
}

/* As Swift: to a double, and that printed with 5 decimals is what counts. */
static int parse_float(struct slice text, uint64_t *ret_ticks)
{
    char copy[NUMBER_TEXT_MAX], rounded[32];

    if (!is_decimal_float(text) || text.len >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    double seconds = strtod(copy, NULL);
    if (!(seconds >= 0 && seconds < 1e10))
        return -EINVAL;
    snprintf(rounded, sizeof(rounded), "%.5f", fabs(seconds)); /* -0 is 0 */
    char *point = strchr(rounded, '.');
    memmove(point, point + 1, strlen(point));
    uint64_t ticks = strtoull(rounded, NULL, 10);
    if (ticks >= TIMESTAMP_TICKS_END)
        return -EINVAL;
    *ret_ticks = ticks;
    return 0;
}

static int parse_offset(struct slice text, uint64_t *ret_offset)
{
    struct number offset = {0};

    if (memchr(text.at, '_', text.len))
        return -EINVAL;
    if (text.len > 0 && (number_parse(text, 16, &offset) < 0 || offset.negative))
        return -EINVAL;
    *ret_offset = offset.magnitude;
    return 0;
}

int timestamp_parse(struct slice text, struct timestamp *ret_ts)
{
    struct timestamp ts = {0, 0};
    const char *bar = text.len > 0 ? memchr(text.at, '_', text.len) : NULL;

    if (bar) {
        size_t base_len = (size_t)(bar - text.at);
        int r = parse_offset((struct slice){bar + 1, text.len - base_len - 1}, &ts.offset);
        if (r < 0)
            return r;
        text.len = base_len;
    }
    text = number_strip(text);
    if (!parse_plain(text, &ts.ticks)) {
        int r = parse_float(text, &ts.ticks);
        if (r < 0)
            return r;
    }
    *ret_ts = ts;
    return 0;
}

int timestamp_cmp(struct timestamp a, struct timestamp b)
{
    if (a.ticks != b.ticks)
        return a.ticks < b.ticks ? -1 : 1;
    return (a.offset > b.offset) - (a.offset < b.offset);
}

int timestamp_normal(struct timestamp ts, char text[TIMESTAMP_TEXT_MAX])
{
    char *at = number_write(text, ts.ticks / TIMESTAMP_TICKS_PER_S, 10);
    *at++ = '.';
    at = number_write(at, ts.ticks % TIMESTAMP_TICKS_PER_S, 5);
    *at = '\0';
    return (int)(at - text);
}

int timestamp_internal(struct timestamp ts, char text[TIMESTAMP_TEXT_MAX])
{
    int len = timestamp_normal(ts, text);
    if (ts.offset)
        len += snprintf(text + len, TIMESTAMP_TEXT_MAX - (size_t)len, "_%016" PRIx64, ts.offset);
    return len;
}

int timestamp_short(struct timestamp ts, char text[TIMESTAMP_TEXT_MAX])
{
    int len = timestamp_normal(ts, text);
    if (ts.offset)
        len += snprintf(text + len, TIMESTAMP_TEXT_MAX - (size_t)len, "_%" PRIx64, ts.offset);
    return len;
}

uint64_t timestamp_ceil_s(struct timestamp ts)
{
    return (ts.ticks + TIMESTAMP_TICKS_PER_S - 1) / TIMESTAMP_TICKS_PER_S;
}
