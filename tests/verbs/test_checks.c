/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loop.h"
#include "server/verbs/checks.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct config config = {
    .max_file_size = 1000,
    .max_object_name_length = 4,
    .max_header_size = 300,
    .max_meta_name_length = 5,
    .max_meta_value_length = 6,
    .max_meta_count = 3,
    .max_meta_overall_size = 20,
};
static struct loop loop = {.config = &config};
static struct header headers[16];
static struct request request = {.loop = &loop, .headers = headers};
static struct refusal why;

/* "Name: value" lines become the request's headers. */
static const struct request *with(const char *const *lines)
{
    request.header_count = 0;
    request.chunked = request.has_length = false;
    request.content_length = 0;
    for (; lines && *lines; lines++) {
        const char *colon = strchr(*lines, ':');
        struct header *h = &headers[request.header_count++];
        h->name = (struct slice){*lines, (size_t)(colon - *lines)};
        h->value = slice_of(colon + 2);
        if (slice_eq_nocase(h->name, SLICE("Content-Length"))) {
            request.has_length = true;
            request.content_length = strtoull(h->value.at, NULL, 10);
        }
        request.chunked |= slice_eq_nocase(h->name, SLICE("Transfer-Encoding"));
    }
    why = (struct refusal){0};
    return &request;
}

#define HEADERS(...) with((const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(bool ok, int status, const char *text)
{
    assert_false(ok);
    assert_int_equal(why.status, status);
    assert_string_equal(why.text, text);
}

