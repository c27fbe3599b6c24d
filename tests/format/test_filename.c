/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of on-disk-format 4, both ways. */
#include "diskfile/format/filename.h"
#include "tests/format/cases.h"
#include <stdio.h>

static const struct file_policy replicated = {.erasure_coded = false};
static const struct file_policy coded = {.erasure_coded = true};
static const struct file_policy coded_6 = {.erasure_coded = true, .fragments = 6};

#define T3 170000000300000u
#define T2 170000000200000u

/* kind, ticks, offset, ctype ticks, ctype offset, has_ctype, fragment, durable */
static const struct {
    const char *name;
    const struct file_policy *policy;
    struct file_name want;
    bool is_ours; /* filename_format() gives the name back */
} names[] = {
    {"1700000003.00000.data", &replicated, {FILE_DATA, {T3, 0}, {0, 0}, 0, -1, 0}, true},
    {"1700000003.00000.ts", &replicated, {FILE_TOMBSTONE, {T3, 0}, {0, 0}, 0, -1, 0}, true},
    {"1700000003.00000.meta", &replicated, {FILE_META, {T3, 0}, {0, 0}, 0, -1, 0}, true},
    {"1700000003.00000_0000000000000011.data",
     &replicated,
     {FILE_DATA, {T3, 17}, {0, 0}, 0, -1, 0},
     true},
    {"1700000003.00000_0000000000000011.meta",
     &replicated,
     {FILE_META, {T3, 17}, {0, 0}, 0, -1, 0},
     true},
    {"1700000003.00000-186a0.meta", &replicated, {FILE_META, {T3, 0}, {T2, 0}, 1, -1, 0}, true},
    {"1700000003.00000+0.meta", &replicated, {FILE_META, {T3, 0}, {T3, 0}, 1, -1, 0}, true},
    {"1700000002.00000+186a0.meta", &replicated, {FILE_META, {T2, 0}, {T3, 0}, 1, -1, 0}, true},
    {"1700000003.00000_11-186a0.meta", &replicated, {FILE_META, {T3, 17}, {T2, 0}, 1, -1, 0}, true},
    {"1700000003.00000_11+0.meta", &replicated, {FILE_META, {T3, 17}, {T3, 17}, 1, -1, 0}, true},
    /* Read, never written. */
    {"1700000003.00000-0.meta", &replicated, {FILE_META, {T3, 0}, {T3, 0}, 1, -1, 0}, false},
    {"1700000003.00000-186a0+5.meta", &replicated, {FILE_META, {T3, 0}, {T2, 0}, 1, -1, 0}, false},
    {"1700000003-0x1_86a0.meta", &replicated, {FILE_META, {T3, 0}, {T2, 0}, 1, -1, 0}, false},
    {"1700000003+0+0+x.meta", &replicated, {FILE_META, {T3, 0}, {T3, 0}, 1, -1, 0}, false},
    {"1700000003.data", &replicated, {FILE_DATA, {T3, 0}, {0, 0}, 0, -1, 0}, false},
    {"1700000003.00000.durable", &replicated, {FILE_DURABLE, {T3, 0}, {0, 0}, 0, -1, 0}, false},
    {"1700000003.00000.durable", &coded, {FILE_DURABLE, {T3, 0}, {0, 0}, 0, -1, 0}, false},
    {"1700000003.00000.foo", &replicated, {FILE_OTHER, {T3, 0}, {0, 0}, 0, -1, 0}, false},
    {"1700000003.00000", &replicated, {FILE_OTHER, {T3, 0}, {0, 0}, 0, -1, 0}, false},
    {"1700000003", &replicated, {FILE_OTHER, {T3, 0}, {0, 0}, 0, -1, 0}, false},
    {"1700000003.", &replicated, {FILE_OTHER, {T3, 0}, {0, 0}, 0, -1, 0}, false},
    {"..5", &replicated, {.kind = FILE_UNEXPECTED, .fragment = -1}, false},
    {".5", &replicated, {FILE_OTHER, {50000, 0}, {0, 0}, 0, -1, 0}, false},
    /* Fragments. */
    {"1700000003.00000#2.data", &coded, {FILE_DATA, {T3, 0}, {0, 0}, 0, 2, 0}, true},
    {"1700000003.00000#12#d.data", &coded, {FILE_DATA, {T3, 0}, {0, 0}, 0, 12, 1}, true},
    {"1700000003.00000_0000000000000011#2.data",
     &coded,
     {FILE_DATA, {T3, 17}, {0, 0}, 0, 2, 0},
     true},
    {"1700000003.00000#5#d.data", &coded_6, {FILE_DATA, {T3, 0}, {0, 0}, 0, 5, 1}, true},
    {"1700000003.00000.ts", &coded, {FILE_TOMBSTONE, {T3, 0}, {0, 0}, 0, -1, 0}, true},
    {"1700000003.00000-186a0.meta", &coded, {FILE_META, {T3, 0}, {T2, 0}, 1, -1, 0}, true},
    {"1700000003.00000#01.data", &coded, {FILE_DATA, {T3, 0}, {0, 0}, 0, 1, 0}, false},
    {"1700000003.00000#+1.data", &coded, {FILE_DATA, {T3, 0}, {0, 0}, 0, 1, 0}, false},
    {"1700000003.00000#1#D.data", &coded, {FILE_DATA, {T3, 0}, {0, 0}, 0, 1, 0}, false},
    {"1700000003.00000#1#.data", &coded, {FILE_DATA, {T3, 0}, {0, 0}, 0, 1, 0}, false},
    {"1700000003.00000#1#d#x.data", &coded, {FILE_DATA, {T3, 0}, {0, 0}, 0, 1, 1}, false},
};

