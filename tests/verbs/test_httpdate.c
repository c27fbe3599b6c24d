/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/httpdate.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: no date */
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"sun, 06 nov 1994 08:49:37 gmt", 784111777},
        {"06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sun, 6 Nov 1994 08:49:37", 784111777},
        {"Sun, 06 Nov 1994 08:49:37 +0500", 784111777}, /* the zone is not looked at */
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Friday, 01-Jan-68 00:00:00 GMT", 3092601600}, /* 2068 */
        {"Friday, 01-Jan-70 00:00:00 GMT", 0},
        {"", -1},
        {"Sun", -1},
        {"1994", -1},
        {"yesterday", -1},
        {"Sun, 06 Nov 1994", -1},
        {"Sun, 06 Foo 1994 08:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
        {"Mon, 29 Feb 2100 00:00:00 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:61 GMT", -1},
        {"Sun, 06 Nov 1994 08:49 GMT", -1},
        {"Sun, 06 Nov 19945 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37:11 GMT", -1},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t seconds = -1;
        int res = httpdate_parse(slice_of(rows[i].text), &seconds);
        if ((res == 0) != (rows[i].seconds >= 0) || seconds != rows[i].seconds)
            fail_msg("'%s': %lld", rows[i].text, (long long)seconds);
    }
}

/* Every day of 1970 to 2100, against the C library, and back. */
static void test_format(void **state)
{
    for (int64_t s = 12345; s < 4102444800; s += 86399) {
        char text[HTTPDATE_MAX], expected[64];
        time_t t = s;
        struct tm tm;
        int64_t back;
        strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
        int len = httpdate_format(s, text);
        assert_int_equal(len, strlen(text));
        assert_string_equal(text, expected);
        assert_int_equal(httpdate_parse(slice_of(text), &back), 0);
        assert_int_equal(back, s);
    }
    char text[HTTPDATE_MAX];
    httpdate_format(INT64_MAX, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    httpdate_format(-1, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_format)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
