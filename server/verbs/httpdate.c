/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/httpdate.h"
#include "diskfile/format/number.h"
#include <errno.h>
#include <string.h>

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

struct civil {
    int64_t year;
    unsigned month, day, hour, minute, second; /* month, day from 1 */
};

/* Howard Hinnant's day count: years begin in March, so that the leap day comes last. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

static struct civil civil_from_days(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    struct civil c = {.day = day_of_year - (153 * shifted + 2) / 5 + 1,
                      .month = shifted < 10 ? shifted + 3 : shifted - 9};
    c.year = (int64_t)year_of_era + era * 400 + (c.month <= 2);
    return c;
}

static unsigned days_in_month(int64_t year, unsigned month)
{
    static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* ---- words ---- */

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '-';
}

static bool next_word(struct slice *rest, struct slice *ret_word)
{
    while (rest->len > 0 && is_between(rest->at[0]))
        *rest = (struct slice){rest->at + 1, rest->len - 1};
    size_t len = 0;
    while (len < rest->len && !is_between(rest->at[len]))
        len++;
    *ret_word = (struct slice){rest->at, len};
    *rest = (struct slice){rest->at + len, rest->len - len};
    return len > 0;
}

static bool number_of(struct slice word, size_t max_digits, unsigned *ret)
{
    unsigned value = 0;
    if (word.len == 0 || word.len > max_digits)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if (word.at[i] < '0' || word.at[i] > '9')
            return false;
        value = value * 10 + (unsigned)(word.at[i] - '0');
    }
    *ret = value;
    return true;
}

static bool month_of(struct slice word, unsigned *ret)
{
    for (unsigned i = 0; i < 12; i++)
        if (slice_eq_nocase(word, (struct slice){months[i], 3})) {
            *ret = i + 1;
            return true;
        }
    return false;
}

static bool year_of(struct slice word, int64_t *ret)
{
    unsigned year;
    if ((word.len != 2 && word.len != 4) || !number_of(word, 4, &year))
        return false;
    if (word.len == 2) /* RFC 850 */
        year += year > 68 ? 1900 : 2000;
    *ret = year;
    return year >= 1;
}

static bool time_of(struct slice word, struct civil *c)
{
    unsigned *const parts[3] = {&c->hour, &c->minute, &c->second};
    for (unsigned i = 0; i < 3; i++) {
        const char *colon = memchr(word.at, ':', word.len);
        if (!colon != (i == 2))
            return false;
        size_t len = colon ? (size_t)(colon - word.at) : word.len;
        if (!number_of((struct slice){word.at, len}, 2, parts[i]))
            return false;
        if (colon)
            word = (struct slice){colon + 1, word.len - len - 1};
    }
    return c->hour < 24 && c->minute < 60 && c->second < 60;
}

/* After the weekday: "Nov 6 08:49:37 1994" or "06 Nov 1994 08:49:37 [zone]". */
static bool civil_of(struct slice first, struct slice rest, struct civil *c)
{
    struct slice second, third, fourth;
    if (!next_word(&rest, &second) || !next_word(&rest, &third) || !next_word(&rest, &fourth))
        return false;
    if (month_of(first, &c->month))
        return number_of(second, 2, &c->day) && time_of(third, c) && year_of(fourth, &c->year);
    return number_of(first, 2, &c->day) && month_of(second, &c->month) &&
           year_of(third, &c->year) && time_of(fourth, c);
}

int httpdate_parse(struct slice text, int64_t *ret_s)
{
    struct slice word;
    struct civil c = {0};
    unsigned number;
    if (!next_word(&text, &word))
        return -EINVAL;
    if (!number_of(word, 2, &number) && !month_of(word, &number) && !next_word(&text, &word))
        return -EINVAL; /* it was a weekday and nothing follows */
    if (!civil_of(word, text, &c) || c.day < 1 || c.day > days_in_month(c.year, c.month))
        return -EINVAL;
    *ret_s =
        days_from_civil(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
    return 0;
}

int httpdate_format(int64_t seconds, char text[HTTPDATE_MAX])
{
    const int64_t last = 253402300799; /* 9999-12-31 23:59:59 */
    if (seconds > last)
        seconds = last;
    if (seconds < 0)
        seconds = 0;
    int64_t days = seconds / 86400;
    unsigned rest = (unsigned)(seconds % 86400);
    struct civil c = civil_from_days(days);
    char *at = stpcpy(stpcpy(text, weekdays[days % 7]), ", ");
    at = number_write(at, c.day, 2);
    *at++ = ' ';
    at = stpcpy(at, months[c.month - 1]);
    *at++ = ' ';
    at = number_write(at, (unsigned)c.year, 4);
    *at++ = ' ';
    at = number_write(at, rest / 3600, 2);
    *at++ = ':';
    at = number_write(at, rest / 60 % 60, 2);
    *at++ = ':';
    at = stpcpy(number_write(at, rest % 60, 2), " GMT");
    return (int)(at - text);
}
