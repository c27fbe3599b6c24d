/* SPDX-License-Identifier: Apache-2.0 */
/* test_suffix_hashes.c -- hashes.pkl and the reply to REPLICATE, byte for byte. */
#include "diskfile/format/suffix_hashes.h"
#include "tests/format/cases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MD5_A "841dfe823721b5f14b4a246ea0776457"
#define MD5_B "ba09af0fe78850c2804cbcb2e4bfc952"
#define MD5_C "b851eea3b5795e1b3b5621c1d8032cda"
#define REPL  "\x80\x02}q\x00X\x03\x00\x00\x00" /* a dict whose first key has three letters */
#define TEXT  "X \x00\x00\x00"                  /* 32 of them */

static void test_names(void **state)
{
    static const struct {
        const char *name;
        int number;
    } rows[] = {{"000", 0},   {"00f", 15}, {"abc", 0xabc}, {"fff", 4095}, {"", -1},   {"ab", -1},
                {"abcd", -1}, {"ABC", -1}, {"abg", -1},    {"ab ", -1},   {"a/b", -1}};
    char name[SUFFIX_LEN + 1];
    for (EACH(row, rows)) {
        assert_int_equal(suffix_number(slice_of(row->name)), row->number);
        if (row->number < 0)
            continue;
        suffix_name((unsigned)row->number, name);
        assert_string_equal(name, row->name);
    }
}

static struct suffix_value value_of(enum suffix_state state, unsigned count,
                                    const struct suffix_sum *sums)
{
    struct suffix_value v = {state, count, calloc(count + 1, sizeof(*sums))};
    assert_non_null(v.sums);
    if (count > 0)
        memcpy(v.sums, sums, count * sizeof(*sums));
    return v;
}

static void assert_encoded(const struct suffix_hashes *h, enum suffix_form form,
                           struct slice expected)
{
    char *bytes;
    size_t len;
    assert_int_equal(suffix_hashes_encode(h, form, &bytes, &len), 0);
    assert_int_equal(len, expected.len);
    assert_memory_equal(bytes, expected.at, len);
    free(bytes);
}

/* The worked examples of the specification, which were taken from Debian's server. */
static void test_encoded(void **state)
{
    static const struct suffix_sum repl[] = {{SUFFIX_WHOLE, MD5_A}};
    static const struct suffix_sum coded[] = {{2, MD5_B}, {SUFFIX_WHOLE, MD5_C}};
    struct suffix_hashes *h = suffix_hashes_new();
    assert_encoded(h, SUFFIX_FORM_REPLY, SLICE("\x80\x02}q\x00."));

    suffix_hashes_set(h, 0xad8, value_of(SUFFIX_REPLICATED, 1, repl));
    assert_encoded(h, SUFFIX_FORM_REPLY, SLICE(REPL "ad8q\x01" TEXT MD5_A "q\x02s."));
    h->valid = true;
    h->updated = 1795169292.630194;
    assert_encoded(h, SUFFIX_FORM_CACHE,
                   SLICE("\x80\x02}q\x00(X\x05\x00\x00\x00validq\x01\x88X\x07\x00\x00\x00updatedq"
                         "\x02GA\xda\xc0\x07\x03(U\x19X\x03\x00\x00\x00"
                         "ad8q\x03" TEXT MD5_A "q\x04u."));

    suffix_hashes_set(h, 0xad8, value_of(SUFFIX_CODED, 2, coded));
    assert_encoded(h, SUFFIX_FORM_REPLY,
                   SLICE(REPL "ad8q\x01}q\x02(K\x02" TEXT MD5_B "q\x03N" TEXT MD5_C "q\x04us."));

    suffix_hashes_set(h, 0xad8, (struct suffix_value){.state = SUFFIX_STALE});
    assert_encoded(h, SUFFIX_FORM_REPLY, SLICE(REPL "ad8q\x01Ns."));
    assert_encoded(h, SUFFIX_FORM_REPLY_KNOWN_ONLY, SLICE("\x80\x02}q\x00."));
    suffix_hashes_free(h);
}

