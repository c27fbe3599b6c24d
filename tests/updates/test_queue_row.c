/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/queue_row.h"
#include "tests/format/cases.h"

static void hash_of(const char *prefix, const char *suffix, const char *a, const char *c,
                    const char *o, struct object_hash *ret)
{
    const struct hash_key key = {slice_of(prefix), slice_of(suffix)};
    hash_path(&key, slice_of(a), slice_of(c), slice_of(o), ret);
}

/* Both were observed with Swift 2.30.1. */
static void test_vectors(void **state)
{
    static const struct {
        const char *prefix, *suffix, *account, *container, *object;
        int64_t delete_at;
        const char *expected, *row;
    } rows[] = {
        {"specprefix", "specsuffix", "a", "c", "e4", 2000000000, "1999987102", "2000000000-a/c/e4"},
        {"pfx", "sfx", "AUTH_test", "c", "o", 1800000000, "1799971128", "1800000000-AUTH_test/c/o"},
    };
    struct arena *a = arena_new(65536);
    for (EACH(row, rows)) {
        struct object_hash hash;
        char container[QUEUE_CONTAINER_MAX];
        const struct df_name name = {.account = slice_of(row->account),
                                     .container = slice_of(row->container),
                                     .object = slice_of(row->object)};
        hash_of(row->prefix, row->suffix, row->account, row->container, row->object, &hash);
        queue_container(row->delete_at, 86400, &hash, container);
        assert_string_equal(container, row->expected);
        struct slice object = queue_object(a, row->delete_at, &name);
        assert_int_equal(object.len, strlen(row->row));
        assert_memory_equal(object.at, row->row, object.len);
    }
    arena_free(a);
}

static void test_limits(void **state)
{
    struct object_hash hash = {.md5 = {[15] = 99}}; /* shard 99 */
    char container[QUEUE_CONTAINER_MAX];
    queue_container(50, 86400, &hash, container);
    assert_string_equal(container, "0000000000");
    queue_container(INT64_MAX / 16, 86400, &hash, container);
    assert_string_equal(container, "9999935901");
    queue_container(86400, 1, &hash, container);
    assert_string_equal(container, "0000086301");
    assert_int_equal(queue_time(-1), 0);
    assert_int_equal(queue_time(10000000000), 9999999999);
}

static void test_sent(void **state)
{
    static const struct {
        const char *sent, *expected;
    } rows[] = {{"1999987102", "1999987102"},
                {"5", "0000000005"},
                {"-5", "0000000000"},
                {"99999999999", "9999999999"},
                {"", NULL},
                {"abc", NULL},
                {"12x", NULL}};
    for (EACH(row, rows)) {
        char text[QUEUE_CONTAINER_MAX] = "";
        assert_int_equal(queue_container_sent(slice_of(row->sent), text), row->expected != NULL);
        assert_string_equal(text, row->expected ? row->expected : "");
    }
}

static void test_time_of(void **state)
{
    assert_int_equal(queue_time_of(slice_of("")), 0);
    assert_int_equal(queue_time_of(slice_of("+12")), 12);
    assert_int_equal(queue_time_of(slice_of("soon")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sent),
        cmocka_unit_test(test_time_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
