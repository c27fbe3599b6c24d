/* SPDX-License-Identifier: Apache-2.0 */
/* test_md5_combiner.c -- many threads, one combiner, and every checksum that of libcrypto. */
#include "tests/format/cases.h"
#include "tools/audit/md5_combiner.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DATA_BYTES  (512 * 1024)
#define THREADS     20 /* more than lanes */
#define BODIES_EACH 40
#define TRIES_MAX   1000

static unsigned char data[DATA_BYTES];

struct hasher {
    struct md5_combiner *combiner;
    pthread_t thread;
    unsigned seed, wrong;
};

/* One body of any length, in blocks and a rest. false: the checksum is not libcrypto's. */
static bool body_is_right(struct hasher *h)
{
    size_t from = (size_t)rand_r(&h->seed) % (DATA_BYTES / 2), at = from;
    size_t len = (size_t)rand_r(&h->seed) % (DATA_BYTES / 2);
    char found[CHECKSUM_HEX_LEN + 1], right[CHECKSUM_HEX_LEN + 1];
    struct body_sum sum;
    if (body_sum_begin(&sum, h->combiner) < 0 || checksum_of(data + from, len, right) < 0)
        return false;
    while (at < from + len) {
        size_t piece = (size_t)(1 + rand_r(&h->seed) % 2000) * MD5_BLOCK_BYTES;
        piece = piece < from + len - at ? piece : from + len - at;
        body_sum_add(&sum, data + at, piece);
        at += piece;
    }
    body_sum_end(&sum, found);
    return strcmp(found, right) == 0;
}

static void *hash(void *arg)
{
    struct hasher *h = arg;
    for (unsigned i = 0; i < BODIES_EACH; i++)
        h->wrong += !body_is_right(h);
    return NULL;
}

static void hash_in_threads(struct md5_combiner *c, unsigned count, unsigned seed)
{
    struct hasher hashers[THREADS] = {0};
    for (unsigned i = 0; i < count; i++) {
        hashers[i] = (struct hasher){.combiner = c, .seed = seed + i};
        assert_int_equal(pthread_create(&hashers[i].thread, NULL, hash, &hashers[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(hashers[i].thread, NULL);
        assert_int_equal(hashers[i].wrong, 0);
    }
}

static void test_alone(void **state)
{
    struct md5_combiner c;
    md5_combiner_init(&c, COMBINE_WORKERS_MIN - 1);
    assert_false(c.enabled);
    hash_in_threads(&c, 1, 1);
    hash_in_threads(NULL, 1, 1);
    assert_int_equal(c.widest, 0);
    md5_combiner_release(&c);
}

static void test_one_thread(void **state)
{
    struct md5_combiner c;
    md5_combiner_init(&c, COMBINE_WORKERS_MIN);
    c.enabled = true; /* whatever this processor can */
    hash_in_threads(&c, 1, 2);
    assert_int_equal(c.widest, 1);
    md5_combiner_release(&c);
}

/* Until they have met, which is up to the kernel's scheduler. */
static void test_together(void **state)
{
    struct md5_combiner c;
    md5_combiner_init(&c, THREADS);
    c.enabled = true;
    for (unsigned try = 0; c.widest < 2 && try < TRIES_MAX; try++)
        hash_in_threads(&c, THREADS, 100 * try);
    assert_in_range(c.widest, 2, md5_lanes_width());
    md5_combiner_release(&c);
}

static void test_dropped(void **state)
{
    struct md5_combiner c;
    struct body_sum sum;
    md5_combiner_init(&c, THREADS);
    for (unsigned together = 0; together < 2; together++) {
        c.enabled = together;
        assert_int_equal(body_sum_begin(&sum, &c), 0);
        body_sum_add(&sum, data, 12345);
        body_sum_drop(&sum);
    }
    md5_combiner_release(&c);
}

int main(void)
{
    srand(1);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)rand();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
