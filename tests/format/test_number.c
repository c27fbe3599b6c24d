/* SPDX-License-Identifier: Apache-2.0 */
/* Integers as Python's int(text, base) reads them. */
#include "diskfile/format/number.h"
#include "tests/format/cases.h"
#include <errno.h>
#include <stdio.h>

static const struct {
    const char *text;
    unsigned base;
    int result;
    uint64_t magnitude;
    bool negative;
} numbers[] = {
    {"0", 10, 0, 0, false},
    {"-0", 10, 0, 0, false},
    {"+1", 10, 0, 1, false},
    {"-1", 10, 0, 1, true},
    {" \t12\n", 10, 0, 12, false},
    {"01", 10, 0, 1, false},
    {"1_000", 10, 0, 1000, false},
    {"18446744073709551615", 10, 0, UINT64_MAX, false},
    {"18446744073709551616", 10, -ERANGE, 0, false},
    {"99999999999999999999999", 10, -ERANGE, 0, false},
    {"99999999999999999999999x", 10, -EINVAL, 0, false},
    {"", 10, -EINVAL, 0, false},
    {" ", 10, -EINVAL, 0, false},
    {"+", 10, -EINVAL, 0, false},
    {"+-1", 10, -EINVAL, 0, false},
    {"a", 10, -EINVAL, 0, false},
    {"1.0", 10, -EINVAL, 0, false},
    {"_1", 10, -EINVAL, 0, false},
    {"1_", 10, -EINVAL, 0, false},
    {"1__0", 10, -EINVAL, 0, false},
    {"0x10", 10, -EINVAL, 0, false},
    {"0x10", 16, 0, 16, false},
    {"0X_1f", 16, 0, 31, false},
    {"-0xF", 16, 0, 15, true},
    {"ffffffffffffffff", 16, 0, UINT64_MAX, false},
    {"0000000000000000000000001", 16, 0, 1, false},
    {"10000000000000000", 16, -ERANGE, 0, false},
    {"0x", 16, -EINVAL, 0, false},
    {"0x__1", 16, -EINVAL, 0, false},
    {"g", 16, -EINVAL, 0, false},
};

static void test_parse(void **state)
{
    for (EACH(row, numbers)) {
        struct number n = {7, true};
        print_message("'%s' base %u\n", row->text, row->base);
        assert_int_equal(number_parse(slice_of(row->text), row->base, &n), row->result);
        assert_true(n.magnitude == (row->result ? 7 : row->magnitude)); /* untouched on error */
        assert_int_equal(n.negative, row->result ? true : row->negative);
    }
}

static void test_write(void **state)
{
    static const uint64_t values[] = {0, 1, 9, 10, 99, 1700000000, 4294967296, UINT64_MAX};
    for (EACH(value, values)) {
        for (unsigned width = 0; width < 25; width++) {
            char expected[32], text[32];
            snprintf(expected, sizeof(expected), "%0*llu", (int)width, (unsigned long long)*value);
            *number_write(text, *value, width) = '\0';
            assert_string_equal(text, expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_write)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
