/* SPDX-License-Identifier: Apache-2.0 */
/* mime.c -- see mime.h.
 *
 * A boundary inside the input begins with CR, and CR occurs in it nowhere else (a header's value
 * has none), so after a false start nothing has to be looked at twice but the byte at hand. */
#include "server/verbs/mime.h"

void mime_init(struct mime *m, struct slice boundary, char *memory)
{
    *m = (struct mime){.mark = {memory, boundary.len + 4}};
    memcpy(memory, "\r\n--", 4);
    memcpy(memory + 4, boundary.at, boundary.len);
    m->headers = memory + m->mark.len;
}

static void skip(struct slice *s, size_t n)
{
    s->at += n;
    s->len -= n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static struct slice stripped(struct slice s)
{
    while (s.len > 0 && is_blank(s.at[0]))
        skip(&s, 1);
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

static enum mime_event bad(struct mime *m)
{
    m->state = MIME_BROKEN;
    return MIME_BAD;
}

/* ---- the opening boundary ---- */

/* A line, or as much of one as "--B" and its end are long. Kept in `headers`. */
static enum mime_event read_opening(struct mime *m, struct slice *input)
{
    const size_t wanted = m->mark.len; /* "--B\r\n" is as long as "\r\n--B" */
    while (input->len > 0) {
        char c = input->at[0];
        skip(input, 1);
        if (m->line_len >= MIME_HEADERS_MAX)
            return bad(m);
        m->headers[m->line_len++] = c;
        if (c != '\n' && m->line_len < wanted)
            continue;
        struct slice line = {m->headers, m->line_len};
        m->line_len = 0;
        if (slice_eq(line, SLICE("\r\n")))
            continue;
        if (!slice_eq(stripped(line), (struct slice){m->mark.at + 2, m->mark.len - 2}))
            return bad(m);
        m->state = MIME_HEADERS;
        m->headers_len = 0;
        return MIME_MORE;
    }
    return MIME_MORE;
}

/* ---- bytes of a part, up to the next boundary ---- */

/* How many bytes at the end of `s` may be the beginning of the boundary. */
static size_t tail_match(const struct mime *m, struct slice s)
{
    size_t most = s.len < m->mark.len - 1 ? s.len : m->mark.len - 1;
    const char *cr = memrchr(s.at + s.len - most, '\r', most);
    size_t n = cr ? (size_t)(s.at + s.len - cr) : 0;
    return n > 0 && memcmp(cr, m->mark.at, n) == 0 ? n : 0;
}

enum piece { PIECE_NONE, PIECE_DATA, PIECE_MARK };

/* The next bytes of the part, or that its boundary is complete. */
static enum piece next_piece(struct mime *m, struct slice *input, struct slice *ret_data)
{
    while (m->matched > 0 && m->matched < m->mark.len && input->len > 0) {
        if (input->at[0] != m->mark.at[m->matched]) {
            *ret_data = (struct slice){m->mark.at, m->matched};
            m->matched = 0;
            return PIECE_DATA;
        }
        m->matched++;
        skip(input, 1);
    }
    if (m->matched == m->mark.len) {
        m->matched = 0;
        return PIECE_MARK;
    }
    if (input->len == 0)
        return PIECE_NONE;
    const char *mark = memmem(input->at, input->len, m->mark.at, m->mark.len);
    size_t held = mark ? m->mark.len : tail_match(m, *input);
    size_t len = mark ? (size_t)(mark - input->at) : input->len - held;
    *ret_data = (struct slice){input->at, len};
    m->matched = held;
    skip(input, len + held);
    return len > 0 ? PIECE_DATA : next_piece(m, input, ret_data);
}

static enum mime_event part_ends(struct mime *m)
{
    m->state = MIME_AFTER;
    m->after_len = 0;
    return MIME_PART_END;
}

/* Takes header lines from `piece` up to the empty one. What follows it goes back to be data. */
static bool add_headers(struct mime *m, struct slice *piece, bool *ret_whole)
{
    *ret_whole = false;
    while (piece->len > 0) {
        char c = piece->at[0];
        skip(piece, 1);
        if (m->headers_len == MIME_HEADERS_MAX)
            return false;
        m->headers[m->headers_len++] = c;
        if (c != '\n')
            continue;
        struct slice line = {m->headers + m->line_len, m->headers_len - m->line_len};
        m->line_len = m->headers_len;
        if (slice_eq(line, SLICE("\r\n")) || slice_eq(line, SLICE("\n"))) {
            *ret_whole = true;
            return true;
        }
    }
    return true;
}

static enum mime_event headers_end(struct mime *m)
{
    m->state = MIME_BODY;
    m->line_len = 0;
    return MIME_PART;
}

static enum mime_event read_headers(struct mime *m, struct slice *input)
{
    struct slice piece;
    bool whole;
    for (;;) {
        struct slice before = *input;
        switch (next_piece(m, input, &piece)) {
        case PIECE_NONE:
            return MIME_MORE;
        case PIECE_MARK:
            m->mark_is_due = true;
            return headers_end(m);
        case PIECE_DATA:
            break;
        }
        bool own = piece.at == m->mark.at; /* a false start, from earlier input */
        if (!add_headers(m, &piece, &whole))
            return bad(m);
        if (!whole)
            continue;
        if (own) {
            m->owed = piece;
        } else { /* what is behind the empty line is looked at again */
            m->matched = 0;
            size_t taken = (size_t)(piece.at - before.at);
            *input = (struct slice){before.at + taken, before.len - taken};
        }
        return headers_end(m);
    }
}

static enum mime_event read_body(struct mime *m, struct slice *input, struct slice *ret_data)
{
    if (m->mark_is_due) {
        m->mark_is_due = false;
        return part_ends(m);
    }
    if (m->owed.len > 0) {
        *ret_data = m->owed;
        m->owed.len = 0;
        return MIME_DATA;
    }
    switch (next_piece(m, input, ret_data)) {
    case PIECE_NONE:
        return MIME_MORE;
    case PIECE_DATA:
        return MIME_DATA;
    case PIECE_MARK:
        break;
    }
    return part_ends(m);
}

/* Two bytes: "--" or the end of the line. */
static enum mime_event read_after(struct mime *m, struct slice *input)
{
    while (m->after_len < 2 && input->len > 0) {
        m->after[m->after_len++] = input->at[0];
        skip(input, 1);
    }
    if (m->after_len < 2)
        return MIME_MORE;
    if (memcmp(m->after, "--", 2) == 0) {
        m->state = MIME_OVER;
        return MIME_END;
    }
    m->state = MIME_HEADERS;
    m->headers_len = m->line_len = 0;
    return MIME_MORE;
}

enum mime_event mime_read(struct mime *m, struct slice *input, struct slice *ret_data)
{
    for (;;) {
        enum mime_state was = m->state;
        enum mime_event event = MIME_MORE;
        switch (was) {
        case MIME_OPENING:
            event = read_opening(m, input);
            break;
        case MIME_HEADERS:
            event = read_headers(m, input);
            break;
        case MIME_BODY:
            event = read_body(m, input, ret_data);
            break;
        case MIME_AFTER:
            event = read_after(m, input);
            break;
        case MIME_OVER:
            skip(input, input->len);
            return MIME_MORE;
        case MIME_BROKEN:
            return MIME_BAD;
        }
        if (event != MIME_MORE || m->state == was)
            return event;
    }
}

enum mime_event mime_finish(struct mime *m, struct slice *ret_data)
{
    switch (m->state) {
    case MIME_HEADERS: /* what looked like a boundary was the empty line */
        m->matched = 0;
        return headers_end(m);
    case MIME_BODY:
        if (m->owed.len > 0 || m->matched > 0) {
            bool owed = m->owed.len > 0;
            *ret_data = owed ? m->owed : (struct slice){m->mark.at, m->matched};
            *(owed ? &m->owed.len : &m->matched) = 0;
            return MIME_DATA;
        }
        m->state = MIME_OVER;
        return MIME_PART_END;
    case MIME_OPENING:
    case MIME_BROKEN:
        return bad(m);
    case MIME_AFTER:
        if (m->after_len == 0 || m->after[0] != '-') { /* "--B" and nothing: one more part */
            m->state = MIME_HEADERS;
            m->headers_len = m->line_len = 0;
            return mime_finish(m, ret_data);
        }
        m->state = MIME_OVER;
        return MIME_END;
    case MIME_OVER:
        break;
    }
    return MIME_END;
}

struct slice mime_header(const struct mime *m, const char *name)
{
    struct slice all = {m->headers, m->headers_len}, found = {"", 0};
    while (all.len > 0) {
        const char *end = memchr(all.at, '\n', all.len);
        struct slice line = {all.at, end ? (size_t)(end - all.at) + 1 : all.len};
        const char *colon = memchr(line.at, ':', line.len);
        skip(&all, line.len);
        if (!colon ||
            !slice_eq_nocase((struct slice){line.at, (size_t)(colon - line.at)}, slice_of(name)))
            continue;
        found = stripped((struct slice){colon + 1, (size_t)(line.at + line.len - colon - 1)});
    }
    return found;
}
