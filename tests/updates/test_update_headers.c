/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/update_headers.h"
#include "tests/updates/with_headers.h"
#include <stdio.h>
#include <unistd.h>

static const struct timestamp at_10 = {10ull * TIMESTAMP_TICKS_PER_S, 0};
static const struct timestamp at_20 = {20ull * TIMESTAMP_TICKS_PER_S, 0};
static const struct timestamp at_30 = {30ull * TIMESTAMP_TICKS_PER_S, 0};

/* "Name=value|..." of all, and everything is freed. */
static void assert_list(struct metadata *m, const char *expected)
{
    char text[2048] = "";
    size_t at = 0;
    for (unsigned i = 0; i < m->count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s=%.*s", i ? "|" : "",
                               (int)m->items[i].key.len, m->items[i].key.at,
                               (int)m->items[i].value.len, m->items[i].value.at);
    assert_string_equal(text, expected);
    metadata_release(m);
}

#define LOW  "X-Backend-Container-Update-Override-"
#define HIGH "X-Object-Sysmeta-Container-Update-Override-"

static const struct put_facts facts = {
    .size = 5, .content_type = {"t/p", 3}, .timestamp = {1000000, 0}, .etag = {"e", 1}};

static void test_put(void **state)
{
    struct metadata m = {0};
    assert_int_equal(headers_of_put(&m, WITH("X-Other: 1"), &facts), 0);
    assert_list(&m, "X-Size=5|X-Content-Type=t/p|X-Timestamp=0000000010.00000|X-Etag=e");
}

/* Header below footer, backend below sysmeta. */
static void test_precedence(void **state)
{
    static const struct {
        const char *headers[2], *footers[2];
        const char *etag;
    } rows[] = {
        {{LOW "Etag: a", "X-A: b"}, {NULL, NULL}, "a"},
        {{LOW "Etag: a", "X-A: b"}, {LOW "etag", NULL}, "f0"},
        {{LOW "Etag: a", HIGH "ETAG: b"}, {LOW "Etag", NULL}, "b"},
        {{HIGH "Etag: b", LOW "Etag: a"}, {NULL, NULL}, "b"},
        {{LOW "Etag: a", HIGH "Etag: b"}, {HIGH "Etag", LOW "Etag"}, "f0"},
        {{"x-backend-container-update-override-etag: a", "X-A: b"}, {NULL, NULL}, "a"},
        {{LOW "Etag: ", "X-A: b"}, {NULL, NULL}, ""},
        {{"X-Backend-Container-Update-Overrid-Etag: a", "X-A: b"}, {NULL, NULL}, "e"},
    };
    for (EACH(row, rows)) {
        struct metadata m = {0}, footers = {0};
        struct put_facts with = facts;
        for (unsigned i = 0; i < 2 && row->footers[i]; i++)
            assert_int_equal(metadata_set_text(&footers, row->footers[i], i ? "f1" : "f0"), 0);
        with.footers = &footers;
        assert_int_equal(headers_of_put(&m, WITH(row->headers[0], row->headers[1]), &with), 0);
        assert_string_equal(metadata_get(&m, "X-Etag")->len ? row->etag : "", row->etag);
        assert_slice(*metadata_get(&m, "X-Etag"), row->etag);
        assert_int_equal(m.count, 4);
        metadata_release(&m);
        metadata_release(&footers);
    }
}

static void test_any_name(void **state)
{
    struct metadata m = {0};
    assert_int_equal(headers_of_put(&m, WITH(LOW "some_thing-else: v", LOW "Size: 9"), &facts), 0);
    assert_list(&m, "X-Size=9|X-Content-Type=t/p|X-Timestamp=0000000010.00000|X-Etag=e|"
                    "X-Some-Thing-Else=v");
}

