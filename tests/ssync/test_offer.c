/* SPDX-License-Identifier: Apache-2.0 */
/* test_offer.c -- what an offer says, and what is wanted of it, by tables. */
#include "server/ssync/offer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define H "0123456789abcdef0123456789abcdef"

static const char *text_of(struct timestamp ts, char text[TIMESTAMP_TEXT_MAX])
{
    timestamp_short(ts, text);
    return text;
}

static void test_parse(void **state)
{
    static const struct {
        const char *line, *data, *meta, *ctype;
        bool durable;
    } rows[] = {
        {H " 100.5\r\n", "0000000100.50000", "0000000100.50000", "0000000100.50000", true},
        {H "\t100.5 more\r\n", "0000000100.50000", "0000000100.50000", "0000000100.50000", true},
        {H " 100 m:30d40\r\n", "0000000100.00000", "0000000102.00000", "0000000100.00000", true},
        {H " 100 m:30d40,t:186a0\r\n", "0000000100.00000", "0000000102.00000", "0000000101.00000",
         true},
        {H " 100 t:1,m:-1\r\n", "0000000100.00000", "0000000099.99999", "0000000100.00001", true},
        {H " 100 m:0x10\r\n", "0000000100.00000", "0000000100.00016", "0000000100.00000", true},
        {H " 100 m%3A1%2ct:2\r\n", "0000000100.00000", "0000000100.00001", "0000000100.00002",
         true},
        {H " 100_1 m:1\r\n", "0000000100.00000_1", "0000000100.00001", "0000000100.00000_1", true},
        {H " 100_1 m:1__2,t:0__1f\r\n", "0000000100.00000_1", "0000000100.00001_2",
         "0000000100.00000_1f", true},
        {H " 100 durable:False\r\n", "0000000100.00000", "0000000100.00000", "0000000100.00000",
         false},
        {H " 100 durable:no,x:y,z\r\n", "0000000100.00000", "0000000100.00000", "0000000100.00000",
         false},
        {H " 100 durable:YES\r\n", "0000000100.00000", "0000000100.00000", "0000000100.00000",
         true},
        {H " 100 durable,m,t\r\n", "0000000100.00000", "0000000100.00000", "0000000100.00000",
         true},
        {"%30123456789abcdef0123456789abcdef 100\r\n", "0000000100.00000", "0000000100.00000",
         "0000000100.00000", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct offer o;
        char text[TIMESTAMP_TEXT_MAX];
        assert_null(offer_parse(slice_of(rows[i].line), &o));
        assert_string_equal(o.hash, H);
        assert_string_equal(text_of(o.data, text), rows[i].data);
        assert_string_equal(text_of(o.meta, text), rows[i].meta);
        assert_string_equal(text_of(o.ctype, text), rows[i].ctype);
        assert_int_equal(o.durable, rows[i].durable);
    }
}

static void test_bad(void **state)
{
    static const char *const rows[] = {
        "\r\n",
        H "\r\n",
        H " x\r\n",
        H " -1\r\n",
        H " 1e99\r\n",
        H " 1 m:\r\n",
        H " 1 m:g\r\n",
        H " 1 m:1:2\r\n",
        H " 1 a:b:c\r\n",
        H " 1 m:-186a1\r\n",
        H " 1 m:ffffffffffffffff\r\n",
        H " 1 m:fffffffffffffffff\r\n",
        H " 1 m:1__x\r\n",
        H " 1 m:1__-1\r\n",
        H " 9999999999 m:186a1\r\n",
        "\xc3\xbc 1\r\n",
        H " 1 \xff\r\n",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct offer o;
        assert_non_null(offer_parse(slice_of(rows[i]), &o));
    }
    char line[400] = "";
    memset(line, 'a', 200);
    strcpy(line + 200, " 1\r\n");
    struct offer o;
    assert_string_equal(offer_parse(slice_of(line), &o), "the hash of an offer is too long");
}

/* Words that can be no directory below a suffix are repeated, and looked up nowhere. */
static void test_no_hash(void **state)
{
    static const char *const rows[] = {
        "0123456789ABCDEF0123456789abcdef",
        "0123456789abcdef0123456789abcde",
        H "0",
        "../3456789abcdef0123456789abcdef",
        "%2e%2e%2f%2e%2e",
        "x",
        "0123456789abcdef0123456789abcde%00",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char line[200];
        struct offer o;
        (void)snprintf(line, sizeof(line), "%s 1\r\n", rows[i]);
        assert_null(offer_parse(slice_of(line), &o));
        assert_string_equal(o.hash, "");
        assert_string_equal(o.word, strcmp(rows[i], "%2e%2e%2f%2e%2e") == 0 ? "../.." : rows[i]);
    }
}

static struct timestamp at(uint64_t ticks)
{
    return (struct timestamp){ticks, 0};
}

static void test_wants(void **state)
{
    static const struct {
        enum df_state state;
        uint64_t data, meta, ctype; /* here */
        uint64_t o_data, o_meta, o_ctype;
        const char *wants;
    } rows[] = {
        {DF_ABSENT, 0, 0, 0, 5, 5, 5, "dm"}, {DF_DELETED, 5, 0, 0, 4, 9, 9, ""},
        {DF_DELETED, 5, 0, 0, 5, 9, 9, ""},  {DF_DELETED, 5, 0, 0, 6, 9, 9, "d"},
        {DF_LIVE, 5, 5, 5, 5, 5, 5, ""},     {DF_LIVE, 5, 5, 5, 4, 4, 4, ""},
        {DF_LIVE, 5, 5, 5, 6, 6, 6, "dm"},   {DF_LIVE, 5, 7, 5, 6, 6, 6, "d"},
        {DF_LIVE, 5, 7, 5, 5, 7, 5, ""},     {DF_LIVE, 5, 7, 5, 5, 8, 5, "m"},
        {DF_LIVE, 5, 7, 6, 5, 7, 7, "m"},    {DF_LIVE, 5, 7, 6, 5, 7, 6, ""},
        {DF_LIVE, 5, 9, 6, 8, 8, 8, "d"},    {DF_LIVE, 5, 9, 6, 8, 8, 9, "dm"},
        {DF_LIVE, 5, 9, 6, 8, 8, 7, "d"},    {DF_LIVE, 5, 9, 5, 4, 9, 6, "m"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        bool live = rows[i].state == DF_LIVE, pending;
        struct df_info info = {.state = rows[i].state,
                               .timestamp = at(live ? rows[i].meta : rows[i].data),
                               .data_timestamp = at(live ? rows[i].data : 0),
                               .ctype_timestamp = at(rows[i].ctype)};
        struct offer o = {.data = at(rows[i].o_data),
                          .meta = at(rows[i].o_meta),
                          .ctype = at(rows[i].o_ctype),
                          .durable = true};
        for (int durable = 0; durable < 2; durable++) {
            o.durable = durable;
            assert_string_equal(offer_flags(offer_wants(&o, &info, -1, &pending)), rows[i].wants);
            assert_false(pending);
        }
        assert_string_equal(offer_flags(offer_wants(&o, NULL, 2, &pending)), "dm");
        assert_false(pending);
    }
}

/* Fragments: here are index 2 at time 5 and at 8, and index 1 at 8. */
static void test_fragments(void **state)
{
    static const struct {
        uint64_t durable_here, offered;
        int index;
        bool durable;
        const char *wants;
        bool pending;
    } rows[] = {
        {0, 8, 2, true, "dm", true},   {0, 8, 2, false, "", false},   {0, 8, 1, false, "", false},
        {0, 8, 0, false, "dm", false}, {0, 8, -1, true, "dm", false}, {0, 7, 2, false, "dm", false},
        {5, 8, 2, true, "dm", true},   {5, 8, 2, false, "", false},   {8, 8, 2, true, "dm", false},
        {9, 8, 2, false, "dm", false}, {0, 5, 2, false, "", false},
    };
    const struct fragment fragments[] = {{at(8), 1}, {at(8), 2}, {at(5), 2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        bool pending;
        struct df_info info = {.state = DF_ABSENT,
                               .fragments = fragments,
                               .fragment_count = 3,
                               .durable_timestamp = at(rows[i].durable_here)};
        struct offer o = {.data = at(rows[i].offered),
                          .meta = at(rows[i].offered),
                          .ctype = at(rows[i].offered),
                          .durable = rows[i].durable};
        unsigned wants = offer_wants(&o, &info, rows[i].index, &pending);
        assert_string_equal(offer_flags(wants), rows[i].wants);
        assert_int_equal(pending, rows[i].pending);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_bad),
        cmocka_unit_test(test_no_hash),   cmocka_unit_test(test_wants),
        cmocka_unit_test(test_fragments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
