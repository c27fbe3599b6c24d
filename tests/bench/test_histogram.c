/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/histogram.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the three above first */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct histogram *h, uint64_t first, uint64_t last, uint64_t step)
{
    for (uint64_t v = first; v <= last; v += step)
        histogram_record(h, v);
}

/* Percentiles of first, first+step, ... last: `truth` is known, the answer may be 1/64 above. */
static void test_percentiles(void **state)
{
    static const struct {
        uint64_t first, last, step;
        double percent;
        uint64_t truth;
    } rows[] = {
        {7, 7, 1, 50, 7},
        {7, 7, 1, 100, 7},
        {1, 50, 1, 50, 25}, /* exact below 64 */
        {1, 50, 1, 51, 26}, /* 25.5 records are 26 */
        {1, 50, 1, 100, 50},
        {1000, 1000000, 1000, 50, 500000},
        {1000, 1000000, 1000, 90, 900000},
        {1000, 1000000, 1000, 99, 990000},
        {1000, 1000000, 1000, 99.95, 1000000},
        {1000, 1000000, 1000, 0, 1000},
        {1ull << 62, 1ull << 62, 1, 50, 1ull << 62},
        {UINT64_MAX, UINT64_MAX - 1, 1, 50, 0}, /* empty */
    };
    struct histogram *h = malloc(sizeof *h);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(h, 0, sizeof *h);
        fill(h, rows[i].first, rows[i].last, rows[i].step);
        uint64_t got = histogram_percentile(h, rows[i].percent);
        if (got < rows[i].truth || got > rows[i].truth + rows[i].truth / 64)
            fail_msg("row %u: %llu", i, (unsigned long long)got);
    }
    free(h);
    (void)state;
}

static void test_every_power_has_its_bucket(void **state)
{
    struct histogram *h = calloc(1, sizeof *h);
    for (unsigned bit = 0; bit < 64; bit++) {
        histogram_record(h, 1ull << bit);
        assert_int_equal(histogram_percentile(h, 100), 1ull << bit);
    }
    histogram_record(h, UINT64_MAX);
    assert_true(histogram_percentile(h, 100) == UINT64_MAX);
    free(h);
    (void)state;
}

static void test_adding_up(void **state)
{
    struct histogram *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    fill(a, 1, 10, 1);
    fill(b, 11, 40, 1);
    histogram_add(a, b);
    assert_int_equal(a->count, 40);
    assert_int_equal(a->max_ns, 40);
    assert_int_equal(histogram_percentile(a, 50), 20);
    free(a);
    free(b);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_every_power_has_its_bucket),
        cmocka_unit_test(test_adding_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
