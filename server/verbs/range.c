/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/range.h"
#include <inttypes.h>
#include <stdio.h>

/* One item as written; numbers without leading zeros, empty: not given. */
struct range_item {
    struct slice first, last;
    bool has_first, has_last;
};

static bool digits_only(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    return s.len > 0;
}

static struct slice without_zeros(struct slice s)
{
    while (s.len > 0 && s.at[0] == '0')
        s = (struct slice){s.at + 1, s.len - 1};
    return s;
}

static int compare_digits(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.at, b.at, a.len) : 0;
}

/* Numbers beyond any object's size all mean "beyond the end". */
static uint64_t saturated(struct slice digits)
{
    uint64_t value = 0;
    if (digits.len > 18)
        return INT64_MAX;
    for (size_t i = 0; i < digits.len; i++)
        value = value * 10 + (uint64_t)(digits.at[i] - '0');
    return value;
}

static bool item_parse(struct slice text, struct range_item *item)
{
    const char *hyphen = memchr(text.at, '-', text.len);
    if (!hyphen)
        return false;
    struct slice first = {text.at, (size_t)(hyphen - text.at)};
    struct slice last = {hyphen + 1, text.len - first.len - 1};
    item->has_first = first.len > 0;
    item->has_last = last.len > 0;
    if ((item->has_first && !digits_only(first)) || (item->has_last && !digits_only(last)))
        return false;
    item->first = without_zeros(first);
    item->last = without_zeros(last);
    if (item->has_first && item->has_last)
        return compare_digits(item->first, item->last) <= 0;
    return item->has_first || item->has_last;
}

/* False: beyond the object. */
static bool item_resolve(const struct range_item *item, uint64_t size, struct byte_range *ret)
{
    uint64_t first = saturated(item->first), last = saturated(item->last);
    if (!item->has_first) {
        if (last == 0)
            return false;
        *ret = (struct byte_range){last > size ? 0 : size - last, size};
        return true;
    }
    if (first >= size)
        return false;
    *ret = (struct byte_range){first, item->has_last && last < size ? last + 1 : size};
    return true;
}

static bool overlaps(struct byte_range a, struct byte_range b)
{
    return (a.start < b.start && b.start < a.end) || (a.start < b.end && b.end < a.end) ||
           (b.start < a.start && a.start < b.end) || (b.start < a.end && a.end < b.end);
}

/* RFC 7233 6.1: requests that cost far more than they deserve. */
static bool set_is_egregious(const struct range_set *set)
{
    unsigned pairs = 0;
    bool ascending = true;
    for (unsigned i = 0; i < set->count; i++) {
        for (unsigned k = i + 1; k < set->count; k++)
            pairs += overlaps(set->items[i], set->items[k]);
        struct byte_range a = set->items[i], b = set->items[i + 1 < set->count ? i + 1 : i];
        ascending = ascending && (a.start < b.start || (a.start == b.start && a.end <= b.end));
    }
    return pairs > RANGE_MAX_OVERLAPS || (!ascending && set->count >= RANGE_MAX_UNORDERED);
}

/* Spaces may stand anywhere, so the header is read through a copy without them. */
static size_t without_spaces(struct slice header, char *text)
{
    size_t len = 0;
    for (size_t i = 0; i < header.len; i++)
        if (header.at[i] != ' ')
            text[len++] = header.at[i];
    return len;
}

enum range_verdict range_parse(struct slice header, uint64_t size, struct range_set *set)
{
    char text[8192]; /* a header line is not longer; a joined one that is, is ignored */
    bool too_many = false;
    set->count = 0;
    if (header.len == 0 || header.len > sizeof text)
        return RANGE_IGNORED;
    struct slice rest = {text, without_spaces(header, text)};
    if (rest.len < 6 || strncasecmp(rest.at, "bytes=", 6) != 0)
        return RANGE_IGNORED;
    rest = (struct slice){rest.at + 6, rest.len - 6};
    for (bool more = true; more;) {
        const char *comma = memchr(rest.at, ',', rest.len);
        size_t len = comma ? (size_t)(comma - rest.at) : rest.len;
        struct range_item item;
        struct byte_range range;
        if (!item_parse((struct slice){rest.at, len}, &item))
            return RANGE_IGNORED;
        if (item_resolve(&item, size, &range)) {
            if (set->count < set->room)
                set->items[set->count++] = range;
            else
                too_many = true;
        }
        more = comma;
        if (comma)
            rest = (struct slice){comma + 1, rest.len - len - 1};
    }
    if (set->count == 0 || too_many || set_is_egregious(set))
        return RANGE_UNSATISFIABLE;
    return size == 0 ? RANGE_IGNORED : RANGE_SATISFIABLE;
}

/* ---- multipart/byteranges ---- */

size_t multipart_text(const struct multipart *m, const struct range_set *set, unsigned index,
                      char *text)
{
    const char *line_end = index > 0 ? "\r\n" : "";
    if (index == set->count)
        return (size_t)sprintf(text, "%s--%s--", line_end, m->boundary);
    const struct byte_range *range = &set->items[index];
    size_t len = (size_t)sprintf(text, "%s--%s\r\nContent-Type: ", line_end, m->boundary);
    memcpy(text + len, m->content_type.at, m->content_type.len);
    len += m->content_type.len;
    return len + (size_t)sprintf(text + len,
                                 "\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
                                 "\r\n\r\n",
                                 range->start, range->end - 1, m->size);
}

static uint64_t decimal_digits(uint64_t n)
{
    uint64_t digits = 1;
    for (; n >= 10; n /= 10)
        digits++;
    return digits;
}

uint64_t multipart_length(const struct multipart *m, const struct range_set *set)
{
    const uint64_t fixed = strlen("--\r\nContent-Type: \r\nContent-Range: bytes -/\r\n\r\n\r\n") +
                           RANGE_BOUNDARY_LEN + m->content_type.len + decimal_digits(m->size);
    uint64_t length = strlen("----") + RANGE_BOUNDARY_LEN;
    for (unsigned i = 0; i < set->count; i++) {
        const struct byte_range *range = &set->items[i];
        length += fixed + decimal_digits(range->start) + decimal_digits(range->end - 1) +
                  (range->end - range->start);
    }
    return length;
}
