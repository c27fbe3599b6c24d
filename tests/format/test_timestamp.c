/* SPDX-License-Identifier: Apache-2.0 */
#include "diskfile/format/timestamp.h"
#include "tests/format/cases.h"
#include <errno.h>

#define DIGITS_64 "0000000000000000000000000000000000000000000000000000000000000000"

static const struct {
    const char *text;
    const char *internal; /* NULL: refused */
    const char *short_form;
    uint64_t ceil_s;
} times[] = {
    {"1700000000.12345", "1700000000.12345", "1700000000.12345", 1700000001},
    {"1700000000.00000", "1700000000.00000", "1700000000.00000", 1700000000},
    {"1700000000.12345_00000000000000ff", "1700000000.12345_00000000000000ff",
     "1700000000.12345_ff", 1700000001},
    {"1700000000.12345_ff", "1700000000.12345_00000000000000ff", "1700000000.12345_ff", 1700000001},
    {"1.5", "0000000001.50000", "0000000001.50000", 2},
    {"1e9", "1000000000.00000", "1000000000.00000", 1000000000},
    {"1E+9", "1000000000.00000", "1000000000.00000", 1000000000},
    {"17e-1", "0000000001.70000", "0000000001.70000", 2},
    {"+5", "0000000005.00000", "0000000005.00000", 5},
    {".5", "0000000000.50000", "0000000000.50000", 1},
    {"5.", "0000000005.00000", "0000000005.00000", 5},
    {"0", "0000000000.00000", "0000000000.00000", 0},
    {"-0", "0000000000.00000", "0000000000.00000", 0},
    {"\t 1 \r\n", "0000000001.00000", "0000000001.00000", 1},
    {"1_", "0000000001.00000", "0000000001.00000", 1},
    {"1_0", "0000000001.00000", "0000000001.00000", 1},
    {"1_ +0x11 ", "0000000001.00000_0000000000000011", "0000000001.00000_11", 1},
    {"1_ffffffffffffffff", "0000000001.00000_ffffffffffffffff", "0000000001.00000_ffffffffffffffff",
     1},
    {".123456789", "0000000000.12346", "0000000000.12346", 1},
    {"1700000000.123455", "1700000000.12346", "1700000000.12346", 1700000001},
    {"0.000005", "0000000000.00001", "0000000000.00001", 1},
    {"0.000004", "0000000000.00000", "0000000000.00000", 0},
    {"9999999999.99999", "9999999999.99999", "9999999999.99999", 10000000000},
    {"0000001700000000.1", "1700000000.10000", "1700000000.10000", 1700000001},
    {"1e-400", "0000000000.00000", "0000000000.00000", 0},
    {"1." DIGITS_64 DIGITS_64, "0000000001.00000", "0000000001.00000", 1},

    {"", NULL},
    {" ", NULL},
    {"_1", NULL},
    {".", NULL},
    {"+", NULL},
    {"e5", NULL},
    {"1e", NULL},
    {"1e+", NULL},
    {"1.5.5", NULL},
    {"1 2", NULL},
    {"1,5", NULL},
    {"0x10", NULL},
    {"0x1p3", NULL},
    {"inf", NULL},
    {"-inf", NULL},
    {"infinity", NULL},
    {"nan", NULL},
    {"nan(1)", NULL},
    {"1e400", NULL},
    {"-1", NULL},
    {"-0.00001", NULL},
    {"-1e-9", NULL},
    {"10000000000", NULL},
    {"9999999999.999999", NULL}, /* rounds up out of range */
    {"1e10", NULL},
    {"1__", NULL},
    {"1_1_1", NULL},
    {"1_-1", NULL},
    {"1_g", NULL},
    {"1_0x", NULL},
    {"1_1ffffffffffffffff", NULL},
    {"1-2", NULL},
    {"1." DIGITS_64 DIGITS_64 DIGITS_64 DIGITS_64, NULL}, /* longer than any file name */
};

static void test_parse_and_print(void **state)
{
    for (EACH(row, times)) {
        struct timestamp ts = {1, 2};
        char text[TIMESTAMP_TEXT_MAX];

        print_message("'%s'\n", row->text);
        int r = timestamp_parse(slice_of(row->text), &ts);
        assert_int_equal(r, row->internal ? 0 : -EINVAL);
        if (!row->internal) {
            assert_true(ts.ticks == 1 && ts.offset == 2);
            continue;
        }
        assert_int_equal(timestamp_internal(ts, text), strlen(row->internal));
        assert_string_equal(text, row->internal);
        assert_int_equal(timestamp_short(ts, text), strlen(row->short_form));
        assert_string_equal(text, row->short_form);
        assert_int_equal(timestamp_normal(ts, text), 16);
        assert_memory_equal(text, row->internal, 16);
        assert_true(timestamp_ceil_s(ts) == row->ceil_s);
    }
}

static void test_nul_is_no_blank(void **state)
{
    struct timestamp ts;
    assert_int_equal(timestamp_parse(SLICE("1\0"), &ts), -EINVAL);
    assert_int_equal(timestamp_parse(SLICE("\0"), &ts), -EINVAL);
    assert_int_equal(timestamp_parse((struct slice){NULL, 0}, &ts), -EINVAL);
}

static void test_order(void **state)
{
    static const struct timestamp rising[] = {
        {0, 0}, {0, 1}, {1, 0}, {1, 1}, {1, UINT64_MAX}, {2, 0}, {TIMESTAMP_TICKS_END - 1, 0},
    };
    for (size_t i = 0; i < sizeof(rising) / sizeof(rising[0]); i++) {
        for (size_t j = 0; j < sizeof(rising) / sizeof(rising[0]); j++) {
            int order = timestamp_cmp(rising[i], rising[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    assert_true(timestamp_is_zero(rising[0]));
    assert_false(timestamp_is_zero(rising[1]));
    assert_false(timestamp_is_zero(rising[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_print),
        cmocka_unit_test(test_nul_is_no_blank),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