static const struct {
    const char *name;
    const struct file_policy *policy;
} unexpected[] = {
    {"", &replicated},
    {"junk", &replicated},
    {"junk.data", &replicated},
    {".data", &replicated},
    {"-1.data", &replicated},
    {"99999999999.data", &replicated},
    {"1700000003.00000#2.data", &replicated},
    {"1700000003.00000#2#d.data", &replicated},
    {"1700000003.00000+0.data", &replicated},
    {"1700000003.00000+0.ts", &replicated},
    {".1700000003.00000.data.AbC0_9", &replicated},
    {"1700000003.00000+.meta", &replicated},
    {"1700000003.00000+x.meta", &replicated},
    {"+5.meta", &replicated},
    {"1700000003.00000+0+.meta", &replicated},
    {"1700000003.00000+0+x.meta", &replicated},
    {"0000000001.00000-186a1.meta", &replicated}, /* before 1970 */
    {"9999999999.99999+1.meta", &replicated},     /* after the last time */
    {"1.00000+0-186a1.meta", &replicated},        /* the third time too */
    {"1+ffffffffffffffffffffffff.meta", &replicated},
    {"1700000003.00000.data", &coded},
    {"1700000003.00000#.data", &coded},
    {"1700000003.00000#x.data", &coded},
    {"1700000003.00000#-1.data", &coded},
    {"1700000003.00000#1.5.data", &coded},
    {"1700000003.00000#99999999999999999999.data", &coded},
    {"#1.data", &coded},
    {"1700000003.00000#1.ts", &coded},
    {"1700000003.00000#1.durable", &coded},
    {"1700000003.00000#6.data", &coded_6},
    {"1700000003.00000#6#d.data", &coded_6},
};

static void test_parse(void **state)
{
    for (EACH(row, names)) {
        struct file_name got;
        char name[FILENAME_MAX_LEN];

        print_message("'%s'\n", row->name);
        filename_parse(slice_of(row->name), row->policy, &got);
        assert_int_equal(got.kind, row->want.kind);
        assert_int_equal(timestamp_cmp(got.timestamp, row->want.timestamp), 0);
        assert_int_equal(timestamp_cmp(got.ctype_timestamp, row->want.ctype_timestamp), 0);
        assert_int_equal(got.has_ctype, row->want.has_ctype);
        assert_int_equal(got.fragment, row->want.fragment);
        assert_int_equal(got.durable, row->want.durable);
        if (row->is_ours) {
            assert_int_equal(filename_format(&got, name), strlen(row->name));
            assert_string_equal(name, row->name);
        }
    }
}

static void test_unexpected(void **state)
{
    for (EACH(row, unexpected)) {
        struct file_name got;
        print_message("'%s'\n", row->name);
        filename_parse(slice_of(row->name), row->policy, &got);
        assert_int_equal(got.kind, FILE_UNEXPECTED);
        assert_int_equal(got.fragment, FILE_NO_FRAGMENT);
    }
}

static void test_longest_name_fits(void **state)
{
    struct file_name file = {.kind = FILE_META,
                             .timestamp = {TIMESTAMP_TICKS_END - 1, UINT64_MAX},
                             .ctype_timestamp = {1, 0},
                             .has_ctype = true};
    char name[FILENAME_MAX_LEN];
    assert_true(filename_format(&file, name) < FILENAME_MAX_LEN);
    assert_string_equal(name, "9999999999.99999_ffffffffffffffff-38d7ea4c67ffe.meta");
    file.ctype_timestamp = (struct timestamp){0, 0}; /* counts as none */
    filename_format(&file, name);
    assert_string_equal(name, "9999999999.99999_ffffffffffffffff.meta");
}

static const struct {
    const char *name;
    bool is_temp;
} rsync_names[] = {
    {".1700000003.00000.data.AbC0_9", true},
    {"..abcdef", true},
    {".x.123456", true},
    {"1700000003.00000.data.AbC0_9", false},
    {".abcdef", false},
    {".x.12345", false},
    {".x.1234567", false},
    {".x.12-456", false},
    {"", false},
};

static void test_rsync_temp(void **state)
{
    for (EACH(row, rsync_names))
        assert_int_equal(filename_is_rsync_temp(slice_of(row->name)), row->is_temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_unexpected),
        cmocka_unit_test(test_longest_name_fits),
        cmocka_unit_test(test_rsync_temp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
