/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/conditions.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AT     "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"

struct row {
    bool found;
    const char *match, *none_match, *modified, *unmodified;
    int swift, reads, writes; /* expected of the three readings */
};

static const struct row rows[] = {
    {true, NULL, NULL, NULL, NULL, 0, 0, 0},
    {false, NULL, NULL, NULL, NULL, 0, 0, 0},
    {true, "", "", "", "", 0, 0, 0},
    /* If-None-Match */
    {true, NULL, "*", NULL, NULL, 304, 304, 412},
    {true, NULL, "\"e\"", NULL, NULL, 304, 304, 412},
    {true, NULL, "e", NULL, NULL, 304, 304, 412},
    {true, NULL, "\"x\" , \"e\"", NULL, NULL, 304, 304, 412},
    {true, NULL, "\"x\"", NULL, NULL, 0, 0, 0},
    {true, NULL, "W/\"e\"", NULL, NULL, 0, 304, 412}, /* weak comparison is RFC 9110's */
    {false, NULL, "*", NULL, NULL, 0, 0, 0},
    /* If-Match */
    {true, "*", NULL, NULL, NULL, 0, 0, 0},
    {true, "\"e\"", NULL, NULL, NULL, 0, 0, 0},
    {true, "\"x\"", NULL, NULL, NULL, 412, 412, 412},
    {true, "W/\"e\"", NULL, NULL, NULL, 412, 412, 412},
    {true, ",", NULL, NULL, NULL, 412, 412, 412},
    {false, "*", NULL, NULL, NULL, 412, 412, 412},
    {false, "\"e\"", NULL, NULL, NULL, 0, 412, 412},
    /* both: Swift looks at If-None-Match first, RFC 9110 at If-Match */
    {true, "\"x\"", "\"e\"", NULL, NULL, 304, 412, 412},
    {true, "\"e\"", "\"e\"", NULL, NULL, 304, 304, 412},
    /* dates */
    {true, NULL, NULL, AT, NULL, 304, 304, 0},
    {true, NULL, NULL, AFTER, NULL, 304, 304, 0},
    {true, NULL, NULL, BEFORE, NULL, 0, 0, 0},
    {true, NULL, NULL, "yesterday", NULL, 0, 0, 0},
    {true, NULL, NULL, NULL, AT, 0, 0, 0},
    {true, NULL, NULL, NULL, AFTER, 0, 0, 0},
    {true, NULL, NULL, NULL, BEFORE, 412, 412, 412},
    {true, NULL, NULL, NULL, "never", 0, 0, 0},
    {false, NULL, NULL, AT, BEFORE, 0, 0, 0},
    /* a date beside an etag: Swift looks at both, RFC 9110 only at the etag */
    {true, NULL, "\"x\"", AT, NULL, 304, 0, 0},
    {true, "\"e\"", NULL, NULL, BEFORE, 412, 0, 0},
};

static struct slice slices[4];

static const struct slice *header(unsigned i, const char *text)
{
    if (!text)
        return NULL;
    slices[i] = slice_of(text);
    return &slices[i];
}

static void test_rows(void **state)
{
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *w = &rows[i];
        struct conditions c = {header(0, w->match), header(1, w->none_match),
                               header(2, w->modified), header(3, w->unmodified)};
        struct validators v = {w->found, SLICE("e"), 784111777};
        int swift = conditions_swift(&c, &v), reads = conditions_rfc9110(&c, &v, true),
            writes = conditions_rfc9110(&c, &v, false);
        if (swift != w->swift || reads != w->reads || writes != w->writes)
            fail_msg("row %u: %d %d %d", i, swift, reads, writes);
    }
}

static void test_if_range(void **state)
{
    const struct validators v = {true, SLICE("e"), 784111777};
    assert_true(if_range_holds(SLICE(""), &v));
    assert_true(if_range_holds(SLICE("\"e\""), &v));
    assert_false(if_range_holds(SLICE("\"x\""), &v));
    assert_false(if_range_holds(SLICE("W/\"e\""), &v));
    assert_true(if_range_holds(SLICE(AT), &v));
    assert_false(if_range_holds(SLICE(BEFORE), &v));
    assert_false(if_range_holds(SLICE(AFTER), &v));
    assert_false(if_range_holds(SLICE("nonsense"), &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_if_range)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
