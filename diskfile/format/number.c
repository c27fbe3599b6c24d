/* SPDX-License-Identifier: Apache-2.0 */
/* number.c -- see number.h. */
#include "diskfile/format/number.h"
#include <errno.h>

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice number_strip(struct slice text)
{
    while (text.len > 0 && is_blank(text.at[0]))
        text.at++, text.len--;
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

/* 99: not a digit. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 99;
}

static int parse_digits(struct slice text, unsigned base, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool after_digit = false, too_big = false;

    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        unsigned digit = digit_value(text.at[i]);
        if (digit >= base)
            return -EINVAL;
        too_big |= __builtin_mul_overflow(value, (uint64_t)base, &value);
        too_big |= __builtin_add_overflow(value, (uint64_t)digit, &value);
        after_digit = true;
    }
    if (!after_digit)
        return -EINVAL;
    if (too_big)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

static struct slice skip(struct slice text, size_t count)
{
    return (struct slice){text.at + count, text.len - count};
}

int number_parse(struct slice text, unsigned base, struct number *ret_number)
{
    bool minus = false;
    uint64_t magnitude;

    text = number_strip(text);
    if (text.len > 0 && (text.at[0] == '+' || text.at[0] == '-')) {
        minus = text.at[0] == '-';
        text = skip(text, 1);
    }
    if (base == 16 && text.len > 1 && text.at[0] == '0' && (text.at[1] | 0x20) == 'x') {
        text = skip(text, 2);
        if (text.len > 0 && text.at[0] == '_')
            text = skip(text, 1);
    }
    int r = parse_digits(text, base, &magnitude);
    if (r < 0)
        return r;
    *ret_number = (struct number){magnitude, minus && magnitude > 0};
    return 0;
}

char *number_write(char *at, uint64_t value, unsigned width)
{
    char digits[NUMBER_DIGITS_MAX];
    unsigned len = 0;
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (; width > len; width--)
        *at++ = '0';
    while (len > 0)
        *at++ = digits[--len];
    return at;
}
