/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream.c -- lines, heads of subrequests and Python's way to print, without a connection. */
#include "server/ssync/lines.h"
#include "server/ssync/part_head.h"
#include "server/ssync/repr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a stream, taken apart ---- */

/* What a session does with it, written down: "[line]", "{body}", "!" for a line that is too long.
 */
struct tape {
    struct lines in;
    size_t body_left;
    char text[4096];
};

static void note(struct tape *t, const char *open, struct slice s, const char *close)
{
    size_t len = strlen(t->text);
    (void)snprintf(t->text + len, sizeof(t->text) - len, "%s%.*s%s", open, (int)s.len, s.at, close);
}

static bool take_body(struct tape *t)
{
    struct slice here = lines_bytes(&t->in);
    size_t len = here.len < t->body_left ? here.len : t->body_left;
    for (size_t i = 0; i < len; i++)
        note(t, "", (struct slice){here.at + i, 1}, "");
    lines_skip(&t->in, len);
    t->body_left -= len;
    if (len > 0 && t->body_left == 0)
        note(t, "", SLICE("}"), "");
    return t->body_left == 0;
}

/* "#3" announces a body of 3 bytes. */
static void take(struct tape *t)
{
    struct slice line;
    enum line_verdict verdict = LINE_WHOLE;
    while (verdict == LINE_WHOLE && take_body(t)) {
        verdict = lines_next(&t->in, &line);
        if (verdict == LINE_TOO_LONG)
            note(t, "", SLICE("!"), "");
        if (verdict != LINE_WHOLE)
            break;
        line = line_strip(line);
        note(t, "[", line, "]");
        if (line.len == 2 && line.at[0] == '#') {
            t->body_left = (size_t)(line.at[1] - '0');
            note(t, "", SLICE("{"), "");
        }
    }
}

static const char stream[] =
    ":MISSING_CHECK: START\r\nabc 1\r\n\r\n:END\n#5\r\nab\r\nc#2\nx\ny \t\r\n#1\r\n\nend\r\n";
static const char apart[] =
    "[:MISSING_CHECK: START][abc 1][][:END][#5]{ab\r\nc}[#2]{x\n}[y][#1]{\n}[end]";

static void run_split(const size_t *cuts, unsigned count)
{
    struct tape t = {.body_left = 0};
    size_t at = 0, len = sizeof(stream) - 1;
    for (unsigned i = 0; i <= count; i++) {
        size_t end = i < count ? cuts[i] : len;
        assert_int_equal(lines_add(&t.in, stream + at, end - at), 0);
        take(&t);
        at = end;
    }
    assert_string_equal(t.text, apart);
    assert_int_equal(lines_bytes(&t.in).len, 0);
    lines_free(&t.in);
}

/* At no byte, at every byte, at every two bytes. */
static void test_every_split(void **state)
{
    size_t all[sizeof(stream)] = {0};
    unsigned len = sizeof(stream) - 1;
    run_split(all, 0);
    for (size_t i = 0; i <= len; i++)
        for (size_t k = i; k <= len; k++)
            run_split((const size_t[]){i, k}, 2);
    for (unsigned i = 0; i < len; i++)
        all[i] = i;
    run_split(all, len);
}

