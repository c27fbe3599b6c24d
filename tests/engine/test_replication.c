/* SPDX-License-Identifier: Apache-2.0 */
/* test_replication.c -- what other nodes ask about a partition: locks, and looks by hash. */
#include "diskfile/engine/thread.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

enum { NOT_YET = 1 };

/* What the callbacks brought. */
struct answer {
    int res;
    struct df_conversation *lock;
    char held[PATH_MAX + 64];
    unsigned seen;
    enum df_state state[4];
    bool told[4];
};

static void wait_for(struct df_thread *t, const struct answer *a)
{
    df_thread_flush(t);
    while (a->res == NOT_YET) {
        struct pollfd ready = {.fd = df_thread_fd(t), .events = POLLIN};
        (void)poll(&ready, 1, -1);
        df_thread_reap(t);
    }
}

static struct df_partition partition_of(const char *device, const char *partition)
{
    return (struct df_partition){0, slice_of(device), slice_of(partition)};
}

/* ---- locks ---- */

static void on_conversing(void *arg, int res, struct df_conversation *take, const char *held)
{
    struct answer *a = arg;
    a->res = res;
    a->lock = take;
    (void)snprintf(a->held, sizeof(a->held), "%s", held);
}

static struct answer converse(struct scratch *s, const char *device, const char *partition,
                              unsigned slots)
{
    struct answer a = {.res = NOT_YET};
    struct df_thread *t;
    const struct df_partition p = partition_of(device, partition);
    assert_int_equal(df_thread_open(s->store, &t), 0);
    assert_true(df_converse(t, &p, slots, on_conversing, &a));
    wait_for(t, &a);
    df_thread_close(t);
    return a;
}

static void assert_held(struct scratch *s, const struct answer *a, const char *name)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/sda1/%s", s->devices, name);
    assert_int_equal(a->res, -EAGAIN);
    assert_null(a->lock);
    assert_string_equal(a->held, path);
}

static void test_one_per_partition(void **state)
{
    struct scratch *s = *state;
    unsigned fds = scratch_open_fds();
    struct answer one = converse(s, "sda1", "3", 0);
    assert_int_equal(one.res, 0);
    struct answer two = converse(s, "sda1", "3", 0), other = converse(s, "sda1", "4", 0);
    assert_held(s, &two, "objects/3/.lock-replication");
    assert_int_equal(other.res, 0);
    df_conversation_end(one.lock);
    df_conversation_end(other.lock);
    two = converse(s, "sda1", "3", 0);
    assert_int_equal(two.res, 0);
    df_conversation_end(two.lock);
    assert_int_equal(scratch_open_fds(), fds);
}

/* Whoever gets no slot gives the partition back too. */
static void test_slots(void **state)
{
    struct scratch *s = *state;
    unsigned fds = scratch_open_fds();
    struct answer one = converse(s, "sda1", "1", 2), two = converse(s, "sda1", "2", 2);
    assert_int_equal(one.res, 0);
    assert_int_equal(two.res, 0);
    struct answer three = converse(s, "sda1", "3", 2);
    assert_held(s, &three, ".lock");
    struct answer free_of_slots = converse(s, "sda1", "3", 0);
    assert_int_equal(free_of_slots.res, 0);
    df_conversation_end(free_of_slots.lock);
    df_conversation_end(one.lock);
    three = converse(s, "sda1", "3", 2);
    assert_int_equal(three.res, 0);
    df_conversation_end(two.lock);
    df_conversation_end(three.lock);
    assert_int_equal(scratch_open_fds(), fds);
}

static void test_no_device(void **state)
{
    struct answer a = converse(*state, "sdz9", "1", 1);
    assert_int_equal(a.res, -ENODEV);
    assert_null(a.lock);
}

/* ---- looks ---- */

static bool see(void *arg, unsigned i, const struct df_info *info, int res,
                struct timestamp *ret_ts)
{
    struct answer *a = arg;
    a->seen++;
    a->told[i] = info != NULL;
    a->state[i] = info != NULL ? info->state : DF_ABSENT;
    return false;
}

static void on_done(void *arg, int res)
{
    ((struct answer *)arg)->res = res;
}

/* Of /a/c/o in partition 7, and of a hash that is nobody's. */
static struct answer visit(struct scratch *s, const char *device)
{
    struct answer a = {.res = NOT_YET};
    struct df_thread *t;
    char hashes[2][HASH_HEX_LEN + 1] = {"", "00000000000000000000000000000000"};
    const struct df_partition p = partition_of(device, "7");
    memcpy(hashes[0], s->place.hash.hex, sizeof(hashes[0]));
    const struct df_visit v = {
        .hashes = (const char(*)[HASH_HEX_LEN + 1]) hashes, .count = 2, .see = see};
    assert_int_equal(df_thread_open(s->store, &t), 0);
    assert_true(df_visit(t, &p, &v, on_done, &a));
    wait_for(t, &a);
    df_thread_close(t);
    return a;
}

static void test_visit(void **state)
{
    struct scratch *s = *state;
    char names[1024];
    struct answer a = visit(s, "sda1");
    assert_int_equal(a.res, 0);
    assert_int_equal(a.seen, 2);
    assert_true(a.told[0] && a.state[0] == DF_ABSENT);
    scratch_put_data(s, "1700000001.00000.data", "abc", "");
    scratch_put_data(s, "1700000002.00000.data", "abc", "");
    unsigned fds = scratch_open_fds();
    a = visit(s, "sda1");
    assert_true(a.told[0] && a.state[0] == DF_LIVE);
    assert_true(a.told[1] && a.state[1] == DF_ABSENT);
    assert_string_equal(scratch_list(s->place.dir, names), "1700000002.00000.data");
    assert_int_equal(scratch_open_fds(), fds);
}

/* A file without a name, or with one that belongs elsewhere, is shown as unknown and stays. */
static void test_strangers(void **state)
{
    struct scratch *s = *state;
    static const char *const names[] = {"", "|name=/a/c/other"};
    for (int i = 0; i < 2; i++) {
        char metadata[256];
        (void)snprintf(metadata, sizeof(metadata),
                       "X-Timestamp=1700000001.00000|Content-Length=3|"
                       "ETag=900150983cd24fb0d6963f7d28e17f72%s",
                       names[i]);
        scratch_put(s, "1700000001.00000.data", "abc", metadata);
        struct answer a = visit(s, "sda1");
        assert_false(a.told[0]);
        assert_int_equal(s->quarantines, 0);
        scratch_remove(s->place.dir);
    }
}

static void test_visit_no_device(void **state)
{
    struct answer a = visit(*state, "sdz9");
    assert_int_equal(a.res, -ENODEV);
    assert_int_equal(a.seen, 0);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ROW(test_one_per_partition), ROW(test_slots),
                                       ROW(test_no_device),         ROW(test_visit),
                                       ROW(test_strangers),         ROW(test_visit_no_device)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
