/* SPDX-License-Identifier: Apache-2.0 */
/* test_head.c -- heads by tables. Each is taken whole, byte by byte and cut at every offset; the
 * outcome must be the same. */
#include "server/http/head.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct head_limits swift = {8192, 8192, 65536, 201, false};
static const struct head_limits alone = {8192, 8192, 65536, 201, true};

static void render(const struct request *r, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "%.*s ", (int)r->method.len, r->method.at);
    for (size_t i = 0; i < r->path.len; i++) {
        unsigned char c = (unsigned char)r->path.at[i];
        n += (size_t)snprintf(out + n, room - n, c > ' ' && c < 127 ? "%c" : "<%02x>", c);
    }
    n += (size_t)snprintf(out + n, room - n, " ?%.*s%s%s%s%s%s%s", (int)r->query.len, r->query.at,
                          r->http10 ? " 1.0" : "", r->expects_continue ? " expect" : "",
                          r->chunked ? " chunked" : "",
                          r->state_bits & HEAD_KEEP_ALIVE ? " keep" : "",
                          r->state_bits & HEAD_BODY_UNREADABLE ? " unreadable" : "",
                          r->state_bits & HEAD_AMBIGUOUS ? " ambiguous" : "");
    if (r->has_length)
        n += (size_t)snprintf(out + n, room - n, " length=%llu",
                              (unsigned long long)r->content_length);
    for (unsigned i = 0; i < r->header_count; i++)
        n += (size_t)snprintf(out + n, room - n, "|%.*s=%.*s", (int)r->headers[i].name.len,
                              r->headers[i].name.at, (int)r->headers[i].value.len,
                              r->headers[i].value.at);
    assert_true(n < room);
}

struct outcome {
    enum head_verdict verdict;
    size_t len;
    char text[140000];
};

static void parse_whole(struct request *r, const struct head_scan *scan,
                        const struct head_limits *limits, const char *bytes, struct outcome *o)
{
    llhttp_t parser;
    char *scratch = malloc(o->len);
    memcpy(scratch, bytes, o->len);
    o->verdict = head_parse(r, &parser, scan, limits, scratch, o->len);
    memset(scratch, '#', o->len); /* nothing may point into it */
    if (o->verdict == HEAD_WHOLE)
        render(r, o->text, sizeof(o->text));
    free(scratch);
}

/* Fed in steps: first `cut` bytes, then `step` more each time. */
static void take(const char *bytes, size_t len, size_t cut, size_t each,
                 const struct head_limits *limits, struct outcome *o)
{
    struct head_scan scan = {0};
    struct request r = {.arena = arena_new(1 << 20)};
    o->verdict = HEAD_MORE;
    o->text[0] = '\0';
    o->len = 0;
    for (size_t n = cut; o->verdict == HEAD_MORE; n = n + each < len ? n + each : len) {
        char *exact = malloc(n + 1); /* so that ASan sees a look beyond */
        memcpy(exact, bytes, n);
        o->verdict = head_scan(&scan, limits, exact, n, &o->len);
        if (o->verdict == HEAD_WHOLE)
            parse_whole(&r, &scan, limits, exact, o);
        free(exact);
        if (n == len)
            break;
    }
    arena_free(r.arena);
}

static struct outcome whole, cut_up;

static void same(const char *name)
{
    if (whole.verdict != cut_up.verdict || strcmp(whole.text, cut_up.text) != 0)
        print_error("%s: whole: %d %s\n  cut: %d %s\n", name, whole.verdict, whole.text,
                    cut_up.verdict, cut_up.text);
    assert_int_equal(whole.verdict, cut_up.verdict);
    assert_string_equal(whole.text, cut_up.text);
}