static void test_long_lines(void **state)
{
    static char text[LINE_MAX_BYTES + 2];
    static const struct {
        size_t len;
        bool ended;
        enum line_verdict verdict;
    } rows[] = {
        {LINE_MAX_BYTES - 1, false, LINE_MORE},     {LINE_MAX_BYTES - 1, true, LINE_WHOLE},
        {LINE_MAX_BYTES, false, LINE_TOO_LONG},     {LINE_MAX_BYTES, true, LINE_TOO_LONG},
        {LINE_MAX_BYTES + 1, false, LINE_TOO_LONG},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        for (size_t step = 1000; step < 100000; step *= 8) {
            struct lines in = {.at = NULL};
            struct slice line;
            enum line_verdict verdict = LINE_MORE;
            size_t len = rows[i].len + rows[i].ended;
            memset(text, 'x', sizeof(text));
            if (rows[i].ended)
                text[rows[i].len] = '\n';
            for (size_t at = 0; at < len && verdict == LINE_MORE; at += step) {
                assert_int_equal(lines_add(&in, text + at, step < len - at ? step : len - at), 0);
                verdict = lines_next(&in, &line);
            }
            assert_int_equal(verdict, rows[i].verdict);
            lines_free(&in);
        }
}

static void test_words(void **state)
{
    static const struct {
        const char *line, *words[4];
    } rows[] = {
        {"a b c\r\n", {"a", "b", "c", ""}},
        {"  a\t\x0b\x0c"
         "bc  ",
         {"a", "bc", "", ""}},
        {"\r\n", {"", "", "", ""}},
        {"", {"", "", "", ""}},
        {"one", {"one", "", "", ""}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct slice line = slice_of(rows[i].line);
        for (int w = 0; w < 4; w++)
            assert_true(slice_eq(line_word(&line), slice_of(rows[i].words[w])));
    }
}

/* ---- Python's way to print ---- */

static void test_repr(void **state)
{
    static const struct {
        struct slice text;
        const char *bytes, *str;
    } rows[] = {
        {SLICE(""), "b''", "''"},
        {SLICE("abc"), "b'abc'", "'abc'"},
        {SLICE("it's"), "b\"it's\"", "\"it's\""},
        {SLICE("\"q\""), "b'\"q\"'", "'\"q\"'"},
        {SLICE("'\""), "b'\\'\"'", "'\\'\"'"},
        {SLICE("a\\b"), "b'a\\\\b'", "'a\\\\b'"},
        {SLICE("\t\r\n\0\x1f\x7f"), "b'\\t\\r\\n\\x00\\x1f\\x7f'", "'\\t\\r\\n\\x00\\x1f\\x7f'"},
        {SLICE("\x80\xa0\xad\xff"), "b'\\x80\\xa0\\xad\\xff'", "'\\x80\\xa0\\xad\xc3\xbf'"},
    };
    struct arena *a = arena_new(100000);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_string_equal(repr_bytes(a, rows[i].text), rows[i].bytes);
        assert_string_equal(repr_text(a, rows[i].text), rows[i].str);
    }
    arena_free(a);
}

/* ---- heads of subrequests ---- */

static enum part_verdict read_head(struct part_head *h, struct arena *a, const char *text)
{
    struct lines in = {.at = NULL};
    struct slice line;
    assert_int_equal(lines_add(&in, text, strlen(text)), 0);
    assert_int_equal(lines_next(&in, &line), LINE_WHOLE);
    enum part_verdict verdict = part_head_begin(h, a, 200, line);
    while (verdict == PART_MORE && lines_next(&in, &line) == LINE_WHOLE)
        verdict = part_head_add(h, line);
    lines_free(&in);
    return verdict;
}

static void test_heads(void **state)
{
    static const struct {
        const char *text;
        enum part_verdict verdict;
        const char *problem; /* of the head, or of its check */
    } rows[] = {
        {"PUT /a/c/o\r\nContent-Length: 5\r\n\r\n", PART_WHOLE, NULL},
        {"PUT /a/c/o\nContent-Length: 0\n\n", PART_WHOLE, NULL},
        {"DELETE /a/c/o\r\n\r\n", PART_WHOLE, NULL},
        {"DELETE /a/c/o\r\nContent-Length: 0\r\n\r\n", PART_WHOLE, NULL},
        {"POST /a/c/o x\r\nA:b\r\n\r\n", PART_WHOLE, NULL},
        {"PUT /a/c/o\r\nContent-Length: 5\r\n", PART_MORE, NULL},
        {"PUT /a/c/o\r\n\r\n", PART_WHOLE, "No content-length sent for PUT /a/c/o"},
        {"POST /o\r\ncontent-length: 1\r\n\r\n", PART_WHOLE,
         "POST subrequest with content-length /o"},
        {"DELETE /o\r\nCONTENT-LENGTH:1\r\n\r\n", PART_WHOLE,
         "DELETE subrequest with content-length /o"},
        {"GET /o\r\n\r\n", PART_WHOLE, "Invalid subrequest method GET"},
        {"put /o\r\nContent-Length: 1\r\n\r\n", PART_WHOLE, "Invalid subrequest method put"},
        {"PUT\r\n", PART_BAD, "not enough values to unpack (expected 2, got 1)"},
        {"\r\n", PART_BAD, "not enough values to unpack (expected 2, got 1)"},
        {"PUT /o\r\nX\r\n", PART_BAD, "not enough values to unpack (expected 2, got 1)"},
        {"PUT /o\r\nContent-Length: x\r\n", PART_BAD,
         "invalid literal for int() with base 10: 'x'"},
        {"PUT /o\r\nContent-Length: -1\r\n", PART_BAD,
         "invalid literal for int() with base 10: '-1'"},
        {"PUT /o\r\nContent-Length: 99999999999999999999\r\n", PART_BAD,
         "invalid literal for int() with base 10: '99999999999999999999'"},
    };
    struct arena *a = arena_new(1000000);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct part_head h;
        arena_reset(a);
        assert_int_equal(read_head(&h, a, rows[i].text), rows[i].verdict);
        const char *problem = rows[i].verdict == PART_WHOLE ? part_head_check(&h) : h.problem;
        if (rows[i].problem == NULL)
            assert_null(problem);
        else
            assert_string_equal(problem, rows[i].problem);
    }
    arena_free(a);
}

