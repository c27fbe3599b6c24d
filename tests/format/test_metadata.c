/* SPDX-License-Identifier: Apache-2.0 */
/* The list, without its form on disk. */
#include "diskfile/format/metadata.h"
#include "tests/format/cases.h"
#include <errno.h>
#include <stdio.h>

static void assert_item(const struct metadata *m, unsigned at, const char *key, const char *value)
{
    assert_true(at < m->count);
    assert_true(slice_eq(m->items[at].key, slice_of(key)));
    assert_true(slice_eq(m->items[at].value, slice_of(value)));
}

static void test_set_keeps_order_and_replaces_in_place(void **state)
{
    struct metadata m = {0};
    assert_int_equal(metadata_set_text(&m, "b", "1"), 0);
    assert_int_equal(metadata_set_text(&m, "a", "2"), 0);
    assert_int_equal(metadata_set_text(&m, "c", ""), 0);
    assert_int_equal(metadata_set_text(&m, "b", "a longer one"), 0);
    assert_int_equal(m.count, 3);
    assert_item(&m, 0, "b", "a longer one");
    assert_item(&m, 1, "a", "2");
    assert_item(&m, 2, "c", "");
    metadata_release(&m);
    assert_int_equal(m.count, 0);
    metadata_release(&m);
}

static void test_value_may_be_its_own(void **state)
{
    struct metadata m = {0};
    assert_int_equal(metadata_set_text(&m, "key", "value"), 0);
    assert_int_equal(metadata_set(&m, m.items[0].key, m.items[0].value), 0);
    assert_item(&m, 0, "key", "value");
    assert_int_equal(metadata_set(&m, m.items[0].value, m.items[0].key), 0);
    assert_item(&m, 1, "value", "key");
    metadata_release(&m);
}

static void test_remove(void **state)
{
    struct metadata m = {0};
    metadata_remove(&m, SLICE("a"));
    for (const char *key = "a\0b\0c\0"; *key; key += 2)
        assert_int_equal(metadata_set_text(&m, key, key), 0);
    metadata_remove(&m, SLICE("A"));
    assert_int_equal(m.count, 3);
    metadata_remove(&m, m.items[1].key);
    assert_int_equal(m.count, 2);
    assert_item(&m, 0, "a", "a");
    assert_item(&m, 1, "c", "c");
    metadata_remove(&m, SLICE("c"));
    metadata_remove(&m, SLICE("a"));
    assert_int_equal(m.count, 0);
    metadata_release(&m);
}

static void test_get(void **state)
{
    struct metadata m = {0};
    assert_null(metadata_get(&m, "ETag"));
    assert_int_equal(metadata_set_text(&m, "ETag", "1"), 0);
    assert_int_equal(metadata_set(&m, SLICE("nul\0key"), SLICE("\0")), 0);
    assert_true(slice_eq(*metadata_get(&m, "ETag"), SLICE("1")));
    assert_null(metadata_get(&m, "etag"));
    assert_null(metadata_get(&m, "ETa"));
    assert_null(metadata_get(&m, "nul"));
    assert_true(slice_eq(*metadata_get_nocase(&m, SLICE("eTAG")), SLICE("1")));
    assert_true(slice_eq(*metadata_get_nocase(&m, SLICE("nul\0key")), SLICE("\0")));
    assert_null(metadata_get_nocase(&m, SLICE("nul\0kex")));
    metadata_release(&m);
}

static void test_copy(void **state)
{
    struct metadata from = {0}, to = {0};
    char key[16];
    assert_int_equal(metadata_copy(&to, &from), 0);
    assert_int_equal(to.count, 0);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "Key-%d", i);
        assert_int_equal(metadata_set_text(&from, key, key), 0);
    }
    assert_int_equal(metadata_copy(&to, &from), 0);
    metadata_release(&from);
    assert_int_equal(to.count, 100);
    assert_item(&to, 99, "Key-99", "Key-99");
    metadata_release(&to);
}

static void test_limit(void **state)
{
    struct metadata m = {0};
    char key[16];
    int r = 0;
    for (int i = 0; r == 0; i++) {
        snprintf(key, sizeof(key), "%d", i);
        r = metadata_set_text(&m, key, "");
    }
    assert_int_equal(r, -E2BIG);
    assert_int_equal(m.count, METADATA_ITEMS_MAX);
    assert_int_equal(metadata_set_text(&m, "0", "replaced"), 0);
    metadata_release(&m);
}

static const struct {
    const char *name;
    const char *key;
} titles[] = {
    {"content-type", "Content-Type"},
    {"X-OBJECT-META-COLOUR", "X-Object-Meta-Colour"},
    {"x-object-meta-2nd", "X-Object-Meta-2Nd"},
    {"x_object_meta_a", "X-Object-Meta-A"},
    {"etag", "ETag"},
    {"ETAG", "ETag"},
    {"x-etag", "X-Etag"},
    {"etags", "Etags"},
    {"x-object-meta-\xc3\xbc"
     "ber",
     "X-Object-Meta-\xc3\xbc"
     "Ber"},
    {"[a]@z`{", "[A]@Z`{"},
    {"", ""},
};

static void test_title_key(void **state)
{
    for (EACH(row, titles)) {
        char key[64] = {0};
        metadata_title_key(slice_of(row->name), key);
        assert_string_equal(key, row->key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_keeps_order_and_replaces_in_place),
        cmocka_unit_test(test_value_may_be_its_own),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_title_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