static void check(const char *name, const char *bytes, size_t len, const struct head_limits *limits,
                  enum head_verdict verdict, const char *text)
{
    take(bytes, len, len, len, limits, &whole);
    if (whole.verdict != verdict || (text != NULL && strcmp(whole.text, text) != 0))
        print_error("%s: got %d %s\n", name, whole.verdict, whole.text);
    assert_int_equal(whole.verdict, verdict);
    if (text != NULL)
        assert_string_equal(whole.text, text);
    if (len < 4096) {
        take(bytes, len, 0, 1, limits, &cut_up);
        same(name);
    }
    size_t stride = len < 4096 ? 1 : 997;
    for (size_t cut = 0; cut < len; cut += stride) {
        take(bytes, len, cut, len, limits, &cut_up);
        same(name);
    }
}

struct row {
    const char *name, *bytes;
    enum head_verdict in_swift, standing_alone;
    const char *text; /* what is understood, in either mode */
};

#define G  "GET /a HTTP/1.1\r\n"
#define H  "Host: h\r\n"
#define OK HEAD_WHOLE

/* clang-format off */
static const struct row rows[] = {
    {"plain", G H "\r\n", OK, OK, "GET /a ? keep|Host=h"},
    {"rest stays", G H "\r\nGET /b", OK, OK, "GET /a ? keep|Host=h"},
    {"query", "GET /a?b?c=%41 HTTP/1.1\r\n" H "\r\n", OK, OK, "GET /a ?b?c=%41 keep|Host=h"},
    {"decoded once", "GET /a%2Fb%2525+c HTTP/1.1\r\n" H "\r\n", OK, OK, "GET /a/b%25+c ? keep|Host=h"},
    {"nul and utf-8", "GET /%00\xc3\xa9%fF HTTP/1.1\r\n" H "\r\n", OK, OK, "GET /<00><c3><a9><ff> ? keep|Host=h"},
    {"bad percent", "GET /%zz%4 HTTP/1.1\r\n" H "\r\n", OK, HEAD_BAD_PERCENT, NULL},
    {"bad percent at end", "GET /% HTTP/1.1\r\n" H "\r\n", OK, HEAD_BAD_PERCENT, NULL},
    {"percent in query", "GET /?%zz HTTP/1.1\r\n" H "\r\n", OK, OK, "GET / ?%zz keep|Host=h"},
    {"absolute form", "GET http://h:1/a?b HTTP/1.1\r\n" H "\r\n", OK, OK, "GET /a ?b keep|Host=h"},
    {"absolute, no path", "GET HTTPS://h HTTP/1.1\r\n" H "\r\n", OK, OK, "GET / ? keep|Host=h"},
    {"absolute, only query", "GET http://h?q HTTP/1.1\r\n" H "\r\n", OK, OK, "GET / ?q keep|Host=h"},
    {"asterisk", "OPTIONS * HTTP/1.1\r\n" H "\r\n", OK, OK, "OPTIONS * ? keep|Host=h"},
    {"authority", "CONNECT h:443 HTTP/1.1\r\n" H "\r\n", OK, OK, "CONNECT h:443 ? keep|Host=h"},
    {"unknown methods", "SSYNC /a/1 HTTP/1.1\r\n" H "\r\n", OK, OK, "SSYNC /a/1 ? keep|Host=h"},
    {"REPLICATE", "REPLICATE /a/1 HTTP/1.1\r\n" H "\r\n", OK, OK, "REPLICATE /a/1 ? keep|Host=h"},
    {"lower case method", "get / HTTP/1.1\r\n" H "\r\n", OK, OK, "get / ? keep|Host=h"},
    {"method no token", "G(T / HTTP/1.1\r\n" H "\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"1.0", "GET / HTTP/1.0\r\n\r\n", OK, OK, "GET / ? 1.0"},
    {"1.0 keep", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", OK, OK, "GET / ? 1.0 keep|Connection=Keep-Alive"},
    {"close", G H "Connection: close\r\n\r\n", OK, OK, "GET /a ?|Host=h|Connection=close"},
    {"close in a list", G H "Connection: x, close\r\n\r\n", OK, OK, "GET /a ?|Host=h|Connection=x, close"},
    {"1.9", "GET / HTTP/1.9\r\n" H "\r\n", OK, OK, "GET / ? keep|Host=h"},
    {"upgrade is no upgrade", G H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", OK, OK, "GET /a ? keep|Host=h|Connection=Upgrade|Upgrade=h2c"},
    {"length", "PUT /a HTTP/1.1\r\n" H "Content-Length: 007 \r\n\r\n", OK, OK, "PUT /a ? keep length=7|Host=h|Content-Length=007"},
    {"chunked", "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", OK, OK, "PUT /a ? chunked keep|Host=h|Transfer-Encoding=Chunked"},
    {"expect", "PUT /a HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", OK, OK, "PUT /a ? expect keep length=1|Host=h|Expect=100-Continue|Content-Length=1"},
    {"expect something", G H "Expect: else\r\n\r\n", OK, OK, "GET /a ? keep|Host=h|Expect=else"},
    {"expect of 1.0", "PUT / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", OK, OK, "PUT / ? 1.0|Expect=100-continue"},
    {"repeated", G H "A: 1\r\nB: x\r\na:2\r\nA:\t 3 \r\n\r\n", OK, OK, "GET /a ? keep|Host=h|A=1,2,3|B=x"},
    {"empty value", G H "A:\r\nB: \r\n\r\n", OK, OK, "GET /a ? keep|Host=h|A=|B="},
    {"non-ASCII name and value", G H "X-\xc3\xa9: \xff\xfe\r\n\r\n", OK, OK, "GET /a ? keep|Host=h|X-\xc3\xa9=\xff\xfe"},
    {"two non-ASCII names stay two", G H "\xc3: 1\r\n\xc4: 2\r\n\r\n", OK, OK, "GET /a ? keep|Host=h|\xc3=1|\xc4=2"},
    {"inner blanks", G H "A:  b  c \t\r\n\r\n", OK, OK, "GET /a ? keep|Host=h|A=b  c"},
    {"colons in value", G H "A: b:c\r\n\r\n", OK, OK, "GET /a ? keep|Host=h|A=b:c"},

    {"no host", G "\r\n", OK, HEAD_BAD_HOST, NULL},
    {"two hosts", G H H "\r\n", OK, HEAD_BAD_HOST, NULL},
    {"one word", "GET\r\n\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"0.9", "GET /a\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"four words", "GET /a b HTTP/1.1\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"two blanks", "GET  /a HTTP/1.1\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"tab", "GET\t/a HTTP/1.1\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"leading blank", " GET /a HTTP/1.1\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"trailing blank", "GET /a HTTP/1.1 \r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"leading empty line", "\r\nGET /a HTTP/1.1\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"CR in target", "GET /a\rb HTTP/1.1\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"DEL in target", "GET /a\x7f HTTP/1.1\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"bare LF, request line", "GET /a HTTP/1.1\n" H "\r\n", HEAD_BAD_SYNTAX, HEAD_BAD_SYNTAX, NULL},
    {"bad version", "GET /a HTTX/1.1\r\n", HEAD_BAD_VERSION, HEAD_BAD_VERSION, NULL},
    {"version with letters", "GET /a HTTP/1.x\r\n", HEAD_BAD_VERSION, HEAD_BAD_VERSION, NULL},
    {"lower case version", "GET /a http/1.1\r\n", HEAD_BAD_VERSION, HEAD_BAD_VERSION, NULL},
    {"version 0.9", "GET /a HTTP/0.9\r\n", HEAD_BAD_VERSION, HEAD_BAD_VERSION, NULL},
    {"version 1.10", "GET /a HTTP/1.10\r\n", HEAD_BAD_VERSION, HEAD_BAD_VERSION, NULL},
    {"version 2", "GET /a HTTP/2.0\r\n", HEAD_VERSION_UNKNOWN, HEAD_VERSION_UNKNOWN, NULL},
    {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HEAD_VERSION_UNKNOWN, HEAD_VERSION_UNKNOWN, NULL},

    {"no colon", G H "Foo\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"no name", G H ": v\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"blank before colon", G H "Foo : v\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"tab before colon", G H "Content-Length\t: 5\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"folded", G H "A: b\r\n c\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"folded coding", G H "Transfer-Encoding:\r\n chunked\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"first line blank", G " A: b\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"bare LF", G H "A: b\nC: d\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"bare LF at the end", G H "A: b\r\n\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"bare CR", G H "A: b\rC: d\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"CR CR LF", G H "A: b\r\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"control in value", G H "A: b\x01\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"DEL in value", G H "A: b\x7f\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"VT in name", G H "A\x0b: b\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},
    {"quote in name", G H "A\"b: c\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_HEADER, NULL},

    {"length, letters", G H "Content-Length: abc\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, negative", G H "Content-Length: -1\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, signed", G H "Content-Length: +1\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, hex", G H "Content-Length: 0x1\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, list", G H "Content-Length: 1, 1\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, blank inside", G H "Content-Length: 1 1\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, empty", G H "Content-Length:\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, 2^64", G H "Content-Length: 18446744073709551616\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, 2^63", G H "Content-Length: 9223372036854775808\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"lengths differ", G H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"lengths agree", G H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"length, non-ASCII look-alike", G H "Content-Length\xc2\xa0: 5\r\n\r\n", OK, OK, "GET /a ? keep|Host=h|Content-Length\xc2\xa0=5"},

    {"coding and length", G H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", OK, HEAD_BAD_LENGTH, NULL},
    {"length and coding", G H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", OK, HEAD_BAD_LENGTH, NULL},
    {"bad length and coding", G H "Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n", HEAD_BAD_LENGTH, HEAD_BAD_LENGTH, NULL},
    {"coding unknown", G H "Transfer-Encoding: gzip\r\n\r\n", OK, HEAD_BAD_CODING, NULL},
    {"coding xchunked", G H "Transfer-Encoding: xchunked\r\n\r\n", OK, HEAD_BAD_CODING, NULL},
    {"coding chunked twice", G H "Transfer-Encoding: chunked, chunked\r\n\r\n", OK, HEAD_BAD_CODING, NULL},
    {"coding in two lines", G H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", OK, HEAD_BAD_CODING, NULL},
    {"coding identity", G H "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n", OK, HEAD_BAD_CODING, NULL},
    {"coding quoted", G H "Transfer-Encoding: \"chunked\"\r\n\r\n", OK, HEAD_BAD_CODING, NULL},
    {"coding VT", G H "Transfer-Encoding: \x0b" "chunked\r\n\r\n", HEAD_BAD_HEADER, HEAD_BAD_CODING, NULL},
    {"coding tab", G H "Transfer-Encoding:\tchunked\r\n\r\n", OK, OK, "GET /a ? chunked keep|Host=h|Transfer-Encoding=chunked"},
};
/* clang-format on */

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        size_t len = strlen(row->bytes);
        check(row->name, row->bytes, len, &swift, row->in_swift, row->text);
        check(row->name, row->bytes, len, &alone, row->standing_alone, row->text);
    }
}

static void test_nul(void **state)
{
    static const char in_value[] = G H "A: b\0c\r\n\r\n", in_name[] = G H "A\0: b\r\n\r\n";
    static const char in_line[] = "GET /\0 HTTP/1.1\r\n\r\n";
    (void)state;
    check("NUL in value", in_value, sizeof(in_value) - 1, &swift, HEAD_BAD_HEADER, NULL);
    check("NUL in name", in_name, sizeof(in_name) - 1, &swift, HEAD_BAD_HEADER, NULL);
    check("NUL in target", in_line, sizeof(in_line) - 1, &swift, HEAD_BAD_SYNTAX, NULL);
}

/* What the ambiguous ones are taken for where they are taken. */
static void test_ambiguous(void **state)
{
    (void)state;
    static const char both[] = G "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char list[] = G "Transfer-Encoding: gzip, chunked\r\n\r\n";
    static const char old[] = "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    check("both", both, sizeof(both) - 1, &swift, HEAD_WHOLE,
          "GET /a ? chunked keep ambiguous|Content-Length=5|Transfer-Encoding=chunked");
    check("list", list, sizeof(list) - 1, &swift, HEAD_WHOLE,
          "GET /a ? keep unreadable|Transfer-Encoding=gzip, chunked");
    check("1.0", old, sizeof(old) - 1, &swift, HEAD_WHOLE,
          "PUT / ? 1.0 chunked ambiguous|Transfer-Encoding=chunked");
}

/* "GET /aaa.. HTTP/1.1\r\n", `line` bytes long; then header lines of `each` bytes. */
static size_t build(char *out, size_t line, size_t each, unsigned count)
{
    size_t n = line;
    memset(out, 'a', line);
    memcpy(out, "GET /", 5);
    memcpy(out + line - 11, " HTTP/1.1\r\n", 11);
    for (unsigned i = 0; i < count; i++) {
        memset(out + n, 'v', each);
        memcpy(out + n, "N:", 2);
        memcpy(out + n + each - 2, "\r\n", 2);
        n += each;
    }
    memcpy(out + n, "\r\n", 2);
    return n + 2;
}

static void test_limits(void **state)
{
    static const struct {
        size_t line, each;
        unsigned count;
        enum head_verdict verdict;
    } limits[] = {
        {8191, 10, 1, HEAD_WHOLE},      {8192, 10, 1, HEAD_URI_TOO_LONG},
        {20, 8191, 1, HEAD_WHOLE},      {20, 8192, 1, HEAD_LINE_TOO_LONG},
        {20, 10, 200, HEAD_WHOLE},      {20, 10, 201, HEAD_TOO_MANY},
        {20, 8191, 8, HEAD_WHOLE}, /* 65530 */
        {20, 8191, 9, HEAD_TOO_LARGE},  {8191, 4096, 15, HEAD_WHOLE},
        {20, 4096, 16, HEAD_TOO_LARGE}, /* 65536 and the empty line */
    };
    static char bytes[120000];
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t len = build(bytes, limits[i].line, limits[i].each, limits[i].count);
        check("limit", bytes, len, &swift, limits[i].verdict, NULL);
    }
    memset(bytes, 'x', sizeof(bytes)); /* refused before any line end has come */
    check("endless line", bytes, 8192, &swift, HEAD_URI_TOO_LONG, NULL);
    check("not yet", bytes, 8191, &swift, HEAD_MORE, NULL);
}

static void test_many_repeated(void **state)
{
    static char bytes[120000];
    (void)state;
    size_t len = build(bytes, 20, 320, 200);
    take(bytes, len, len, len, &swift, &whole);
    assert_int_equal(whole.verdict, HEAD_WHOLE);
    assert_int_equal(strlen(whole.text), strlen("GET /aaaa ? keep|N=") + 200 * 316 + 199);
}

static void test_refusals(void **state)
{
    (void)state;
    for (int v = HEAD_URI_TOO_LONG; v < HEAD_VERDICTS; v++)
        for (int mode = 0; mode < 2; mode++) {
            struct head_refusal refusal = head_refusal((enum head_verdict)v, mode);
            char number[8];
            assert_non_null(refusal.status_line);
            (void)snprintf(number, sizeof(number), " %d ", refusal.status);
            assert_ptr_equal(strstr(refusal.status_line, number), refusal.status_line + 8);
            assert_true(!mode || strlen(refusal.body) > 10);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_nul),
        cmocka_unit_test(test_ambiguous), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_many_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
