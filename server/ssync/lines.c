/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ssync/lines.h"
#include <errno.h>
#include <stdlib.h>

static int make_room(struct lines *l, size_t len)
{
    size_t have = l->end - l->start;
    if (l->start > 0) {
        memmove(l->at, l->at + l->start, have);
        l->scanned -= l->start;
        l->start = 0;
        l->end = have;
    }
    if (have + len <= l->room)
        return 0;
    size_t room = l->room > 0 ? l->room : 4096;
    while (room < have + len)
        room *= 2;
    char *bigger = realloc(l->at, room);
    if (bigger == NULL)
        return -ENOMEM;
    l->at = bigger;
    l->room = room;
    return 0;
}

int lines_add(struct lines *l, const char *at, size_t len)
{
    if (len == 0)
        return 0;
    int res = make_room(l, len);
    if (res < 0)
        return res;
    memcpy(l->at + l->end, at, len);
    l->end += len;
    return 0;
}

void lines_free(struct lines *l)
{
    free(l->at);
    *l = (struct lines){0};
}

enum line_verdict lines_next(struct lines *l, struct slice *ret_line)
{
    const char *lf = NULL;
    if (l->end > l->scanned)
        lf = memchr(l->at + l->scanned, '\n', l->end - l->scanned);
    size_t len = (lf != NULL ? (size_t)(lf + 1 - l->at) : l->end) - l->start;
    if (len > LINE_MAX_BYTES || (lf == NULL && len == LINE_MAX_BYTES))
        return LINE_TOO_LONG;
    if (lf == NULL) {
        l->scanned = l->end;
        return LINE_MORE;
    }
    *ret_line = (struct slice){l->at + l->start, len};
    l->start += len;
    l->scanned = l->start;
    return LINE_WHOLE;
}

struct slice lines_bytes(const struct lines *l)
{
    return (struct slice){l->at != NULL ? l->at + l->start : "", l->end - l->start};
}

void lines_skip(struct lines *l, size_t len)
{
    l->start += len;
    if (l->scanned < l->start)
        l->scanned = l->start;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice line_strip(struct slice line)
{
    while (line.len > 0 && is_blank(line.at[0])) {
        line.at++;
        line.len--;
    }
    while (line.len > 0 && is_blank(line.at[line.len - 1]))
        line.len--;
    return line;
}

struct slice line_word(struct slice *line)
{
    struct slice rest = line_strip(*line);
    size_t len = 0;
    while (len < rest.len && !is_blank(rest.at[len]))
        len++;
    *line = (struct slice){rest.at + len, rest.len - len};
    return (struct slice){rest.at, len};
}
