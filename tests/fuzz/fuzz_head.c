/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of requests. The first byte chooses the mode; the rest is what a client sends.
 * Holds: a head that comes byte by byte is judged as one that comes at once; all that is
 * handed on can be read. */
#include "server/http/arena.h"
#include "server/http/head.h"
#include "tests/fuzz/fuzz.h"

static struct head_limits limits_of(bool standalone)
{
    return (struct head_limits){.request_line = 512,
                                .header_line = 512,
                                .all = 2048,
                                .lines = 40,
                                .standalone = standalone};
}

static unsigned sum_of(struct slice s)
{
    unsigned sum = 0;
    for (size_t i = 0; i < s.len; i++)
        sum += (unsigned char)s.at[i];
    return sum;
}

/* Reads every byte that the verbs may read. */
static unsigned touch(const struct request *r)
{
    unsigned sum = sum_of(r->method) + sum_of(r->target) + sum_of(r->path) + sum_of(r->query);
    for (unsigned i = 0; i < r->header_count; i++)
        sum += sum_of(r->headers[i].name) + sum_of(r->headers[i].value);
    return sum;
}

static enum head_verdict scan_slowly(const struct head_limits *limits, const char *bytes,
                                     size_t len, struct head_scan *s, size_t *ret_len)
{
    enum head_verdict v = HEAD_MORE;
    for (size_t n = 1; n <= len && v == HEAD_MORE; n++)
        v = head_scan(s, limits, bytes, n, ret_len);
    return v;
}

static void parse(const struct head_limits *limits, const struct head_scan *s, const char *bytes,
                  size_t len)
{
    static volatile unsigned sink;
    struct request r = {.arena = arena_new(1 << 20)};
    llhttp_t parser;
    char *copy = malloc(len);
    HOLDS(copy != NULL && r.arena != NULL);
    memcpy(copy, bytes, len);
    if (head_parse(&r, &parser, s, limits, copy, len) == HEAD_WHOLE) {
        HOLDS(r.method.len > 0 && r.target.len > 0);
        HOLDS(!(limits->standalone && r.chunked && r.has_length));
        HOLDS(r.content_length <= INT64_MAX);
        sink += touch(&r);
        (void)sink;
    }
    free(copy);
    arena_free(r.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    struct head_limits limits = limits_of(data[0] & 1);
    const char *bytes = (const char *)data + 1;
    struct head_scan at_once = {0}, slowly = {0};
    size_t head_len = 0, slow_len = 0;
    enum head_verdict v = head_scan(&at_once, &limits, bytes, len - 1, &head_len);
    HOLDS(scan_slowly(&limits, bytes, len - 1, &slowly, &slow_len) == v);
    HOLDS(slow_len == head_len);
    if (v == HEAD_WHOLE)
        parse(&limits, &at_once, bytes, head_len);
    return 0;
}