static void test_post(void **state)
{
    struct metadata stored = {0}, m = {0};
    assert_int_equal(metadata_set_text(&stored, "Content-Length", "5"), 0);
    assert_int_equal(metadata_set_text(&stored, "ETag", "e"), 0);
    const struct post_facts post = {.stored = &stored,
                                    .content_type = SLICE("a/b"),
                                    .data_timestamp = at_10,
                                    .ctype_timestamp = at_20,
                                    .meta_timestamp = at_30};
    assert_int_equal(headers_of_post(&m, &post), 0);
    assert_list(&m, "X-Size=5|X-Content-Type=a/b|X-Timestamp=0000000010.00000|"
                    "X-Content-Type-Timestamp=0000000020.00000|"
                    "X-Meta-Timestamp=0000000030.00000|X-Etag=e");
    assert_int_equal(metadata_set_text(&stored, "X-Object-Sysmeta-Ec-Etag", "whole"), 0);
    assert_int_equal(metadata_set_text(&stored, "X-Object-Sysmeta-Ec-Content-Length", "99"), 0);
    assert_int_equal(headers_of_post(&m, &post), 0);
    assert_list(&m, "X-Size=99|X-Content-Type=a/b|X-Timestamp=0000000010.00000|"
                    "X-Content-Type-Timestamp=0000000020.00000|"
                    "X-Meta-Timestamp=0000000030.00000|X-Etag=whole");
    assert_int_equal(metadata_set_text(&stored, HIGH "Etag", "o"), 0);
    assert_int_equal(metadata_set_text(&stored, LOW "Etag", "l"), 0);
    assert_int_equal(metadata_set_text(&stored, LOW "Size", "1"), 0);
    assert_int_equal(headers_of_post(&m, &post), 0);
    assert_slice(*metadata_get(&m, "X-Etag"), "o");
    assert_slice(*metadata_get(&m, "X-Size"), "1");
    metadata_release(&m);
    metadata_release(&stored);
}

static void test_delete_and_queue(void **state)
{
    struct metadata m = {0};
    assert_int_equal(headers_of_delete(&m, at_10), 0);
    assert_list(&m, "X-Timestamp=0000000010.00000");
    assert_int_equal(headers_of_queue_row(&m, at_10, false), 0);
    assert_list(&m, "X-Timestamp=0000000010.00000");
    assert_int_equal(headers_of_queue_row(&m, at_10, true), 0);
    assert_list(&m, "X-Timestamp=0000000010.00000|X-Size=0|X-Content-Type=text/plain|"
                    "X-Etag=d41d8cd98f00b204e9800998ecf8427e");
}

static void test_sender(void **state)
{
    static const struct {
        const char *host, *trans, *path, *query, *referer, *id;
    } rows[] = {
        {"Host: h:6200", "X-Trans-Id: tx", "/d/1/a/c/o", "", "PUT http://h:6200/d/1/a/c/o", "tx"},
        {"Host: h:80", "X-A: b", "/d/1/a/c/o \xc3\xa9~%", "q=%20",
         "PUT http://h/d/1/a/c/o%20%C3%A9~%25?q=%20", "-"},
        {"X-A: b", "X-Trans-Id: ", "/d", "", "PUT http://0.0.0.0:6200/d", ""},
    };
    for (EACH(row, rows)) {
        struct metadata m = {0};
        struct request *r = WITH(row->host, row->trans);
        char expected[512];
        r->method = SLICE("PUT");
        r->path = slice_of(row->path);
        r->query = slice_of(row->query);
        assert_int_equal(headers_of_sender(&m, r, "0.0.0.0:6200", 3), 0);
        snprintf(expected, sizeof(expected),
                 "X-Trans-Id=%s|Referer=%s|X-Backend-Storage-Policy-Index=3|"
                 "User-Agent=object-server %ld",
                 row->id, row->referer, (long)getpid());
        assert_list(&m, expected);
    }
}

static void test_sendable(void **state)
{
    static const struct {
        const char *value;
        size_t len;
        bool sendable;
    } rows[] = {{"plain", 5, true},
                {"\xff\t", 2, true},
                {"a\nb", 3, false},
                {"\r", 1, false},
                {"a\0", 2, false}};
    for (EACH(row, rows)) {
        struct metadata m = {0};
        assert_int_equal(metadata_set(&m, SLICE("X-A"), (struct slice){row->value, row->len}), 0);
        assert_int_equal(headers_sendable(&m), row->sendable);
        metadata_release(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_any_name),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_delete_and_queue),
        cmocka_unit_test(test_sender),
        cmocka_unit_test(test_sendable),
    };
    return cmocka_run_group_tests(tests, with_headers_set_up, with_headers_tear_down);
}
