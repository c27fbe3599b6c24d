/* SPDX-License-Identifier: Apache-2.0 */
/* metadata_encode() and metadata_decode(): the worked examples of on-disk-format 7.3 and 7.4,
 * pickles of the Python 2 era, and damage of every kind. */
#include "diskfile/format/metadata.h"
#include "tests/format/cases.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TOMBSTONE                                                                                  \
    "\x80\x02}q\0(c_codecs\nencode\nq\x01X\x0b\0\0\0X-Timestampq\x02X\x06\0\0\0latin1q\x03\x86q"   \
    "\x04Rq\x05h\x01X\x10\0\0\0001700000000.00000q\x06h\x03\x86q\x07Rq\x08h\x01X\x04\0\0\0name"    \
    "q\x09h\x03\x86q\x0aRq\x0bh\x01X\x0e\0\0\0/AUTH_test/c/oq\x0ch\x03\x86q\x0dRq\x0eu."

#define OBJECT                                                                                     \
    "\x80\x02}q\0(c_codecs\nencode\nq\x01X\x0b\0\0\0X-Timestampq\x02X\x06\0\0\0latin1q\x03\x86q"   \
    "\x04Rq\x05h\x01X\x10\0\0\0001700000000.12345q\x06h\x03\x86q\x07Rq\x08h\x01X\x0c\0\0\0Content" \
    "-Typeq\th\x03\x86q\nRq\x0bh\x01X\x03\0\0\0t/pq\x0ch\x03\x86q\rRq\x0eh\x01X\x0e\0\0\0Content-" \
    "Lengthq\x0fh\x03\x86q\x10Rq\x11h\x01X\x01\0\0\0000q\x12h\x03\x86q\x13Rq\x14h\x01X\x04\0\0\0E" \
    "Tagq\x15h\x03\x86q\x16Rq\x17h\x01X \0\0\0d41d8cd98f00b204e9800998ecf8427eq\x18h\x03\x86q"     \
    "\x19Rq\x1ah\x01X\x0f\0\0\0X-Object-Meta-Cq\x1bh\x03\x86q\x1cRq\x1dh\x01X\t\0\0\0Z\xc3\x83"    \
    "\xc2\x83\xc3\x82\xc2\xbcq\x1eh\x03\x86q\x1fRq h\x01X\x0f\0\0\0X-Object-Meta-Eq!h\x03\x86q\"R" \
    "q#c__builtin__\nbytes\nq$)Rq%h\x01X\x04\0\0\0nameq&h\x03\x86q'Rq(h\x01X\x14\0\0\0/AUTH_test/" \
    "c/sn\xc3\x83\xc2\xb6wq)h\x03\x86q*Rq+u."

/* Python has one object each for b"0" and b"": what comes again is a reference. */
#define SHARED                                                                                     \
    "\x80\x02}q\0(c_codecs\nencode\nq\x01X\x01\0\0\0"                                              \
    "aq\x02X\x06\0\0\0latin1q\x03\x86q\x04Rq\x05"                                                  \
    "h\x01X\x01\0\0\0000q\x06h\x03\x86q\x07Rq\x08h\x01X\x01\0\0\0bq\th\x03\x86q\nRq\x0bh\x08h\x08" \
    "c__builtin__\nbytes\nq\x0c)Rq\rh\x01X\x01\0\0\0"                                              \
    "dq\x0eh\x03\x86q\x0fRq\x10h\ru."

#define PY3 "c_codecs\nencode\nX\x01\0\0\0kX\x06\0\0\0latin1\x86R" /* a key "k" and the marker */

/* key, value, key, value, ... */
#define ITEMS_MAX 8
struct items {
    struct slice texts[2 * ITEMS_MAX];
};

static const struct items tombstone_items = {
    {SLICE("X-Timestamp"), SLICE("1700000000.00000"), SLICE("name"), SLICE("/AUTH_test/c/o")}};
static const struct items object_items = {
    {SLICE("X-Timestamp"), SLICE("1700000000.12345"), SLICE("Content-Type"), SLICE("t/p"),
     SLICE("Content-Length"), SLICE("0"), SLICE("ETag"), SLICE("d41d8cd98f00b204e9800998ecf8427e"),
     SLICE("X-Object-Meta-C"), SLICE("Z\xc3\xbc"), SLICE("X-Object-Meta-E"), SLICE(""),
     SLICE("name"), SLICE("/AUTH_test/c/sn\xc3\xb6w")}};

