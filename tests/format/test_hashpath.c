/* SPDX-License-Identifier: Apache-2.0 */
/* The table of on-disk-format 2, and what makes a hash differ. */
#include "diskfile/format/hashpath.h"
#include "diskfile/format/md5.h"
#include "tests/format/cases.h"
#include <pthread.h>

static const struct hash_key pfx_sfx = {{"pfx", 3}, {"sfx", 3}};
static const struct hash_key changeme = {{"changeme", 8}, {"changeme", 8}};

static const struct {
    const struct hash_key *key;
    const char *object;
    const char *hex;
} hashes[] = {
    {&pfx_sfx, "o", "a2f44d515fb09dd10b491d4919d60ad8"},
    {&pfx_sfx, "sn\xc3\xb6w", "579fdd809086b768cee0a80d24dc2422"},
    {&changeme, "sn\xc3\xb6w", "c587d49a23e0631fb3ce38fe58070fe8"},
};

static void hash_object(const struct hash_key *key, struct slice object, struct object_hash *hash)
{
    hash_path(key, SLICE("AUTH_test"), SLICE("c"), object, hash);
}

static void test_known_hashes(void **state)
{
    for (EACH(row, hashes)) {
        struct object_hash hash;
        hash_object(row->key, slice_of(row->object), &hash);
        assert_string_equal(hash.hex, row->hex);
        assert_string_equal(hash_suffix(&hash), row->hex + 29);
    }
}

static const struct {
    const char *object;
    unsigned power;
    uint32_t partition;
} partitions[] = {
    {"o", 1, 1},
    {"o", 4, 10},
    {"o", 8, 162},
    {"o", 10, 651},
    {"o", 18, 166865},
    {"o", 0, 0},
    {"o", 32, 0xa2f44d51},
    {"sn\xc3\xb6w", 1, 0},
    {"sn\xc3\xb6w", 4, 5},
    {"sn\xc3\xb6w", 8, 87},
    {"sn\xc3\xb6w", 10, 350},
    {"sn\xc3\xb6w", 18, 89727},
};

static void test_partitions(void **state)
{
    for (EACH(row, partitions)) {
        struct object_hash hash;
        hash_object(&pfx_sfx, slice_of(row->object), &hash);
        assert_int_equal(hash_partition(&hash, row->power), row->partition);
    }
}

static void test_every_byte_counts(void **state)
{
    struct object_hash plain, with_nul, no_key;
    hash_object(&pfx_sfx, SLICE("o"), &plain);
    hash_object(&pfx_sfx, SLICE("o\0"), &with_nul);
    hash_object(&(struct hash_key){{NULL, 0}, {NULL, 0}}, SLICE("o"), &no_key);
    assert_string_not_equal(plain.hex, with_nul.hex);
    assert_string_equal(no_key.hex, "55f2182e9b0819d00895c2e4f33a8fcb"); /* md5sum's answer */
}

static void *hash_many(void *unused)
{
    struct object_hash hash;
    for (int i = 0; i < 2000; i++) {
        hash_object(&pfx_sfx, SLICE("o"), &hash);
        assert_string_equal(hash.hex, hashes[0].hex);
    }
    return NULL;
}

static void test_threads_share_the_algorithm(void **state)
{
    pthread_t threads[4];
    for (EACH(t, threads))
        assert_int_equal(pthread_create(t, NULL, hash_many, NULL), 0);
    for (EACH(t, threads))
        assert_int_equal(pthread_join(*t, NULL), 0);
    assert_non_null(md5_algorithm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_hashes),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_threads_share_the_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