static void test_timestamp(void **state)
{
    const struct timestamp fallback = {42, 0};
    struct timestamp ts;
    assert_refused(check_timestamp(with(NULL), false, fallback, &ts, &why), 400,
                   "Missing X-Timestamp header");
    assert_true(check_timestamp(with(NULL), true, fallback, &ts, &why));
    assert_int_equal(ts.ticks, 42);
    assert_true(check_timestamp(HEADERS("x-timestamp: 1.5"), false, fallback, &ts, &why));
    assert_int_equal(ts.ticks, 150000);
    static const char *const bad[] = {"X-Timestamp: bad", "X-Timestamp: ", "X-Timestamp: inf",
                                      "X-Timestamp: -1", "X-Timestamp: 10000000000"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(check_timestamp(HEADERS(bad[i]), true, fallback, &ts, &why), 400,
                       "Invalid X-Timestamp header");
}

static void test_framing(void **state)
{
    const char *missing = "Missing Content-Length header.";
    assert_true(check_body_framing(HEADERS("Content-Length: 0"), &config, &why));
    assert_true(check_body_framing(HEADERS("Content-Length: 1000"), &config, &why));
    assert_true(check_body_framing(HEADERS("Transfer-Encoding: chunked"), &config, &why));
    assert_true(check_body_framing(HEADERS("Transfer-Encoding: chunked", "Content-Length: 2000"),
                                   &config, &why));
    assert_refused(check_body_framing(HEADERS("Content-Length: 1001"), &config, &why), 413,
                   "Your request is too large.");
    assert_refused(check_body_framing(with(NULL), &config, &why), 411, missing);
    assert_refused(check_body_framing(HEADERS("Transfer-Encoding: Chunked"), &config, &why), 411,
                   missing);
    assert_refused(check_body_framing(HEADERS("Transfer-Encoding: gzip"), &config, &why), 400,
                   "Invalid Transfer-Encoding header value");
    assert_refused(
        check_body_framing(HEADERS("Transfer-Encoding: gzip, chunked"), &config, &why), 501,
        "Unsupported Transfer-Coding header value specified in Transfer-Encoding header");
}

static void test_name(void **state)
{
    assert_true(
        check_object_name(with(NULL), &config, SLICE("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"), &why));
    assert_refused(check_object_name(with(NULL), &config, SLICE("12345"), &why), 400,
                   "Object name length of 5 longer than 4");
}

static void test_expiry(void **state)
{
    const struct timestamp now = {1000 * (uint64_t)TIMESTAMP_TICKS_PER_S, 0};
    static const struct {
        const char *header, *second;
        const char *stored, *refused;
    } rows[] = {
        {"X-Other: 1", NULL, "", NULL},
        {"X-Delete-At: 1001", NULL, "1001", NULL},
        {"X-Delete-At: +1001", NULL, "+1001", NULL},
        {"X-Delete-At: 99999999999999999999999", NULL, "99999999999999999999999", NULL},
        {"X-Delete-At: 1000", NULL, NULL, "X-Delete-At in past"},
        {"X-Delete-At: 0", NULL, NULL, "X-Delete-At in past"},
        {"X-Delete-At: -5", NULL, NULL, "X-Delete-At in past"},
        {"X-Delete-At: ", NULL, NULL, "Non-integer X-Delete-At"},
        {"X-Delete-At: 1001.5", NULL, NULL, "Non-integer X-Delete-At"},
        {"X-Delete-At: 1_001", NULL, NULL, "Non-integer X-Delete-At"},
        {"X-Delete-At: 0x7d0", NULL, NULL, "Non-integer X-Delete-At"},
        {"X-Delete-At: 5", "X-Backend-Replication: yes", "5", NULL},
        {"X-Delete-At: 5", "X-Backend-Replication: no", NULL, "X-Delete-At in past"},
        {"X-Delete-After: 60", NULL, "0000001060", NULL},
        {"X-Delete-After: 60", "X-Delete-At: 5", "0000001060", NULL},
        {"X-Delete-After: 99999999999999999999", NULL, "9999999999", NULL},
        {"X-Delete-After: 0", NULL, NULL, "X-Delete-After in past"},
        {"X-Delete-After: -1", NULL, NULL, "X-Delete-After in past"},
        {"X-Delete-After: x", NULL, NULL, "Non-integer X-Delete-After"},
        {"X-Delete-After: ", NULL, NULL, "Non-integer X-Delete-After"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice stored;
        bool ok = check_expiry(HEADERS(rows[i].header, rows[i].second), now, &stored, &why);
        if (rows[i].refused) {
            assert_refused(ok, 400, rows[i].refused);
        } else {
            assert_true(ok);
            assert_true(slice_eq(stored, slice_of(rows[i].stored)));
        }
    }
}

static void test_post_expiry(void **state)
{
    const struct timestamp now = {1000 * (uint64_t)TIMESTAMP_TICKS_PER_S, 0};
    struct slice text;
    assert_true(check_post_expiry(with(NULL), now, &text, &why));
    assert_true(check_post_expiry(HEADERS("X-Delete-At: "), now, &text, &why));
    assert_int_equal(text.len, 0);
    assert_true(check_post_expiry(HEADERS("X-Delete-At: 1000"), now, &text, &why));
    assert_true(check_post_expiry(HEADERS("X-Delete-At: 0"), now, &text, &why));
    assert_refused(check_post_expiry(HEADERS("X-Delete-At: 999"), now, &text, &why), 400,
                   "X-Delete-At in past");
    assert_refused(check_post_expiry(HEADERS("X-Delete-At: x"), now, &text, &why), 400,
                   "Non-integer X-Delete-At");
}

static void test_content_type(void **state)
{
    assert_true(check_content_type(HEADERS("Content-Type: text/plain"), &why));
    assert_true(check_content_type(HEADERS("Content-Type: text/\xc3\xa9"), &why));
    assert_refused(check_content_type(with(NULL), &why), 400, "Invalid Content-Type");
    assert_refused(check_content_type(HEADERS("Content-Type: "), &why), 400,
                   "Invalid Content-Type");
    assert_refused(check_content_type(HEADERS("Content-Type: \xff"), &why), 400,
                   "Invalid Content-Type");
}

static void test_metadata(void **state)
{
    char huge[400] = "X-Other: ";
    memset(huge + 9, 'x', 301);
    assert_true(check_metadata(with(NULL), &config, &why));
    assert_true(check_metadata(HEADERS("X-Object-Meta-12345: 123456"), &config, &why));
    assert_true(
        check_metadata(HEADERS("X-Object-Meta-A: ", "X-Object-Meta-B: \xff"), &config, &why));
    assert_refused(check_metadata(HEADERS("x-object-meta-: v"), &config, &why), 400,
                   "Metadata name cannot be empty");
    assert_refused(check_metadata(HEADERS("x-object-meta-abc_ef: v"), &config, &why), 400,
                   "Metadata name too long: x-object-meta-Abc-Ef");
    assert_refused(check_metadata(HEADERS("x-object-meta-a: 1234567"), &config, &why), 400,
                   "Metadata value longer than 6: x-object-meta-A");
    assert_true(check_metadata(
        HEADERS("X-Object-Meta-A: 1", "X-Object-Meta-B: 1", "X-Object-Meta-C: 1"), &config, &why));
    assert_refused(check_metadata(HEADERS("X-Object-Meta-A: 1", "X-Object-Meta-B: 1",
                                          "X-Object-Meta-C: 1", "X-Object-Meta-D: 1"),
                                  &config, &why),
                   400, "Too many metadata items; max 3");
    assert_true(check_metadata(HEADERS("X-Object-Meta-Aaaa: 123456", "X-Object-Meta-Bbbb: 123456"),
                               &config, &why));
    assert_refused(
        check_metadata(HEADERS("X-Object-Meta-Aaaa: 123456", "X-Object-Meta-Bbbbb: 123456"),
                       &config, &why),
        400, "Total metadata too large; max 20");
    assert_refused(check_metadata(HEADERS(huge), &config, &why), 400,
                   "Header value too long: X-Other");
}

static void test_object_length(void **state)
{
    int64_t length;
    assert_true(check_object_length(HEADERS("Content-Length: 7"), &length, &why));
    assert_int_equal(length, 7);
    assert_true(check_object_length(
        HEADERS("Content-Length: 7", "X-Backend-Obj-Content-Length: abc"), &length, &why));
    assert_int_equal(length, 7);
    assert_true(check_object_length(HEADERS("Transfer-Encoding: chunked"), &length, &why));
    assert_int_equal(length, -1);
    assert_true(check_object_length(
        HEADERS("Transfer-Encoding: chunked", "X-Backend-Obj-Content-Length: 9"), &length, &why));
    assert_int_equal(length, 9);
    assert_false(check_object_length(
        HEADERS("Transfer-Encoding: chunked", "X-Backend-Obj-Content-Length: abc"), &length, &why));
    assert_int_equal(why.status, 400);
}

static int set_up(void **state)
{
    request.arena = arena_new(1 << 20);
    return request.arena ? 0 : -1;
}

static int tear_down(void **state)
{
    arena_free(request.arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timestamp),   cmocka_unit_test(test_framing),
        cmocka_unit_test(test_name),        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_post_expiry), cmocka_unit_test(test_content_type),
        cmocka_unit_test(test_metadata),    cmocka_unit_test(test_object_length),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