static const struct items shared_items = {
    {SLICE("a"), SLICE("0"), SLICE("b"), SLICE("0"), SLICE("0"), SLICE(""), SLICE("d"), SLICE("")}};

static unsigned count_items(const struct items *items)
{
    unsigned count = 0;
    while (count < ITEMS_MAX && items->texts[2 * count].at)
        count++;
    return count;
}

static void assert_items(const struct metadata *m, const struct items *want)
{
    assert_int_equal(m->count, count_items(want));
    for (unsigned i = 0; i < m->count; i++) {
        assert_true(slice_eq(m->items[i].key, want->texts[2 * i]));
        assert_true(slice_eq(m->items[i].value, want->texts[2 * i + 1]));
    }
}

static void assert_same(const struct metadata *a, const struct metadata *b)
{
    assert_int_equal(a->count, b->count);
    for (unsigned i = 0; i < a->count; i++) {
        assert_true(slice_eq(a->items[i].key, b->items[i].key));
        assert_true(slice_eq(a->items[i].value, b->items[i].value));
    }
}

static const struct {
    struct slice pickle;
    const struct items *items;
} examples[] = {
    {SLICE(TOMBSTONE), &tombstone_items},
    {SLICE(OBJECT), &object_items},
    {SLICE(SHARED), &shared_items},
};

static void test_worked_examples(void **state)
{
    assert_int_equal(examples[0].pickle.len, 148);
    assert_int_equal(examples[1].pickle.len, 437);
    for (EACH(row, examples)) {
        struct metadata m = {0}, decoded = {0};
        char *bytes;
        size_t len;

        for (unsigned i = 0; i < count_items(row->items); i++)
            assert_int_equal(
                metadata_set(&m, row->items->texts[2 * i], row->items->texts[2 * i + 1]), 0);
        assert_int_equal(metadata_encode(&m, &bytes, &len), 0);
        assert_int_equal(len, row->pickle.len);
        assert_memory_equal(bytes, row->pickle.at, len);
        assert_int_equal(metadata_decode(row->pickle, &decoded), 0);
        assert_items(&decoded, row->items);
        metadata_release(&decoded);
        metadata_release(&m);
        free(bytes);
    }
}

/* What others wrote. */
static const struct {
    struct slice pickle;
    struct items items;
} readable[] = {
    {SLICE("\x80\x02}."), {{{0}}}},
    {SLICE("\x80\x02}q\0."), {{{0}}}},
    {SLICE("\x80\x02}(u."), {{{0}}}},
    /* Python 2: raw header bytes, memo from 1, `name` too, unicode items. */
    {SLICE("\x80\x02}q\x01(U\x04nameq\x02U\x08/a/c/"
           "\xc3\xb6!q\x03U\x06X-Metaq\x04U\x03Z\xc3\xbcq\x05u."),
     {{SLICE("name"), SLICE("/a/c/\xc3\xb6!"), SLICE("X-Meta"), SLICE("Z\xc3\xbc")}}},
    {SLICE("\x80\x02}(X\x01\0\0\0aX\x02\0\0\0\xc3\xbcT\x01\0\0\0bU\0u."),
     {{SLICE("a"), SLICE("\xc3\xbc"), SLICE("b"), SLICE("")}}},
    {SLICE("\x80\x02}U\x01kU\x01\xffs."), {{SLICE("k"), SLICE("\xff")}}},
    /* Numbers and the like. */
    {SLICE("\x80\x02}(U\x01"
           "aK\xffU\x01"
           "bM\xff\xffU\x01"
           "cJ\xff\xff\xff\xffU\x01"
           "dNu."),
     {{SLICE("a"), SLICE("255"), SLICE("b"), SLICE("65535"), SLICE("c"), SLICE("-1"), SLICE("d"),
       SLICE("None")}}},
    {SLICE("\x80\x02}(U\x01"
           "a\x88U\x01"
           "b\x89U\x01"
           "c\x8a\0U\x01"
           "d\x8a\x05\xff\xff\xff\xff\0u."),
     {{SLICE("a"), SLICE("True"), SLICE("b"), SLICE("False"), SLICE("c"), SLICE("0"), SLICE("d"),
       SLICE("4294967295")}}},
    {SLICE("\x80\x02}(U\x01"
           "a\x8a\x08\0\0\0\0\0\0\0\x80U\x01"
           "b\x8a\x01\xfeu."),
     {{SLICE("a"), SLICE("-9223372036854775808"), SLICE("b"), SLICE("-2")}}},
    {SLICE("\x80\x02}(U\x01"
           "aG?\xb9\x99\x99\x99\x99\x99\x9aU\x01"
           "bG@\0\0\0\0\0\0\0u."),
     {{SLICE("a"), SLICE("0.1"), SLICE("b"), SLICE("2.0")}}},
    /* Other spellings of the two calls; the newest value of a key wins, in its first place. */
    {SLICE("\x80\x02}(U\x01"
           "a"
           "cbuiltins\nbytes\n)RU\x01"
           "bc__builtin__\nbytes\nU\x01x\x85RU\x01"
           "aK\1u."),
     {{SLICE("a"), SLICE("1"), SLICE("b"), SLICE("x")}}},
    {SLICE("\x80\x02}r\0\0\0\0(U\x01kr\x01\0\0\0j\x01\0\0\0u."), {{SLICE("k"), SLICE("k")}}},
    /* Written by Python 3: the double encoding is undone ... */
    {SLICE("\x80\x02}" PY3 "c_codecs\nencode\nX\x04\0\0\0\xc3\x83\xc2\xbcX\x06\0\0\0latin1\x86Rs."),
     {{SLICE("k"), SLICE("\xfc")}}},
    {SLICE("\x80\x02}" PY3 "X\x02\0\0\0\xc3\xbcs."), {{SLICE("k"), SLICE("\xfc")}}},
    /* ... but not where there was none: 日, and a byte that is no UTF-8. */
    {SLICE("\x80\x02}" PY3 "U\x05\xe6\x97\xa5\xc3\xbcs."),
     {{SLICE("k"), SLICE("\xe6\x97\xa5\xc3\xbc")}}},
    {SLICE("\x80\x02}" PY3 "U\x04\xc3\xbc\xff\xc3s."), {{SLICE("k"), SLICE("\xfc\xff\xc3")}}},
};

