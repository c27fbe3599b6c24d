/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an async_pending file (on-disk-format 16). */
#include "diskfile/format/pending.h"
#include "tests/format/cases.h"
#include <stdlib.h>

static void assert_encodes(const struct pending_update *update, struct slice expected)
{
    char *bytes;
    size_t len;
    assert_int_equal(pending_encode(update, &bytes, &len), 0);
    assert_int_equal(len, expected.len);
    assert_memory_equal(bytes, expected.at, len);
    free(bytes);
}

/* What Swift 2.30.1 wrote. */
static void test_worked_example(void **state)
{
    static const struct {
        const char *key, *value;
    } headers[] = {{"X-Size", "5"},
                   {"X-Content-Type", "text/plain"},
                   {"X-Timestamp", "1700000000.12345"},
                   {"X-Etag", "5d41402abc4b2a76b9719d911017c592"},
                   {"X-Trans-Id", "tx1"},
                   {"Referer", "PUT http://x/sda1/5/AUTH_test/c/sn%C3%B6w"},
                   {"X-Backend-Storage-Policy-Index", "0"},
                   {"User-Agent", "object-server 19688"}};
    struct metadata m = {0};
    for (unsigned i = 0; i < sizeof(headers) / sizeof(*headers); i++)
        assert_int_equal(metadata_set_text(&m, headers[i].key, headers[i].value), 0);
    struct pending_update update = {.op = SLICE("PUT"),
                                    .account = SLICE("AUTH_test"),
                                    .container = SLICE("c"),
                                    .object = SLICE("sn\xc3\xb6w"),
                                    .headers = &m};
    assert_encodes(
        &update,
        SLICE("(dp0\nVop\np1\nVPUT\np2\nsVaccount\np3\nVAUTH_test\np4\nsVcontainer\np5\nVc\np6\n"
              "sVobj\np7\nVsn\xf6w\np8\nsVheaders\np9\nccopy_reg\n_reconstructor\np10\n"
              "(cswift.common.header_key_dict\nHeaderKeyDict\np11\nc__builtin__\ndict\np12\n"
              "(dp13\nVX-Size\np14\nV5\np15\nsVX-Content-Type\np16\nVtext/plain\np17\n"
              "sVX-Timestamp\np18\nV1700000000.12345\np19\nsVX-Etag\np20\n"
              "V5d41402abc4b2a76b9719d911017c592\np21\nsVX-Trans-Id\np22\nVtx1\np23\nsVReferer\n"
              "p24\nVPUT http://x/sda1/5/AUTH_test/c/sn%C3%B6w\np25\n"
              "sVX-Backend-Storage-Policy-Index\np26\nV0\np27\nsVUser-Agent\np28\n"
              "Vobject-server 19688\np29\nstp30\nRp31\ns."));
    metadata_release(&m);
}

#define HEAD(op, a, c, o)                                                                          \
    "(dp0\nVop\np1\nV" op "\np2\nsVaccount\np3\nV" a "\np4\nsVcontainer\np5\nV" c                  \
    "\np6\nsVobj\np7\nV" o "\np8\nsVheaders\np9\nccopy_reg\n_reconstructor\np10\n"                 \
    "(cswift.common.header_key_dict\nHeaderKeyDict\np11\nc__builtin__\ndict\np12\n(dp13\n"

static void test_escapes(void **state)
{
    struct metadata m = {0};
    assert_int_equal(metadata_set(&m, SLICE("X-A"), SLICE("\xc3\xa9\xff\\")), 0);
    struct pending_update update = {
        .op = SLICE("DELETE"),
        .account = SLICE("a\0b"),
        .container = SLICE("\xe2\x82\xac\n\r\x1a"),
        .object = SLICE("\xf0\x9f\x98\x80\xff"), /* no UTF-8: a byte is a code point */
        .headers = &m,
        .container_path = SLICE("\xf0\x9f\x98\x80/\xc3\xa9")};
    assert_encodes(&update,
                   SLICE(HEAD("DELETE", "a\\u0000b", "\\u20ac\\u000a\\u000d\\u001a",
                              "\xf0\x9f\x98\x80\xff") "VX-A\np14\nV\xc3\xa9\xff\\u005c\np15\ns"
                                                      "tp16\nRp17\nsVcontainer_path\np18\n"
                                                      "V\\U0001f600/\xe9\np19\ns."));
    metadata_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