/* Numbers of one, two and four bytes; memo numbers beyond 255; batches of 1000. */
static void test_large(void **state)
{
    struct suffix_hashes *h = suffix_hashes_new(), *again = suffix_hashes_new();
    char *bytes;
    size_t len;
    for (unsigned i = 0; i < SUFFIXES; i++) {
        struct suffix_sum sum = {.fragment = (int)(i * 17)};
        snprintf(sum.hex, sizeof(sum.hex), "%032x", i);
        suffix_hashes_set(h, i, value_of(SUFFIX_CODED, i % 2, &sum));
    }
    assert_int_equal(suffix_hashes_encode(h, SUFFIX_FORM_CACHE, &bytes, &len), 0);
    assert_int_equal(suffix_hashes_decode((struct slice){bytes, len}, again), 0);
    free(bytes);
    assert_false(again->valid);
    for (unsigned i = 0; i < SUFFIXES; i++) {
        assert_int_equal(again->of[i].state, SUFFIX_CODED);
        assert_int_equal(again->of[i].count, h->of[i].count);
        if (again->of[i].count > 0)
            assert_memory_equal(again->of[i].sums, h->of[i].sums, sizeof(*h->of[i].sums));
    }
    suffix_hashes_free(h);
    suffix_hashes_free(again);
}

/* What there is of a file, as text: "valid updated abc=...". */
static const char *told(const struct suffix_hashes *h, char text[512])
{
    char name[SUFFIX_LEN + 1];
    int n = snprintf(text, 512, "%s %.2f", h->valid ? "valid" : "invalid", h->updated);
    for (unsigned i = 0; i < SUFFIXES; i++) {
        const struct suffix_value *v = &h->of[i];
        if (v->state == SUFFIX_ABSENT)
            continue;
        suffix_name(i, name);
        n += snprintf(text + n, 512 - (size_t)n, " %s=%s", name,
                      v->state == SUFFIX_STALE   ? "stale"
                      : v->state == SUFFIX_CODED ? "coded"
                                                 : v->sums[0].hex);
        for (unsigned s = 0; v->state == SUFFIX_CODED && s < v->count; s++)
            n += snprintf(text + n, 512 - (size_t)n, ",%d:%.2s", v->sums[s].fragment,
                          v->sums[s].hex);
    }
    return text;
}

