/* SPDX-License-Identifier: Apache-2.0 */
/* test_md5_lanes.c -- every kernel that runs on this processor against libcrypto. */
#include "diskfile/format/md5_lanes.h"
#include "tests/format/cases.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_BYTES (64 * 1024)

static unsigned char data[DATA_BYTES];

static void digest_of(const void *bytes, size_t len, unsigned char digest[MD5_DIGEST_BYTES])
{
    assert_int_equal(EVP_Digest(bytes, len, digest, NULL, EVP_md5(), NULL), 1);
}

/* ---- one stream ---- */

/* RFC 1321, A.5 */
static const struct {
    const char *text, *hex;
} known[] = {
    {"", "d41d8cd98f00b204e9800998ecf8427e"},
    {"a", "0cc175b9c0f1b6a831c399e269772661"},
    {"abc", "900150983cd24fb0d6963f7d28e17f72"},
    {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
    {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
     "d174ab98d277d9f5a5611c2c9f419d9f"},
    {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
     "57edf4a22be3c955ac49da2e2107b67a"},
};

static void test_known_answers(void **state)
{
    for (EACH(row, known)) {
        struct md5_stream s;
        unsigned char digest[MD5_DIGEST_BYTES];
        char hex[2 * MD5_DIGEST_BYTES + 1];
        md5_stream_init(&s);
        md5_stream_end(&s, row->text, strlen(row->text), digest);
        for (unsigned at = 0; at < MD5_DIGEST_BYTES; at++)
            snprintf(hex + 2 * at, 3, "%02x", digest[at]);
        assert_string_equal(hex, row->hex);
    }
}

/* Around every place where padding takes another block. */
static void test_every_length(void **state)
{
    for (size_t len = 0; len <= 4 * MD5_BLOCK_BYTES; len++) {
        struct md5_stream s;
        unsigned char found[MD5_DIGEST_BYTES], right[MD5_DIGEST_BYTES];
        md5_stream_init(&s);
        md5_stream_end(&s, data, len, found);
        digest_of(data, len, right);
        assert_memory_equal(found, right, sizeof(right));
    }
}

/* Where the count of bits leaves 32 bits behind. */
static void test_more_than_512_mib(void **state)
{
    struct md5_stream s, *streams[] = {&s};
    const unsigned char *at[] = {data};
    unsigned char found[MD5_DIGEST_BYTES], right[MD5_DIGEST_BYTES];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_non_null(context);
    assert_int_equal(EVP_DigestInit_ex(context, EVP_md5(), NULL), 1);
    md5_stream_init(&s);
    for (unsigned i = 0; i <= (512u << 20) / DATA_BYTES; i++) {
        md5_lanes_add(streams, at, 1, DATA_BYTES / MD5_BLOCK_BYTES);
        assert_int_equal(EVP_DigestUpdate(context, data, DATA_BYTES), 1);
    }
    md5_stream_end(&s, data, 7, found);
    assert_int_equal(EVP_DigestUpdate(context, data, 7), 1);
    assert_int_equal(EVP_DigestFinal_ex(context, right, NULL), 1);
    EVP_MD_CTX_free(context);
    assert_memory_equal(found, right, sizeof(right));
}

/* ---- many ---- */

#define STREAMS_MAX (3 * MD5_LANES_MAX)

/* Where stream i begins: unaligned, and another place for each. */
static const unsigned char *begin_of(unsigned i)
{
    return data + i * 617;
}

/* Adds to `count` streams in pieces of random lengths, then a rest of another length to each. */
static void check_streams(const struct md5_kernel *k, unsigned count)
{
    struct md5_stream s[STREAMS_MAX], *streams[STREAMS_MAX];
    const unsigned char *at[STREAMS_MAX];
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        streams[i] = &s[i];
        md5_stream_init(&s[i]);
    }
    for (unsigned piece = 0; piece < 4; piece++) {
        size_t blocks = (size_t)(rand() % 20);
        for (unsigned i = 0; i < count; i++)
            at[i] = begin_of(i) + len;
        if (k)
            md5_kernel_add(k, streams, at, count, blocks);
        else
            md5_lanes_add(streams, at, count, blocks);
        len += blocks * MD5_BLOCK_BYTES;
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned char found[MD5_DIGEST_BYTES], right[MD5_DIGEST_BYTES];
        size_t rest = (size_t)(rand() % 200);
        assert_int_equal(s[i].bytes, len);
        md5_stream_end(&s[i], begin_of(i) + len, rest, found);
        digest_of(begin_of(i), len + rest, right);
        assert_memory_equal(found, right, sizeof(right));
    }
}

static void test_every_kernel(void **state)
{
    for (const struct md5_kernel *k = md5_kernels; k->name; k++) {
        if (!k->runs_here()) {
            print_message("not on this processor: %s\n", k->name);
            continue;
        }
        for (unsigned count = 1; count <= k->lanes; count++)
            for (unsigned turn = 0; turn < 20; turn++)
                check_streams(k, count);
    }
}

/* As md5_lanes_add() takes them, also more than there are lanes. */
static void test_any_number(void **state)
{
    for (unsigned count = 0; count <= STREAMS_MAX; count++)
        check_streams(NULL, count);
}

static void test_width(void **state)
{
    unsigned widest = 1;
    for (const struct md5_kernel *k = md5_kernels; k->name; k++)
        if (k->runs_here() && k->lanes > widest)
            widest = k->lanes;
    assert_int_equal(md5_lanes_width(), widest);
    assert_true(widest >= 4 && widest <= MD5_LANES_MAX);
}

int main(void)
{
    srand(1);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)rand();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),     cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_more_than_512_mib), cmocka_unit_test(test_every_kernel),
        cmocka_unit_test(test_any_number),        cmocka_unit_test(test_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
