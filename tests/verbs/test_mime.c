/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart bodies, cut at every place: what the reader tells must not depend on it.
 *
 * An account: "(doc)" a part of this X-Document begins, "abc" its bytes, ")" it ends, "." the
 * last boundary was seen, "!" bad. */
#include "server/verbs/mime.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct account {
    char text[512];
    size_t len;
};

static void tell(struct account *a, struct slice s)
{
    assert_true(a->len + s.len < sizeof(a->text));
    memcpy(a->text + a->len, s.at, s.len);
    a->len += s.len;
    a->text[a->len] = '\0';
}

static bool note(struct account *a, const struct mime *m, enum mime_event event, struct slice data)
{
    switch (event) {
    case MIME_PART:
        tell(a, SLICE("("));
        tell(a, mime_header(m, "x-document"));
        tell(a, SLICE(":"));
        return true;
    case MIME_DATA:
        assert_true(data.len > 0);
        tell(a, data);
        return true;
    case MIME_PART_END:
        tell(a, SLICE(")"));
        return true;
    case MIME_END:
        tell(a, SLICE("."));
        return false;
    case MIME_BAD:
        tell(a, SLICE("!"));
        return false;
    case MIME_MORE:
        break;
    }
    return false;
}

/* Each piece lies in memory of its own, so that looking behind it is seen by sanitizers. */
static enum mime_event feed(struct mime *m, struct account *a, const char *at, size_t len)
{
    char *copy = malloc(len ? len : 1);
    struct slice input = {copy, len}, data = {0};
    enum mime_event event;
    memcpy(copy, at, len);
    do {
        event = mime_read(m, &input, &data);
        note(a, m, event, data);
    } while (event != MIME_MORE && event != MIME_BAD);
    assert_true(event == MIME_BAD || input.len == 0);
    free(copy);
    return event;
}

static void read_cut(struct slice body, size_t cut1, size_t cut2, struct account *a)
{
    static char memory[MIME_MEMORY(8)];
    struct mime m;
    struct slice data = {0};
    *a = (struct account){0};
    mime_init(&m, SLICE("B"), memory);
    bool bad = feed(&m, a, body.at, cut1) == MIME_BAD ||
               feed(&m, a, body.at + cut1, cut2 - cut1) == MIME_BAD ||
               feed(&m, a, body.at + cut2, body.len - cut2) == MIME_BAD;
    if (!bad && m.state != MIME_OVER)
        while (note(a, &m, mime_finish(&m, &data), data))
            ;
}

#define DOC(name) "X-Document: " name "\r\n\r\n"

static const struct {
    const char *body, *account;
} rows[] = {
    {"--B\r\n" DOC("o") "abc\r\n--B\r\n" DOC("m") "{}\r\n--B--", "(o:abc)(m:{})."},
    {"\r\n\r\n--B\r\n" DOC("o") "abc\r\n--B--junk", "(o:abc)."},
    {"--B  \r\nx\r\n\r\nabc\r\n--B--", "(:x\r\n\r\nabc)."}, /* as Swift reads it */
    {"--B\n" DOC("o") "\r\n--B--", "(o:)."},
    {"--X\r\n" DOC("o") "abc\r\n--B--", "!"},
    {"--BB\r\n" DOC("o") "abc\r\n--B--", "!"},
    {"abc", "!"},
    {"", "!"},
    /* Empty parts; headers that the boundary ends. */
    {"--B\r\n" DOC("o") "\r\n--B\r\n" DOC("m") "\r\n--B--", "(o:)(m:)."},
    {"--B\r\nX-Document: o\r\n\r\n--B\r\n" DOC("m") "1\r\n--B--", "(o:)(m:1)."},
    {"--B\r\n\r\nabc\r\n--B--", "(:abc)."},
    {"--B\r\n\r\n--B--", "(:)."},
    /* Look-alikes. */
    {"--B\r\n" DOC("o") "\r\n--C\r\n-\r\n--\r\r\n--B--", "(o:\r\n--C\r\n-\r\n--\r)."},
    {"--B\r\n" DOC("o") "x--B\r\n\n--B--\r\n--B--", "(o:x--B\r\n\n--B--)."},
    {"--B\r\n" DOC("o") "-x\r\n--B--", "(o:-x)."},
    {"--B\r\n" DOC("o") "\r\n-x\r\r\n\r\n--B--", "(o:\r\n-x\r\r\n)."},
    /* The end of the input. */
    {"--B\r\n" DOC("o") "abc", "(o:abc)."},
    {"--B\r\n" DOC("o") "abc\r\n--", "(o:abc\r\n--)."},
    {"--B\r\n" DOC("o") "abc\r\n--B", "(o:abc)(:)."},
    {"--B\r\n" DOC("o") "abc\r\n--B\r\n", "(o:abc)(:)."},
    {"--B\r\n" DOC("o"), "(o:)."},
    {"--B\r\nX-Document: o", "(o:)."},
    {"--B\r\n", "(:)."},
    /* Headers. */
    {"--B\r\nA: b\r\nx-docUMENT:put commit \r\nC\r\n\r\nx\r\n--B--", "(put commit:x)."},
    {"--B\r\nX-Document: a\r\nX-Document: b\r\n\r\nx\r\n--B--", "(b:x)."},
    {"--B\r\nX-Document: a\n\nx\r\n--B--", "(a:x)."},
};

static void test_every_cut(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice body = slice_of(rows[i].body);
        for (size_t cut1 = 0; cut1 <= body.len; cut1++) {
            for (size_t cut2 = cut1; cut2 <= body.len; cut2++) {
                struct account a;
                read_cut(body, cut1, cut2, &a);
                if (strcmp(a.text, rows[i].account) != 0)
                    fail_msg("%s\ncut at %zu, %zu: %s, expected %s", rows[i].body, cut1, cut2,
                             a.text, rows[i].account);
            }
        }
    }
}

static void test_byte_by_byte(void **state)
{
    static char memory[MIME_MEMORY(8)];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mime m;
        struct account a = {0};
        struct slice data = {0};
        bool bad = false;
        mime_init(&m, SLICE("B"), memory);
        for (const char *at = rows[i].body; *at && !bad; at++)
            bad = feed(&m, &a, at, 1) == MIME_BAD;
        if (!bad && m.state != MIME_OVER)
            while (note(&a, &m, mime_finish(&m, &data), data))
                ;
        assert_string_equal(a.text, rows[i].account);
    }
}

static void test_long_headers(void **state)
{
    static char memory[MIME_MEMORY(8)], header[2 * MIME_HEADERS_MAX];
    struct mime m;
    struct account a = {0};
    memset(header, 'x', sizeof(header));
    mime_init(&m, SLICE("B"), memory);
    assert_int_equal(feed(&m, &a, "--B\r\n", 5), MIME_MORE);
    assert_int_equal(feed(&m, &a, header, MIME_HEADERS_MAX), MIME_MORE);
    assert_int_equal(feed(&m, &a, header, 1), MIME_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_cut),
                                       cmocka_unit_test(test_byte_by_byte),
                                       cmocka_unit_test(test_long_headers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
