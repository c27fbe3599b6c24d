/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ssync/part_head.h"
#include "diskfile/format/number.h"
#include "server/ssync/lines.h"
#include "server/ssync/repr.h"

static const char no_memory[] = "no memory";
static const char not_two_words[] = "not enough values to unpack (expected 2, got 1)";

static enum part_verdict bad(struct part_head *h, const char *problem)
{
    h->problem = problem != NULL ? problem : no_memory;
    return PART_BAD;
}

static bool keep(struct part_head *h, struct slice text, struct slice *ret)
{
    char *copy = arena_text(h->arena, text);
    *ret = (struct slice){copy, text.len};
    return copy != NULL;
}

static bool split(struct slice text, char mark, struct slice *ret_head, struct slice *ret_tail)
{
    const char *at = text.len > 0 ? memchr(text.at, mark, text.len) : NULL;
    if (at == NULL)
        return false;
    *ret_head = (struct slice){text.at, (size_t)(at - text.at)};
    *ret_tail = (struct slice){at + 1, text.len - ret_head->len - 1};
    return true;
}

enum part_verdict part_head_begin(struct part_head *h, struct arena *arena, size_t limit,
                                  struct slice line)
{
    struct slice method, path;
    *h = (struct part_head){.arena = arena, .limit = limit, .bytes = line.len};
    h->headers = arena_alloc(arena, PART_HEADERS_MAX * sizeof(*h->headers));
    if (h->headers == NULL)
        return bad(h, no_memory);
    if (!split(line_strip(line), ' ', &method, &path))
        return bad(h, not_two_words);
    return keep(h, method, &h->method) && keep(h, path, &h->path) ? PART_MORE : bad(h, no_memory);
}

static void lower(struct slice name)
{
    char *at = (char *)name.at; /* our own copy */
    for (size_t i = 0; i < name.len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] | 32);
}

static struct header *slot_of(struct part_head *h, struct slice name)
{
    for (unsigned i = 0; i < h->count; i++)
        if (slice_eq(h->headers[i].name, name))
            return &h->headers[i];
    return h->count < PART_HEADERS_MAX ? &h->headers[h->count++] : NULL;
}

static enum part_verdict keep_length(struct part_head *h, struct slice value)
{
    struct number length;
    if (number_parse(value, 10, &length) < 0 || length.negative || length.magnitude > INT64_MAX)
        return bad(h, arena_printf(h->arena, "invalid literal for int() with base 10: %s",
                                   repr_text(h->arena, value)));
    h->has_length = true;
    h->content_length = length.magnitude;
    return PART_MORE;
}

enum part_verdict part_head_add(struct part_head *h, struct slice line)
{
    struct header header;
    struct slice text = line_strip(line);
    h->bytes += line.len;
    if (h->bytes > h->limit)
        return bad(h, "the headers of a subrequest are too large");
    if (text.len == 0)
        return PART_WHOLE;
    if (!split(text, ':', &header.name, &header.value))
        return bad(h, not_two_words);
    if (!keep(h, line_strip(header.name), &header.name) ||
        !keep(h, line_strip(header.value), &header.value))
        return bad(h, no_memory);
    lower(header.name);
    struct header *slot = slot_of(h, header.name);
    if (slot == NULL)
        return bad(h, "a subrequest has too many headers");
    *slot = header;
    return slice_eq(header.name, SLICE("content-length")) ? keep_length(h, header.value)
                                                          : PART_MORE;
}

const char *part_head_check(const struct part_head *h)
{
    const char *path = h->path.at;
    const char *text = NULL;
    bool put = slice_eq(h->method, SLICE("PUT"));
    bool bare = slice_eq(h->method, SLICE("DELETE")) || slice_eq(h->method, SLICE("POST"));
    if (put && h->has_length)
        return NULL;
    if (bare && h->content_length == 0)
        return NULL;
    if (put)
        text = arena_printf(h->arena, "No content-length sent for PUT %s", path);
    else if (bare)
        text = arena_printf(h->arena, "%s subrequest with content-length %s", h->method.at, path);
    else
        text = arena_printf(h->arena, "Invalid subrequest method %s", h->method.at);
    return text != NULL ? text : no_memory;
}

static bool is_stored(struct slice name)
{
    return !slice_eq(name, SLICE("etag")) && !slice_eq(name, SLICE("x-backend-no-commit"));
}

const char *part_head_stored_names(const struct part_head *h)
{
    char *text = arena_alloc(h->arena, h->bytes + 1), *to = text;
    for (unsigned i = 0; text != NULL && i < h->count; i++) {
        struct slice name = h->headers[i].name;
        if (!is_stored(name))
            continue;
        if (to > text)
            *to++ = ' ';
        memcpy(to, name.at, name.len);
        to += name.len;
    }
    return text;
}
