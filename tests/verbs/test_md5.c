/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/md5.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_digest(void **state)
{
    static const struct {
        const char *text, *hex, *base64;
    } rows[] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e", "1B2M2Y8AsgTpgAmY7PhCfg=="},
        {"hello", "5d41402abc4b2a76b9719d911017c592", "XUFAKrxLKna5cZ2REBfFkg=="},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char digest[MD5_LEN], parsed[MD5_LEN];
        char hex[MD5_HEX_LEN + 1];
        struct md5 *m = md5_new();
        for (const char *c = rows[i].text; *c; c++)
            md5_add(m, c, 1);
        assert_int_equal(md5_end(m, digest, hex), 0);
        assert_string_equal(hex, rows[i].hex);
        assert_int_equal(md5_parse_base64(slice_of(rows[i].base64), parsed), 0);
        assert_memory_equal(digest, parsed, MD5_LEN);
        md5_free(m);
    }
}

static void test_bad_base64(void **state)
{
    static const char *const rows[] = {"",
                                       "XUFAKrxLKna5cZ2REBfFkg",
                                       "XUFAKrxLKna5cZ2REBfFkgA=",
                                       "XUFAKrxLKna5cZ2REBfFk*==",
                                       "XUFAKrxLKna5cZ2REBfFkh==" /* spare bits set */,
                                       "5d41402abc4b2a76b9719d911017c592",
                                       "XUFAKrxLKna5cZ2REBfFkg== "};
    unsigned char digest[MD5_LEN];
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (md5_parse_base64(slice_of(rows[i]), digest) == 0)
            fail_msg("'%s'", rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_digest),
                                       cmocka_unit_test(test_bad_base64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
