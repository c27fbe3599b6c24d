/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/client.h"
#include "server/updates/update.h"
#include "tests/updates/with_headers.h"

static void test_redirect(void **state)
{
    static const struct {
        const char *location, *timestamp, *quoted, *path;
        bool problem;
    } rows[] = {
        {"/.shards_a/c-1/o", "1700000001.00000", "", ".shards_a/c-1", false},
        {"/.shards_a/c-1", "1", "", ".shards_a/c-1", false},
        {"http://h:6201/.shards_a/c-1/o?q#f", "1", "", ".shards_a/c-1", false},
        {"//h/a/c", "1", "", "a/c", false},
        {"/a/c%20d/o", "1", "", "a/c%20d", false},
        {"/a/c%20d%2/o", "1", "True", "a/c d%2", false},
        {"/a/c%20d/o", "1", "no", "a/c%20d", false},
        {"", "1", "", "", false},
        {"/a/c/o", "", "", "", true},
        {"/a/c/o", "soon", "", "", true},
        {"/a", "1", "", "", true},
        {"/a/", "1", "", "", true},
        {"//c/o", "1", "", "", true},
        {"a/c/o", "1", "", "", true},
        {"http://h", "1", "", "", true},
    };
    for (EACH(row, rows)) {
        const struct client_reply reply = {.status = 301,
                                           .location = slice_of(row->location),
                                           .redirect_timestamp = slice_of(row->timestamp),
                                           .location_is_quoted = slice_of(row->quoted)};
        const char *problem;
        struct slice path = redirect_path(with_headers_request.arena, &reply, &problem);
        assert_slice(path, row->path);
        assert_int_equal(problem != NULL, row->problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_redirect)};
    return cmocka_run_group_tests(tests, with_headers_set_up, with_headers_tear_down);
}