static void test_headers(void **state)
{
    struct part_head h;
    struct arena *a = arena_new(1000000);
    assert_int_equal(read_head(&h, a,
                               "PUT /a/c/%41 b\r\nContent-Length: 7\r\nETag: e\r\nX-B : 1:2 \r\n"
                               "X-Backend-No-Commit: True\r\nx-b:3\r\nEmpty:\r\n\r\n"),
                     PART_WHOLE);
    assert_true(slice_eq(h.method, SLICE("PUT")) && slice_eq(h.path, SLICE("/a/c/%41 b")));
    assert_int_equal(h.count, 5);
    assert_true(h.has_length && h.content_length == 7);
    assert_true(slice_eq(h.headers[2].name, SLICE("x-b")));
    assert_true(slice_eq(h.headers[2].value, SLICE("3"))); /* the last one */
    assert_true(slice_eq(h.headers[4].value, SLICE("")));
    assert_string_equal(part_head_stored_names(&h), "content-length x-b empty");
    arena_free(a);
}

static void test_limits(void **state)
{
    struct part_head h;
    struct arena *a = arena_new(1000000);
    struct slice line = SLICE("X-Long: 01234567890123456789012345678901234567890123456789\r\n");
    enum part_verdict verdict = part_head_begin(&h, a, 200, SLICE("PUT /o\r\n"));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(verdict, PART_MORE);
        verdict = part_head_add(&h, line);
    }
    assert_int_equal(part_head_add(&h, line), PART_BAD);
    assert_string_equal(h.problem, "the headers of a subrequest are too large");
    arena_reset(a);
    verdict = part_head_begin(&h, a, 1 << 20, SLICE("PUT /o\r\n"));
    for (int i = 0; i <= PART_HEADERS_MAX; i++) {
        char text[32];
        assert_int_equal(verdict, PART_MORE);
        (void)snprintf(text, sizeof(text), "h%d: x\r\n", i);
        verdict = part_head_add(&h, slice_of(text));
    }
    assert_int_equal(verdict, PART_BAD);
    assert_string_equal(h.problem, "a subrequest has too many headers");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split), cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_words),       cmocka_unit_test(test_repr),
        cmocka_unit_test(test_heads),       cmocka_unit_test(test_headers),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
