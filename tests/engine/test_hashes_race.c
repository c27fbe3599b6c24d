/* SPDX-License-Identifier: Apache-2.0 */
/* test_hashes_race.c -- a suffix is hashed just before each operation of an upload in turn: what is
 * known of it afterwards is never older than the object. */
#include "diskfile/engine/partition_hashes.h"
#include "diskfile/engine/thread.h"
#include "tests/disk/disk_sync.h"
#include "tests/engine/scratch.h"

#include <poll.h>
#include <stdio.h>

#define BUSY 1

struct meddling {
    struct disk_sync sync;
    struct scratch *scratch;
    unsigned policy;
    int nth; /* before this op everything is hashed */
    int calls;
};

/* The hash of the only suffix, or "". */
static const char *hash(struct scratch *s, unsigned policy, unsigned *ret_hashed, char text[256])
{
    struct partition_hashes h;
    struct store_device *device;
    assert_int_equal(store_device(s->store, SLICE("sda1"), &device), 0);
    assert_int_equal(
        partition_hashes_init(&h, s->store, device, store_policy(s->store, policy), SLICE("7")), 0);
    assert_int_equal(partition_hashes_work(&h, UINT64_MAX / 2), 0);
    size_t n = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < SUFFIXES; i++)
        for (unsigned k = 0; k < h.hashes->of[i].count; k++)
            n += (size_t)snprintf(text + n, 256 - n, "%s ", h.hashes->of[i].sums[k].hex);
    *ret_hashed = h.hashed;
    partition_hashes_release(&h);
    return text;
}

static int run_op(struct disk_sync *sync, struct disk_op *op)
{
    struct meddling *m = CONTAINER_OF(sync, struct meddling, sync);
    unsigned hashed;
    char ignored[256];
    if (++m->calls == m->nth)
        hash(m->scratch, m->policy, &hashed, ignored);
    return disk_op_run(op);
}

static void on_finished(void *arg, int res)
{
    *(int *)arg = res;
}

static void upload(struct meddling *m, enum df_upload_kind kind, uint64_t ticks)
{
    static const struct df_upload_calls calls = {.finished = on_finished};
    struct df_name name = {m->policy,  SLICE("sda1"), SLICE("7"),
                           SLICE("a"), SLICE("c"),    SLICE("o")};
    struct timestamp ts = {1890000000ull * TIMESTAMP_TICKS_PER_S + ticks, 0};
    struct df_upload_spec spec = {.kind = kind, .timestamp = ts, .now = ts, .size = -1};
    struct metadata metadata = {0};
    struct df_thread *t;
    int res = BUSY;
    assert_int_equal(disk_sync_init(&m->sync, "meddling", run_op), 0);
    assert_int_equal(df_thread_over(m->scratch->store, &m->sync.base, &t), 0);
    struct df_upload *u = df_upload_begin(t, &name, &spec, &calls, &res);
    assert_non_null(u);
    if (m->policy == 2)
        df_upload_set_fragment(u, 1);
    assert_int_equal(metadata_set_text(&metadata, "X-Timestamp", "1890000000.00000"), 0);
    df_upload_commit(u, &metadata);
    for (int turn = 0; res == BUSY && turn < 100; turn++) {
        df_thread_flush(t);
        df_thread_reap(t);
    }
    assert_int_equal(res, 0);
    df_thread_close(t);
}

/* What a rehash finds, and then one that was told to trust nothing. */
static bool is_stale(struct meddling *m)
{
    char text[256], truth[256];
    unsigned hashed;
    hash(m->scratch, m->policy, &hashed, text);
    assert_int_equal(hashdir_invalidate(&m->scratch->place), 0);
    struct object_place coded = m->scratch->place;
    if (m->policy == 2) {
        struct df_name name = {2, SLICE("sda1"), SLICE("7"), SLICE("a"), SLICE("c"), SLICE("o")};
        assert_int_equal(place_init(m->scratch->store, &name, &coded), 0);
        assert_int_equal(hashdir_invalidate(&coded), 0);
        place_release(&coded);
    }
    hash(m->scratch, m->policy, &hashed, truth);
    assert_true(truth[0] != '\0');
    return strcmp(text, truth) != 0;
}

static void meddle(struct scratch *s, unsigned policy, enum df_upload_kind kind)
{
    uint64_t ticks = 0;
    for (int nth = 1;; nth++) {
        struct meddling m = {.scratch = s, .policy = policy, .nth = nth};
        upload(&m, kind, ++ticks);
        if (is_stale(&m))
            fail_msg("kind %d: hashed before op %d, and the object is not in the hash", kind, nth);
        if (m.calls < nth)
            return; /* all were covered */
    }
}

static void test_data(void **state)
{
    meddle(*state, 0, DF_UPLOAD_DATA);
}

static void test_tombstone(void **state)
{
    meddle(*state, 0, DF_UPLOAD_TOMBSTONE);
}

static void test_fragment(void **state)
{
    meddle(*state, 2, DF_UPLOAD_DATA);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ROW(test_data), ROW(test_tombstone), ROW(test_fragment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
