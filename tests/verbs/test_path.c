/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/path.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_utf8(void **state)
{
    static const struct {
        struct slice text;
        bool valid;
        size_t count;
    } rows[] = {
        {{"", 0}, true, 0},
        {SLICE("abc"), true, 3},
        {SLICE("a\0b"), true, 3},
        {SLICE("\xc3\xa9"), true, 1},
        {SLICE("\xe2\x82\xac"), true, 1},
        {SLICE("\xf0\x9f\x98\x80x"), true, 2},
        {SLICE("\xf4\x8f\xbf\xbf"), true, 1},
        {SLICE("\xed\x9f\xbf"), true, 1},
        {SLICE("\xee\x80\x80"), true, 1},
        {SLICE("\x80"), false, 0},
        {SLICE("\xff"), false, 0},
        {SLICE("\xc3"), false, 0},             /* cut off */
        {SLICE("\xe2\x82"), false, 0},         /* cut off */
        {SLICE("\xf0\x9f\x98"), false, 0},     /* cut off */
        {SLICE("\xc0\xaf"), false, 0},         /* overlong */
        {SLICE("\xc1\xbf"), false, 0},         /* overlong */
        {SLICE("\xe0\x9f\xbf"), false, 0},     /* overlong */
        {SLICE("\xf0\x8f\xbf\xbf"), false, 0}, /* overlong */
        {SLICE("\xed\xa0\x80"), false, 0},     /* surrogate */
        {SLICE("\xed\xbf\xbf"), false, 0},     /* surrogate */
        {SLICE("\xf4\x90\x80\x80"), false, 0}, /* above U+10FFFF */
        {SLICE("\xf5\x80\x80\x80"), false, 0},
        {SLICE("\xe2\x28\xa1"), false, 0}, /* no continuation */
        {SLICE("\xe2\x82\x28"), false, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (utf8_valid(rows[i].text) != rows[i].valid)
            fail_msg("row %u", i);
        if (rows[i].valid)
            assert_int_equal(utf8_count(rows[i].text), rows[i].count);
    }
}

static void test_split_partition(void **state)
{
    static const struct {
        const char *path;
        bool ok;
        const char *device, *partition, *rest;
    } rows[] = {
        {"/d/p", true, "d", "p", ""},
        {"/d/p/", true, "d", "p", ""},
        {"/d/p/abc-def", true, "d", "p", "abc-def"},
        {"/d/p//a/", true, "d", "p", "/a/"},
        {"/d/../x", true, "d", "..", "x"},
        {"/d/", false, NULL, NULL, NULL},
        {"/d", false, NULL, NULL, NULL},
        {"/", false, NULL, NULL, NULL},
        {"", false, NULL, NULL, NULL},
        {"//p", false, NULL, NULL, NULL},
        {"/d//abc", false, NULL, NULL, NULL},
        {"d/p", false, NULL, NULL, NULL},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice device, partition, rest;
        assert_int_equal(path_split_partition(slice_of(rows[i].path), &device, &partition, &rest),
                         rows[i].ok);
        if (!rows[i].ok)
            continue;
        assert_true(slice_eq(device, slice_of(rows[i].device)));
        assert_true(slice_eq(partition, slice_of(rows[i].partition)));
        assert_true(slice_eq(rest, slice_of(rows[i].rest)));
    }
}

static void test_split(void **state)
{
    static const struct {
        const char *path;
        bool ok;
        const char *device, *partition, *account, *container, *object;
    } rows[] = {
        {"/d/p/a/c/o", true, "d", "p", "a", "c", "o"},
        {"/d/p/a/c//o", true, "d", "p", "a", "c", "/o"},
        {"/d/p/a/c/o/", true, "d", "p", "a", "c", "o/"},
        {"/d/p/a/c//", true, "d", "p", "a", "c", "/"},
        {"/d/p/a/c/x/y/z", true, "d", "p", "a", "c", "x/y/z"},
        {"/../0/a/c/o", true, "..", "0", "a", "c", "o"},
        {"", false},
        {"/", false},
        {"d/p/a/c/o", false},
        {"/d/p/a/c", false},
        {"/d/p/a/c/", false},
        {"/d/p/a//o", false},
        {"/d/p//c/o", false},
        {"//p/a/c/o", false},
        {"/d//a/c/o", false},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct object_path p;
        assert_int_equal(path_split(slice_of(rows[i].path), &p), rows[i].ok);
        if (!rows[i].ok)
            continue;
        assert_true(slice_eq(p.device, slice_of(rows[i].device)));
        assert_true(slice_eq(p.partition, slice_of(rows[i].partition)));
        assert_true(slice_eq(p.account, slice_of(rows[i].account)));
        assert_true(slice_eq(p.container, slice_of(rows[i].container)));
        assert_true(slice_eq(p.object, slice_of(rows[i].object)));
    }
}

static void test_component(void **state)
{
    assert_true(path_component_safe(SLICE("sda1")));
    assert_true(path_component_safe(SLICE("...")));
    assert_false(path_component_safe(SLICE("")));
    assert_false(path_component_safe(SLICE(".")));
    assert_false(path_component_safe(SLICE("..")));
    assert_false(path_component_safe(SLICE("a\0b")));
    assert_false(path_component_safe(SLICE("a/b")));
}

static void test_reserved(void **state)
{
    static const struct {
        struct slice account, container, object;
        const char *problem;
    } rows[] = {
        {SLICE("a"), SLICE("c"), SLICE("o"), NULL},
        {SLICE("a"), SLICE("\0c"), SLICE("\0o"), NULL},
        {SLICE("\0a"), SLICE("c"), SLICE("o"), NULL},
        {SLICE("a"), SLICE("\0c"), SLICE("\0o\0v"), NULL},
        {SLICE("a\0"), SLICE("c"), SLICE("o"), "Invalid reserved-namespace account"},
        {SLICE("a"), SLICE("c\0"), SLICE("o"), "Invalid reserved-namespace container"},
        {SLICE("a"), SLICE("c"), SLICE("o\0"), "Invalid reserved-namespace object"},
        {SLICE("a"), SLICE("\0c"), SLICE("o"),
         "Invalid user-namespace object in reserved-namespace container"},
        {SLICE("a"), SLICE("c"), SLICE("\0o"),
         "Invalid reserved-namespace object in user-namespace container"},
        {SLICE(".a"), SLICE("c"), SLICE("\0o"), NULL},
        {SLICE(".a"), SLICE("c"), SLICE("o\0"), NULL},
        {SLICE(".a\0"), SLICE("c"), SLICE("o"), "Invalid reserved-namespace account"},
        {SLICE(".a"), SLICE("c\0"), SLICE("o"), "Invalid reserved-namespace container"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct object_path p = {SLICE("d"), SLICE("p"), rows[i].account, rows[i].container,
                                rows[i].object};
        const char *problem = path_reserved_problem(&p, SLICE("."));
        if (!rows[i].problem)
            assert_null(problem);
        else
            assert_string_equal(problem, rows[i].problem);
    }
    struct object_path p = {SLICE("d"), SLICE("p"), SLICE(".misplaced_objects"), SLICE("c"),
                            SLICE("\0o")};
    assert_null(path_reserved_problem(&p, SLICE("AUTO_")));
    p.account = SLICE(".a");
    assert_non_null(path_reserved_problem(&p, SLICE("AUTO_")));
    assert_non_null(path_reserved_problem(&p, SLICE(""))); /* no prefix: nobody has it */
}

static void test_quote(void **state)
{
    char text[64];
    size_t len = path_quote(SLICE("/a b/\xc3\xa9~%\0."), text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, "/a%20b/%C3%A9~%25%00.");
}

static void test_plain(void **state)
{
    static const struct {
        struct slice path;
        const char *container, *key; /* NULL: refused */
        bool no_key;
        const char *says;
    } rows[] = {
        {SLICE("/c/k"), "c", "k"},
        {SLICE("/c/dir/k"), "c", "dir/k"},
        {SLICE("/c/dir/"), "c", "dir/"},
        {SLICE("/c//k"), "c", "/k"},
        {SLICE("/c/..."), "c", "..."},
        {SLICE("/c/.k"), "c", ".k"},
        {SLICE("/"), NULL, NULL, true, "no object"},
        {SLICE("/c"), NULL, NULL, true, "no object"},
        {SLICE("/c/"), NULL, NULL, true, "no object"},
        {SLICE("//k"), NULL, NULL, false, "empty"},
        {SLICE("c/k"), NULL, NULL, false, "begin with"},
        {SLICE(""), NULL, NULL, false, "begin with"},
        {SLICE("/c/../k"), NULL, NULL, false, "\"..\""},
        {SLICE("/../k"), NULL, NULL, false, "\"..\""},
        {SLICE("/c/.."), NULL, NULL, false, "\"..\""},
        {SLICE("/c/./k"), NULL, NULL, false, "\".\""},
        {SLICE("/c/k/."), NULL, NULL, false, "\".\""},
        {SLICE("/c/\xff"), NULL, NULL, false, "UTF-8"},
        {SLICE("/c/a\0b"), NULL, NULL, false, "NUL"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice container, key;
        bool no_key;
        const char *problem = path_split_plain(rows[i].path, &container, &key, &no_key);
        assert_int_equal(no_key, rows[i].no_key);
        if (rows[i].key) {
            assert_null(problem);
            assert_true(slice_eq(container, slice_of(rows[i].container)));
            assert_true(slice_eq(key, slice_of(rows[i].key)));
        } else {
            assert_non_null(problem);
            assert_non_null(strstr(problem, rows[i].says));
        }
    }
}

/* "/" + container bytes + "/" + key bytes; true: allowed. */
static bool lengths_allowed(size_t container_len, size_t key_len)
{
    static char path[4096];
    struct slice container, key;
    bool no_key;
    memset(path, 'x', sizeof path);
    path[0] = path[1 + container_len] = '/';
    return !path_split_plain((struct slice){path, 2 + container_len + key_len}, &container, &key,
                             &no_key);
}

static void test_plain_lengths(void **state)
{
    assert_true(lengths_allowed(256, 1024));
    assert_false(lengths_allowed(257, 1));
    assert_false(lengths_allowed(1, 1025));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_partition),
        cmocka_unit_test(test_component),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
