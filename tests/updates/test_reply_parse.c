/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/reply_parse.h"
#include "tests/format/cases.h"
#include <errno.h>
#include <stdlib.h>

enum end { WHOLE, WHOLE_AT_EOF, CUT, REFUSED };

static const struct {
    const char *bytes;
    enum end end;
    int status;
    bool keep;
    const char *location, *timestamp, *quoted;
} rows[] = {
    {"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", WHOLE, 201, true, "", "", ""},
    {"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc", WHOLE, 201, true, "", "", ""},
    {"HTTP/1.1 204 No\r\n\r\n", WHOLE, 204, true, "", "", ""},
    {"HTTP/1.1 201 C\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", WHOLE, 201, false, "", "",
     ""},
    {"HTTP/1.0 201 C\r\nContent-Length: 0\r\n\r\n", WHOLE, 201, false, "", "", ""},
    {"HTTP/1.1 201 C\r\nContent-Length: 0\r\n\r\nmore", WHOLE, 201, false, "", "", ""},
    {"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", WHOLE, 201, true,
     "", "", ""},
    {"HTTP/1.1 201 C\r\n\r\nup to the end", WHOLE_AT_EOF, 201, false, "", "", ""},
    {"HTTP/1.1 201 C\r\nContent-Length: 5\r\n\r\nabc", CUT, 0, false, "", "", ""},
    {"HTTP/1.1 201 C\r\nContent-Le", CUT, 0, false, "", "", ""},
    {"", CUT, 0, false, "", "", ""},
    {"HTTP/1.1 100 Continue\r\nLocation: /no\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 0\r\n\r\n",
     WHOLE, 201, true, "", "", ""},
    {"HTTP/1.1 301 M\r\nlocation: /a/c\r\nX-BACKEND-redirect-timestamp:  17 \r\n"
     "X-Backend-Location-Is-Quoted: true\r\nContent-Length: 0\r\n\r\n",
     WHOLE, 301, true, "/a/c", "17", "true"},
    {"HTTP/1.1 301 M\r\nLocation:\r\nX-Other: v\r\nContent-Length: 0\r\n\r\n", WHOLE, 301, true, "",
     "", ""},
    {"\x01 no HTTP\r\n\r\n", REFUSED, 0, false, "", "", ""},
    {"HTTP/1.1 abc\r\n\r\n", REFUSED, 0, false, "", "", ""},
    {"HTTP/1.1 201 C\r\nContent-Length: -1\r\n\r\n", REFUSED, 0, false, "", "", ""},
};

static struct reply_parse parse;

static void assert_text(struct slice found, const char *expected)
{
    assert_int_equal(found.len, strlen(expected));
    assert_memory_equal(found.at, expected, found.len);
}

/* As a whole, byte by byte, and in every other step. */
static void test_rows(void **state)
{
    for (EACH(row, rows)) {
        size_t len = strlen(row->bytes);
        for (size_t step = 1; step <= len + 1; step++) {
            int res = 0;
            reply_parse_begin(&parse);
            for (size_t i = 0; res == 0 && i < len; i += step)
                res = reply_parse_bytes(&parse, row->bytes + i, len - i < step ? len - i : step);
            assert_int_equal(res, row->end == REFUSED ? -EPROTO : 0);
            if (row->end == REFUSED)
                continue;
            assert_int_equal(parse.whole, row->end == WHOLE);
            assert_int_equal(parse.keep, row->keep);
            assert_int_equal(reply_parse_eof(&parse), row->end != CUT);
            assert_false(parse.keep);
            if (row->end == CUT)
                continue;
            struct client_reply reply = reply_parsed(&parse);
            assert_int_equal(reply.status, row->status);
            assert_text(reply.location, row->location);
            assert_text(reply.redirect_timestamp, row->timestamp);
            assert_text(reply.location_is_quoted, row->quoted);
        }
    }
}

static void test_too_long(void **state)
{
    static char text[REPLY_HEAD_MAX + 100] = "HTTP/1.1 201 C\r\nX-A: ";
    memset(text + strlen(text), 'x', sizeof(text) - strlen(text) - 1);
    reply_parse_begin(&parse);
    int res = 0;
    for (size_t i = 0; res == 0 && i + 100 < sizeof(text); i += 100)
        res = reply_parse_bytes(&parse, text + i, 100);
    assert_int_equal(res, -EPROTO);

    static char location[REPLY_VALUE_MAX + 100] = "HTTP/1.1 301 C\r\nLocation: /";
    memset(location + strlen(location), 'x', sizeof(location) - strlen(location) - 1);
    reply_parse_begin(&parse);
    assert_int_equal(reply_parse_bytes(&parse, location, sizeof(location)), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