static void test_readable(void **state)
{
    int number = 0;
    for (EACH(row, readable)) {
        struct metadata m = {0};
        print_message("readable %d\n", number++);
        assert_int_equal(metadata_decode(row->pickle, &m), 0);
        assert_items(&m, &row->items);
        metadata_release(&m);
    }
}

static const struct slice damaged[] = {
    SLICE(""),
    SLICE("\x80"),
    SLICE("\x80\x02"),
    SLICE("\x80\x02."),  /* nothing to return */
    SLICE("\x80\x03}."), /* another protocol */
    SLICE("}."),
    SLICE("\x80\x02}.x"), /* trailing bytes */
    SLICE("\x80\x02}."
          "\x80\x02}."),
    SLICE("\x80\x02}"),       /* no STOP */
    SLICE("\x80\x02K\x01."),  /* not a dict */
    SLICE("\x80\x02}K\x01."), /* more than a dict */
    SLICE("\x80\x02}(."),     /* an open mark */
    SLICE("\x80\x02}}."),
    SLICE("\x80\x02}U\x01k}s."), /* a dict in the dict */
    SLICE("\x80\x02}(U\x01ku."), /* half an item */
    SLICE("\x80\x02}U\x01ks."),
    SLICE("\x80\x02}s."),
    SLICE("\x80\x02u."),
    SLICE("\x80\x02}u."),
    SLICE("\x80\x02(u."),
    SLICE("\x80\x02K\x01(u."),
    SLICE("\x80\x02}K\x01K\x01s."), /* a key that is no text */
    SLICE("\x80\x02}NNs."),
    SLICE("\x80\x02}U\x01k(s."),
    SLICE("\x80\x02}U\x01k)s."),
    SLICE("\x80\x02}U\x01kcbuiltins\nbytes\ns."),
    SLICE("\x80\x02}U\x01kh\0s."),    /* memo never put */
    SLICE("\x80\x02}q\0U\x01kh\0s."), /* the dict into itself */
    SLICE("\x80\x02}U\x01kq\x02h\x01s."),
    SLICE("\x80\x02}U\x01kj\xff\xff\xff\xffs."),
    SLICE("\x80\x02}r\xff\xff\xff\xff."), /* a memo of 4 Gi */
    SLICE("\x80\x02}r\0\xff\0\0."),
    SLICE("\x80\x02q\0}."),
    SLICE("\x80\x02}(q\0u."),
    SLICE("\x80\x02}U\x01kU\x05xs."), /* longer than the rest */
    SLICE("\x80\x02}U\x01kX\xff\xff\xff\xffxs."),
    SLICE("\x80\x02}U\x01kT\xff\xff\xff\xffxs."),
    SLICE("\x80\x02}U\x01kX\x01\0\0\0\xffs."), /* not UTF-8 */
    SLICE("\x80\x02}U\x01kX\x02\0\0\0\xc0\x80s."),
    SLICE("\x80\x02}U\x01kX\x03\0\0\0\xed\xa0\x80s."),
    SLICE("\x80\x02}" PY3
          "c_codecs\nencode\nX\x02\0\0\0\xc4\x80X\x06\0\0\0latin1\x86Rs."), /* U+100 */
    SLICE("\x80\x02}" PY3 "c_codecs\nencode\nX\x01\0\0\0\xc3X\x06\0\0\0latin1\x86Rs."),
    SLICE("\x80\x02}" PY3 "c_codecs\nencode\nX\x01\0\0\0aX\x04\0\0\0utf8\x86Rs."),
    SLICE("\x80\x02}U\x01kcos\nsystem\nU\x02id\x85Rs."),
    SLICE("\x80\x02}U\x01kcbuiltins\neval\nU\x01"
          "1\x85Rs."),
    SLICE("\x80\x02}U\x01kcbuiltins\nbytesX)Rs."),
    SLICE("\x80\x02}U\x01kc_codecs\nencode\n)Rs."),
    SLICE("\x80\x02}U\x01kcbuiltins\nbytes\nX\x01\0\0\0aX\x06\0\0\0latin1\x86Rs."),
    SLICE("\x80\x02}U\x01kK\x05)Rs."),
    SLICE("\x80\x02}U\x01kcbuiltins\nbytes\nK\x05\x85Rs."), /* bytes(5) */
    SLICE("\x80\x02R."),
    SLICE("\x80\x02\x86."),
    SLICE("\x80\x02\x85."),
    SLICE("\x80\x02}U\x01k\x8a\x09\0\0\0\0\0\0\0\0\0s."),
    SLICE("\x80\x02}U\x01kG\0\0\0s."),
    SLICE("\x80\x02}U\x01kJ\0\0s."),
    SLICE("\x80\x02](K\x01"
          "e."),                /* a list */
    SLICE("(dp0\nVop\np1\ns."), /* protocol 0 */
};

