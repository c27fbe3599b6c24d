/* SPDX-License-Identifier: Apache-2.0 */
/* test_json.c -- JSON in and out. What Python makes of the same is checked by test_recon.py. */
#include "server/node/float_text.h"
#include "server/recon/json.h"
#include <errno.h>
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

static void test_writing(void **state)
{
    struct json j;
    size_t len;
    json_init(&j);
    json_object(&j);
    json_key(&j, SLICE("a\"\\\n\x1f\x7f"));
    json_array(&j);
    json_int(&j, -5);
    json_float(&j, 0.5);
    json_bool(&j, false);
    json_null(&j);
    json_object(&j);
    json_end_object(&j);
    json_end_array(&j);
    json_key(&j, SLICE("\xc3\xa9\xf0\x9f\x98\x80\xff\xed\xa0\x80"));
    json_text(&j, SLICE("\0x"));
    json_end_object(&j);
    char *text = json_take(&j, &len);
    assert_string_equal(text, "{\"a\\\"\\\\\\n\\u001f\\u007f\": [-5, 0.5, false, null, {}], "
                              "\"\\u00e9\\ud83d\\ude00\\udcff\\udced\\udca0\\udc80\": "
                              "\"\\u0000x\"}");
    assert_int_equal(len, strlen(text));
    free(text);
}

/* The wanted key is "k"; NULL: not an object of JSON. */
static const struct {
    const char *document;
    const char *copied; /* "": no such key */
} documents[] = {
    {"{}", ""},
    {" {\"k\" : [ 1 ,\t2.50, {\"a\":null} ] } ", "[1, 2.5, {\"a\": null}]"},
    {"{\"k\": 1, \"k\": 2}", "2"},
    {"{\"x\": {\"k\": 1}}", ""},
    {"{\"k\": \"\\u00E9\\/\\ud800\xc3\xa9\"}", "\"\\u00e9/\\ud800\\u00e9\""},
    {"{\"k\": -Infinity, \"l\": NaN}", "-Infinity"},
    {"{\"k\": -0}", "0"},
    {"{\"k\": 123456789012345678901234567890}", "123456789012345678901234567890"},
    {"{\"k\": 1e2}", "100.0"},
    {"", NULL},
    {"[]", NULL},
    {"{", NULL},
    {"{\"k\"}", NULL},
    {"{\"k\":}", NULL},
    {"{\"k\": 1,}", NULL},
    {"{\"k\": 1} 2", NULL},
    {"{\"k\": 01}", NULL},
    {"{\"k\": 1.}", NULL},
    {"{\"k\": 1e}", NULL},
    {"{\"k\": \"\n\"}", NULL},
    {"{\"k\": \"\\u12\"}", NULL},
    {"{\"k\": \"\xff\"}", NULL},
    {"{\"k\": \"\xc3", NULL},
    {"{\"k\": \"\\", NULL},
    {"{\"k\": tru}", NULL},
};

static void test_reading(void **state)
{
    static const char *const keys[] = {"k"};
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct slice value;
        int res = json_find(slice_of(documents[i].document), keys, 1, &value);
        if (documents[i].copied == NULL) {
            assert_int_equal(res, -EINVAL);
            continue;
        }
        assert_int_equal(res, 0);
        if (documents[i].copied[0] == '\0') {
            assert_int_equal(value.len, 0);
            continue;
        }
        struct json j;
        size_t len;
        json_init(&j);
        json_copy(&j, value);
        char *text = json_take(&j, &len);
        assert_string_equal(text, documents[i].copied);
        free(text);
    }
}

static void test_depth(void **state)
{
    static const char *const keys[] = {"k"};
    struct slice value;
    for (unsigned depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        char text[2 * JSON_DEPTH_MAX + 32] = "{\"k\":";
        size_t len = strlen(text);
        memset(text + len, '[', depth);
        memset(text + len + depth, ']', depth);
        text[len + 2 * (size_t)depth] = '}';
        int res = json_find((struct slice){text, len + 2 * (size_t)depth + 1}, keys, 1, &value);
        assert_int_equal(res, depth <= JSON_DEPTH_MAX ? 0 : -EINVAL);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