static void test_decoded(void **state)
{
    static const struct {
        struct slice bytes;
        int res;
        const char *told;
    } rows[] = {
        {SLICE("\x80\x02}q\x00."), 0, "valid -1.00"},
        {SLICE("\x80\x02}."), 0, "valid -1.00"},
        {SLICE("\x80\x02}.trailing"), 0, "valid -1.00"},
        {SLICE(REPL "ad8q\x01" TEXT MD5_A "q\x02s."), 0, "valid -1.00 ad8=" MD5_A},
        {SLICE(REPL "ad8q\x01Ns."), 0, "valid -1.00 ad8=stale"},
        {SLICE(REPL "ad8X\x00\x00\x00\x00s."), 0, "valid -1.00 ad8=stale"},
        {SLICE(REPL "ad8K\x05s."), 0, "valid -1.00 ad8=stale"},
        {SLICE(REPL "ad8}s."), 0, "valid -1.00 ad8=coded"},
        {SLICE(REPL "ad8}(K\x02" TEXT MD5_B "N" TEXT MD5_C "us."), 0,
         "valid -1.00 ad8=coded,2:ba,-1:b8"},
        /* of an inner dict not all is what it should be */
        {SLICE(REPL "ad8}K\x02Nss."), 0, "valid -1.00 ad8=stale"},
        {SLICE(REPL "ad8}J\xff\xff\xff\xff" TEXT MD5_A "ss."), 0, "valid -1.00 ad8=stale"},
        {SLICE(REPL "ad8}(K\x02" TEXT MD5_B "K\x02" TEXT MD5_C "us."), 0, "valid -1.00 ad8=stale"},
        {SLICE(REPL "ad8}}}sss."), -EBADMSG, NULL},
        {SLICE(REPL "ad8h\x00s."), 0, "valid -1.00 ad8=stale"}, /* the dict in itself */
        /* Python 2 */
        {SLICE("\x80\x02}q\x01U\x03"
               "ad8U " MD5_A "s."),
         0, "valid -1.00 ad8=" MD5_A},
        {SLICE("\x80\x02}(X\x05\x00\x00\x00valid\x88X\x07\x00\x00\x00updatedGA\xda\xc0\x07\x03(U"
               "\x19u."),
         0, "valid 1795169292.63"},
        {SLICE("\x80\x02}(X\x05\x00\x00\x00valid\x89X\x07\x00\x00\x00updatedK\x07u."), 0,
         "invalid 7.00"},
        {SLICE("\x80\x02}X\x05\x00\x00\x00validNs."), 0, "invalid -1.00"},
        /* one bad key condemns the file */
        {SLICE(REPL "adXNs."), -EBADMSG, NULL},
        {SLICE("\x80\x02}K\x03Ns."), -EBADMSG, NULL},
        {SLICE("\x80\x02}NNs."), -EBADMSG, NULL},
        {SLICE("\x80\x02}c_codecs\nencode\nX\x03\x00\x00\x00"
               "ad8X\x06\x00\x00\x00latin1\x86RNs."),
         -EBADMSG, NULL},
        /* no such pickle at all */
        {SLICE(""), -EBADMSG, NULL},
        {SLICE("\x80\x02"), -EBADMSG, NULL},
        {SLICE("\x80\x02."), -EBADMSG, NULL},
        {SLICE("\x80\x02N."), -EBADMSG, NULL},
        {SLICE("\x80\x02}"), -EBADMSG, NULL},
        {SLICE("\x80\x02}(."), -EBADMSG, NULL},
        {SLICE("\x80\x02}}."), -EBADMSG, NULL},
        {SLICE("\x80\x02}s."), -EBADMSG, NULL},
        {SLICE("\x80\x02}u."), -EBADMSG, NULL},
        {SLICE("\x80\x02}(Nu."), -EBADMSG, NULL},
        {SLICE("\x80\x02}h\x07."), -EBADMSG, NULL},
        {SLICE("\x80\x02}r\xff\xff\xff\xff."), -EBADMSG, NULL},
        {SLICE("\x80\x02NNNs."), -EBADMSG, NULL},
        {SLICE("\x80\x02}X\xff\xff\xff\xff."), -EBADMSG, NULL},
        {SLICE("\x80\x03}."), -EBADMSG, NULL},
        {SLICE("(dp0\n."), -EBADMSG, NULL},
    };
    char text[512];
    for (EACH(row, rows)) {
        struct suffix_hashes *h = suffix_hashes_new();
        int res = suffix_hashes_decode(row->bytes, h);
        if (res != row->res)
            fail_msg("row %d: %d", (int)(row - rows), res);
        if (res == 0)
            assert_string_equal(told(h, text), row->told);
        else
            assert_false(h->valid);
        suffix_hashes_free(h);
    }
}

/* Pickles of more than there can be, each right in itself: they must not take memory by the
 * gigabyte. */
static void test_too_much(void **state)
{
    static const struct {
        struct slice head, item, tail;
        unsigned most, times;
    } rows[] = {
        {SLICE("\x80\x02}("),
         SLICE("X\x03\x00\x00\x00"
               "ad8N"),
         SLICE("u."), 32000, 40000}, /* items at once */
        {SLICE("\x80\x02}("),
         SLICE("X\x03\x00\x00\x00"
               "ad8}"),
         SLICE("u."), 4096, 4097},                                                    /* dicts */
        {SLICE("\x80\x02}r\x00\x00\x20\x00."), SLICE("\x00"), SLICE(""), 0, 3000000}, /* memo */
    };
    for (EACH(row, rows))
        for (unsigned pass = row->most > 0 ? 0 : 1; pass < 2; pass++) {
            unsigned times = pass == 0 ? row->most : row->times;
            char *bytes = malloc(row->head.len + times * row->item.len + row->tail.len),
                 *at = bytes;
            struct suffix_hashes *h = suffix_hashes_new();
            assert_non_null(bytes);
            at = mempcpy(at, row->head.at, row->head.len);
            for (unsigned i = 0; i < times; i++)
                at = mempcpy(at, row->item.at, row->item.len);
            at = mempcpy(at, row->tail.at, row->tail.len);
            assert_int_equal(suffix_hashes_decode((struct slice){bytes, (size_t)(at - bytes)}, h),
                             pass == 0 ? 0 : -EBADMSG);
            suffix_hashes_free(h);
            free(bytes);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_encoded),
        cmocka_unit_test(test_large),    cmocka_unit_test(test_decoded),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