static void test_damaged(void **state)
{
    int number = 0;
    for (EACH(row, damaged)) {
        struct metadata m = {0};
        print_message("damaged %d\n", number++);
        assert_int_equal(metadata_decode(*row, &m), -EBADMSG);
        assert_null(m.items);
    }
}

/* A copy on the heap without a byte to spare, so that ASan sees what reads beyond it. */
static int decode_copy(struct slice bytes, struct metadata *ret)
{
    char *copy = malloc(bytes.len ? bytes.len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes.at, bytes.len);
    int r = metadata_decode((struct slice){copy, bytes.len}, ret);
    free(copy);
    return r;
}

static void test_every_truncation(void **state)
{
    for (EACH(row, examples)) {
        for (size_t len = 0; len < row->pickle.len; len++) {
            struct metadata m = {0};
            assert_int_equal(decode_copy((struct slice){row->pickle.at, len}, &m), -EBADMSG);
            assert_null(m.items);
        }
    }
}

/* Some altered pickles are still good ones (another letter in a value): nothing may crash or
 * leak, and the answer is one of two. */
static void test_every_altered_byte(void **state)
{
    for (EACH(row, examples)) {
        char copy[512];
        memcpy(copy, row->pickle.at, row->pickle.len);
        for (size_t i = 0; i < row->pickle.len; i++) {
            for (int xor = 1; xor < 256; xor ++) {
                struct metadata m = {0};
                copy[i] = (char)(row->pickle.at[i] ^ xor);
                int r = decode_copy((struct slice){copy, row->pickle.len}, &m);
                assert_true(r == 0 || r == -EBADMSG);
                metadata_release(&m);
            }
            copy[i] = row->pickle.at[i];
        }
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static struct slice random_bytes(uint32_t *seed, char *buffer, size_t max)
{
    size_t len = next_random(seed) % (max + 1);
    bool ascii = next_random(seed) % 2;
    for (size_t i = 0; i < len; i++)
        buffer[i] = (char)(ascii ? next_random(seed) % 95 + 32 : next_random(seed));
    return (struct slice){buffer, len};
}

static void test_round_trip(void **state)
{
    uint32_t seed = 20240229;

    for (int round = 0; round < 3000; round++) {
        struct metadata m = {0}, back = {0};
        char key[64], value[400], *bytes;
        unsigned count = next_random(&seed) % (round % 50 == 0 ? 400 : 12);
        size_t len;

        for (unsigned i = 0; i < count; i++) {
            bool is_name = next_random(&seed) % 8 == 0;
            struct slice k = is_name ? SLICE("name") : random_bytes(&seed, key, sizeof(key));
            assert_int_equal(metadata_set(&m, k, random_bytes(&seed, value, sizeof(value))), 0);
        }
        assert_int_equal(metadata_encode(&m, &bytes, &len), 0);
        /* What begins with two empty texts has no marker in front, in Swift neither. */
        if (m.count > 0 && m.items[0].key.len > 0) {
            assert_int_equal(metadata_decode((struct slice){bytes, len}, &back), 0);
            assert_same(&m, &back);
        }
        metadata_release(&back);
        metadata_release(&m);
        free(bytes);
    }
}

/* Batches of 1000, memo numbers of four bytes. */
static void test_many_items(void **state)
{
    static const struct {
        unsigned items;
        size_t pickle_len; /* Python's */
    } sizes[] = {{999, 30135},  {1000, 30168}, {1001, 30200},
                 {2000, 62170}, {2001, 62202}, {METADATA_ITEMS_MAX, 260326}};
    for (EACH(size, sizes)) {
        struct metadata m = {0}, back = {0};
        char key[8], *bytes;
        size_t len;
        for (unsigned i = 0; i < size->items; i++) {
            int key_len = snprintf(key, sizeof(key), "%u", i);
            assert_int_equal(metadata_set(&m, (struct slice){key, (size_t)key_len}, SLICE("0")), 0);
        }
        assert_int_equal(metadata_encode(&m, &bytes, &len), 0);
        assert_int_equal(len, size->pickle_len);
        assert_int_equal(metadata_decode((struct slice){bytes, len}, &back), 0);
        assert_same(&m, &back);
        metadata_release(&back);
        metadata_release(&m);
        free(bytes);
    }
}

static void put_all(char **at, struct slice text)
{
    memcpy(*at, text.at, text.len);
    *at += text.len;
}

/* One text of 64 KiB, referred to by thousands of keys: refused before it fills memory. */
static void test_references_cannot_multiply(void **state)
{
    const size_t big = 65536, keys = 4096;
    char *pickle = malloc(big + keys * 8 + 64), *at = pickle;
    struct metadata m = {0};

    assert_non_null(pickle);
    put_all(&at, SLICE("\x80\x02}(U\x01vT\0\0\x01\0"));
    memset(at, 'x', big);
    at += big;
    put_all(&at, SLICE("q\x01"));
    for (size_t i = 0; i < keys; i++) {
        char item[] = {'U', 2, (char)(i >> 8), (char)i, 'h', 1};
        put_all(&at, (struct slice){item, sizeof(item)});
    }
    put_all(&at, SLICE("u."));
    assert_int_equal(metadata_decode((struct slice){pickle, (size_t)(at - pickle)}, &m), -EBADMSG);
    free(pickle);
}

/* As many marks, or items, as fit: refused, in bounded time and on a bounded stack. */
static void test_deep_and_wide(void **state)
{
    const size_t size = 1 << 20;
    char *pickle = malloc(size);
    struct metadata m = {0};

    assert_non_null(pickle);
    memset(pickle, '(', size);
    memcpy(pickle, "\x80\x02}", 3);
    assert_int_equal(metadata_decode((struct slice){pickle, size}, &m), -EBADMSG);
    char *at = pickle + 4;
    for (uint32_t i = 0; at < pickle + size - 16; i++) {
        char item[] = {'U', 3, (char)(i >> 16), (char)(i >> 8), (char)i, 'N'};
        put_all(&at, (struct slice){item, sizeof(item)});
    }
    put_all(&at, SLICE("u."));
    assert_int_equal(metadata_decode((struct slice){pickle, (size_t)(at - pickle)}, &m), -EBADMSG);
    free(pickle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_examples),
        cmocka_unit_test(test_readable),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_altered_byte),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_many_items),
        cmocka_unit_test(test_references_cannot_multiply),
        cmocka_unit_test(test_deep_and_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
