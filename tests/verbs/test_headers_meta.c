/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loop.h"
#include "server/verbs/headers_meta.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static char encoding[] = "Content-Encoding", delete_at[] = "x-delete-at", etag[] = "ETag",
            length[] = "content-length", deleted[] = "deleted";
static char *allowed[] = {encoding, delete_at, etag, length, deleted};
static struct config config = {.allowed_headers = {allowed, 5}};
static struct loop loop = {.config = &config};

static void test_allowed(void **state)
{
    assert_true(is_allowed_header(&config, SLICE("Content-Encoding")));
    assert_true(is_allowed_header(&config, SLICE("X-Delete-At")));
    assert_false(is_allowed_header(&config, SLICE("Cache-Control")));
    /* listed, but never the client's to set */
    assert_false(is_allowed_header(&config, SLICE("Etag")));
    assert_false(is_allowed_header(&config, SLICE("Content-Length")));
    assert_false(is_allowed_header(&config, SLICE("Deleted")));
}

static void test_kinds(void **state)
{
    assert_true(is_user_meta(SLICE("X-Object-Meta-A")));
    assert_false(is_user_meta(SLICE("X-Object-Meta-"))); /* longer than the prefix */
    assert_true(is_sysmeta(SLICE("X-Object-Sysmeta-A")));
    assert_false(is_sysmeta(SLICE("X-Object-Transient-Sysmeta-A")));
    assert_true(is_transient_sysmeta(SLICE("X-Object-Transient-Sysmeta-A")));
}

#define H(name, value)                                                                             \
    {                                                                                              \
        SLICE(name), SLICE(value)                                                                  \
    }

static struct header headers[] = {
    H("x-object-meta-foo_bar", "1"),
    H("X-Object-Meta-2nd", ""),
    H("X-Object-Sysmeta-S", "2"),
    H("X-Object-Transient-Sysmeta-T", "3"),
    H("content-encoding", "gzip"),
    H("Cache-Control", "no-store"),
    H("Etag", "e"),
    H("x-extra", "4"),
    H("X-MORE", "5"),
    H("X-Backend-Replication-Headers", "x-extra  X-More\tx-absent"),
    H("X-Timestamp", "1"),
};

static void test_from_request(void **state)
{
    static const struct {
        enum meta_use use;
        const char *keys; /* in order */
    } rows[] = {
        {META_OF_PUT, "X-Object-Meta-Foo-Bar X-Object-Meta-2Nd X-Object-Sysmeta-S "
                      "X-Object-Transient-Sysmeta-T Content-Encoding X-Extra X-More "},
        {META_OF_POST, "X-Object-Meta-Foo-Bar X-Object-Meta-2Nd X-Object-Transient-Sysmeta-T "
                       "Content-Encoding X-Extra X-More "},
        {META_OF_PLAIN, "X-Object-Meta-Foo-Bar X-Object-Meta-2Nd Content-Encoding Cache-Control "},
    };
    struct request r = {.loop = &loop,
                        .headers = headers,
                        .header_count = sizeof headers / sizeof *headers,
                        .arena = arena_new(1 << 20)};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct metadata m = {0};
        char keys[1024] = "";
        assert_int_equal(metadata_from_request(&r, rows[i].use, &m), 0);
        for (unsigned k = 0; k < m.count; k++)
            sprintf(keys + strlen(keys), "%.*s ", (int)m.items[k].key.len, m.items[k].key.at);
        assert_string_equal(keys, rows[i].keys);
        assert_true(slice_eq(metadata_value(&m, "Content-Encoding"), SLICE("gzip")));
        assert_non_null(metadata_get(&m, "X-Object-Meta-2Nd")); /* empty values are kept */
        metadata_release(&m);
    }
    arena_free(r.arena);
}

static void test_own_keys(void **state)
{
    const struct df_name name = {
        .account = SLICE("a"), .container = SLICE("\0c"), .object = SLICE("\0o/x")};
    struct metadata m = {0};
    assert_int_equal(metadata_set_timestamp(&m, "X-Timestamp", (struct timestamp){150000, 255}), 0);
    assert_int_equal(metadata_set_number(&m, "Content-Length", UINT64_MAX), 0);
    assert_int_equal(metadata_set_name(&m, &name), 0);
    assert_true(
        slice_eq(metadata_value(&m, "X-Timestamp"), SLICE("0000000001.50000_00000000000000ff")));
    assert_true(slice_eq(metadata_value(&m, "Content-Length"), SLICE("18446744073709551615")));
    assert_true(slice_eq(metadata_value(&m, "name"), SLICE("/a/\0c/\0o/x")));
    assert_int_equal(metadata_value(&m, "absent").len, 0);
    metadata_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_from_request),
        cmocka_unit_test(test_own_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
