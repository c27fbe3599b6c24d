/* SPDX-License-Identifier: Apache-2.0 */
/* test_ratelimit.c -- one bucket, by a clock of the test's own. */
#include "server/verbs/bucket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after those that it needs */
#include <cmocka.h>

#define S 1000000000ll

static unsigned taken(struct bucket *b, double rate, double buffer_s, int64_t at_ns, unsigned tries)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++)
        n += bucket_take(b, rate, buffer_s, at_ns);
    return n;
}

static void test_off(void **state)
{
    struct bucket b = {0};
    assert_int_equal(taken(&b, 0, 1, 100 * S, 1000), 1000);
}

/* After idling: the buffer's worth and one; then at the rate. */
static void test_burst(void **state)
{
    struct bucket b = {0};
    assert_int_equal(taken(&b, 10, 1, 100 * S, 1000), 11);
    assert_int_equal(taken(&b, 10, 1, 100 * S + S / 20, 1000), 0);
    assert_int_equal(taken(&b, 10, 1, 100 * S + S / 10, 1000), 1);
    assert_int_equal(taken(&b, 10, 1, 100 * S + S / 2, 1000), 4);
    assert_int_equal(taken(&b, 10, 1, 200 * S, 1000), 11); /* no more is saved up */
}

static void test_no_buffer(void **state)
{
    struct bucket b = {0};
    assert_int_equal(taken(&b, 2, 0, 100 * S, 10), 1);
    assert_int_equal(taken(&b, 2, 0, 100 * S + S / 2 - 1, 10), 0);
    assert_int_equal(taken(&b, 2, 0, 100 * S + S / 2, 10), 1);
}

/* Over a long time the rate is kept to the request. */
static void test_rate(void **state)
{
    struct bucket b = {0};
    unsigned n = 0;
    for (int64_t t = 0; t < 100; t++)
        n += taken(&b, 7, 1, 1000 * S + t * S / 10, 100);
    assert_in_range(n, 7 * 10 + 6, 7 * 10 + 9);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_no_buffer),
        cmocka_unit_test(test_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
