/* SPDX-License-Identifier: Apache-2.0 */
/* test_python_json.c -- what libjansson reads, in Python's form. What Python itself makes of the
 * same is asked by tests/observe/test_recon.py. */
#include "server/node/float_text.h"
#include "server/node/python_json.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
/* after those that it needs */
#include <cmocka.h>

static void test_floats(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {0.1, "0.1"},
        {0.8, "0.8"},
        {1.0 / 3, "0.3333333333333333"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {123456789012345680, "1.2345678901234568e+17"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {1.5e300, "1.5e+300"},
        {5e-324, "5e-324"},
        {1795169858.15, "1795169858.15"},
        {-2.5, "-2.5"},
        {NAN, "NaN"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
        {100, "100.0"},
        {9007199254740993.0, "9007199254740992.0"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[FLOAT_TEXT_MAX];
        assert_string_equal(float_text(rows[i].value, text), rows[i].text);
    }
}

static void test_values(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
        bool sorted;
    } rows[] = {
        {"{}", "{}"},
        {" [ ] ", "[]"},
        {"{\"b\":1,\"a\":[true,false,null]}", "{\"a\": [true, false, null], \"b\": 1}", true},
        {"{\"b\":1,\"a\":{\"d\":1,\"c\":2}}", "{\"b\": 1, \"a\": {\"d\": 1, \"c\": 2}}"},
        {"{\"a\":1,\"b\":3,\"a\":2}", "{\"a\": 2, \"b\": 3}"},
        {"[-5, 2.50, -0, 1e2, 1795169645.6565373]", "[-5, 2.5, 0, 100.0, 1795169645.6565373]"},
        {"[9223372036854775807]", "[9223372036854775807]"},
        {"[\"\\u00e9\\n\\\"\\/\\u0000\"]", "[\"\\u00e9\\n\\\"/\\u0000\"]"},
        {"[\"\xc3\xa9\x7f\"]", "[\"\\u00e9\\u007f\"]"},
        {"[\"\\ud83d\\ude00\xf0\x9f\x98\x80\"]", "[\"\\ud83d\\ude00\\ud83d\\ude00\"]"},
        {"[NaN]", NULL},
        {"[9223372036854775808]", NULL},
        {"[\"\\ud800\"]", NULL},
        {"[\"\xff\"]", NULL},
        {"{\"a\": 1,}", NULL},
        {"{} x", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len;
        json_t *v = json_loads(rows[i].in, JSON_ALLOW_NUL, NULL);
        assert_int_equal(v == NULL, rows[i].out == NULL);
        if (v == NULL)
            continue;
        char *text = python_json_dumps(v, rows[i].sorted, &len);
        assert_string_equal(text, rows[i].out);
        assert_int_equal(len, strlen(text));
        free(text);
        json_decref(v);
    }
}

/* Names of files: any bytes but NUL. */
static void test_no_utf8(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"\xff", "\"\\udcff\""},
        {"\xed\xa0\x80", "\"\\udced\\udca0\\udc80\""},
        {"\xc0\xaf", "\"\\udcc0\\udcaf\""},
        {"\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\""},
        {"a\xe2\x82", "\"a\\udce2\\udc82\""},
        {"a\"\\\n\x1f\xe2\x82\xac", "\"a\\\"\\\\\\n\\u001f\\u20ac\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len;
        json_t *v = json_stringn_nocheck(rows[i].in, strlen(rows[i].in));
        char *text = python_json_dumps(v, false, &len);
        assert_string_equal(text, rows[i].out);
        free(text);
        json_decref(v);
    }
}

static void test_full_stream(void **state)
{
    char room[8];
    json_t *v = json_pack("[s]", "does not fit into it");
    FILE *out = fmemopen(room, sizeof(room), "w");
    setbuf(out, NULL);
    assert_int_equal(python_json_print(v, false, out), 0);
    assert_true(ferror(out));
    fclose(out);
    json_decref(v);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_utf8),
        cmocka_unit_test(test_full_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
