/* SPDX-License-Identifier: Apache-2.0 */
/* The input of SSYNC: lines, and each taken for an offer and for a part of a subrequest's head. The
 * first byte says into how long pieces the stream is cut. Holds: lines are the same however it is
 * cut; a hash is 32 digits or none; times are times. */
#include "server/ssync/lines.h"
#include "server/ssync/offer.h"
#include "server/ssync/part_head.h"
#include "server/ssync/repr.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

struct seen {
    uint64_t lines, bytes, digest;
    bool too_long;
};

static void note(struct seen *s, struct slice line)
{
    s->lines++;
    s->bytes += line.len;
    for (size_t i = 0; i < line.len; i++)
        s->digest = s->digest * 31 + (unsigned char)line.at[i];
}

static void read_lines(const uint8_t *data, size_t len, size_t piece, struct seen *s)
{
    struct lines in = {.at = NULL};
    struct slice line;
    enum line_verdict verdict = LINE_MORE;
    for (size_t at = 0; at < len && verdict != LINE_TOO_LONG; at += piece) {
        HOLDS(lines_add(&in, (const char *)data + at, piece < len - at ? piece : len - at) == 0);
        while ((verdict = lines_next(&in, &line)) == LINE_WHOLE)
            note(s, line);
    }
    s->too_long = verdict == LINE_TOO_LONG;
    lines_free(&in);
}

static void check_offer(struct slice line)
{
    struct offer o;
    bool pending;
    struct df_info info = {.state = DF_LIVE};
    if (offer_parse(line, &o) != NULL)
        return;
    HOLDS(strlen(o.word) < sizeof(o.word));
    HOLDS(o.hash[0] == '\0' || strspn(o.hash, "0123456789abcdef") == HASH_HEX_LEN);
    HOLDS(o.meta.ticks < TIMESTAMP_TICKS_END && o.ctype.ticks < TIMESTAMP_TICKS_END);
    HOLDS(offer_wants(&o, NULL, 0, &pending) == (WANT_DATA | WANT_META));
    HOLDS(offer_wants(&o, &info, 0, &pending) <= (WANT_DATA | WANT_META) && !pending);
}

static void check_head(const struct part_head *h)
{
    HOLDS(h->count <= PART_HEADERS_MAX);
    const char *names = part_head_stored_names(h);
    HOLDS(names == NULL || strlen(names) <= h->bytes);
    (void)part_head_check(h);
}

static void read_heads(const uint8_t *data, size_t len, struct arena *a)
{
    struct lines in = {.at = NULL};
    struct slice line;
    struct part_head h;
    enum part_verdict verdict = PART_WHOLE;
    HOLDS(lines_add(&in, (const char *)data, len) == 0);
    while (lines_next(&in, &line) == LINE_WHOLE) {
        check_offer(line);
        bool first = verdict != PART_MORE;
        if (first)
            arena_reset(a);
        verdict = first ? part_head_begin(&h, a, 65536, line) : part_head_add(&h, line);
        HOLDS((verdict == PART_BAD) == (h.problem != NULL));
        if (verdict == PART_WHOLE)
            check_head(&h);
        if (verdict == PART_BAD)
            HOLDS(repr_text(a, slice_of(h.problem)) != NULL);
    }
    lines_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct seen whole = {.lines = 0}, cut = {.lines = 0};
    struct arena *a = arena_new(1 << 20);
    if (len > 1 && a != NULL) {
        read_lines(data + 1, len - 1, len - 1, &whole);
        read_lines(data + 1, len - 1, 1 + data[0] % 16, &cut);
        HOLDS(whole.too_long == cut.too_long);
        HOLDS(whole.too_long ||
              (whole.lines == cut.lines && whole.bytes == cut.bytes && whole.digest == cut.digest));
        read_heads(data + 1, len - 1, a);
    }
    arena_free(a);
    return 0;
}
