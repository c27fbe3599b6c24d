/* SPDX-License-Identifier: Apache-2.0 */
/* Archives made by liberasurecode itself, cut at every size of read, and damaged ones. */
#include "diskfile/engine/fragment_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <liberasurecode/erasurecode.h>

#define SEGMENTS 3
#define SEGMENT  1000

static char archive[SEGMENTS * SEGMENT];
static size_t archive_len, fragment_len;

static int make_archive(void **state)
{
    struct ec_args args = {.k = 2, .m = 1, .hd = 1, .ct = CHKSUM_NONE};
    int ec = liberasurecode_instance_create(EC_BACKEND_LIBERASURECODE_RS_VAND, &args);
    if (ec <= 0)
        return -1;
    for (int i = 0; i < SEGMENTS; i++) {
        char segment[SEGMENT], **data, **parity;
        uint64_t len;
        memset(segment, 'a' + i, sizeof(segment));
        if (liberasurecode_encode(ec, segment, sizeof(segment), &data, &parity, &len) != 0)
            return -1;
        memcpy(archive + archive_len, data[1], len);
        archive_len += len;
        fragment_len = len;
        liberasurecode_encode_cleanup(ec, data, parity);
    }
    return liberasurecode_instance_destroy(ec);
}

static int check(const char *bytes, size_t len, size_t step)
{
    struct fragment_check c = {0};
    for (size_t at = 0; at < len; at += step) {
        int r = fragment_check_add(&c, bytes + at, step < len - at ? step : len - at);
        if (r < 0)
            return r;
    }
    return fragment_check_end(&c);
}

static void test_good(void **state)
{
    for (size_t step = 1; step <= archive_len; step++)
        assert_int_equal(check(archive, archive_len, step), 0);
    assert_int_equal(check(archive, 0, 1), 0);
    assert_int_equal(check(archive, fragment_len + 90, 7), 0); /* ends in a payload */
}

static void test_damaged(void **state)
{
    char bad[sizeof(archive)];
    for (size_t fragment = 0; fragment < SEGMENTS; fragment++) {
        for (size_t at = 0; at < 71; at++) {    /* what follows is padding */
            bool version = at >= 63 && at < 67; /* of the library: any that is not too old */
            if (version)
                continue;
            memcpy(bad, archive, archive_len);
            bad[fragment * fragment_len + at] ^= 1;
            for (size_t step = 1; step <= archive_len; step += 50)
                if (check(bad, archive_len, step) != -EBADMSG)
                    fail_msg("byte %zu of header %zu", at, fragment);
        }
    }
    assert_int_equal(check(archive, 79, 79), -EBADMSG);
    assert_int_equal(check(archive, fragment_len + 1, 10), -EBADMSG);
    memset(bad, 'x', sizeof(bad));
    assert_int_equal(check(bad, sizeof(bad), 64), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, make_archive, NULL);
}
