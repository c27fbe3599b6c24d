/* SPDX-License-Identifier: Apache-2.0 */
/* test_pending.c -- updates left for Swift's object-updater: where, whole or not at all. */
#include "diskfile/engine/thread.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

/* md5("/a/c/o" between the hash key of scratch.c) is place.hash. */
static const struct timestamp at_1 = {1700000001ull * TIMESTAMP_TICKS_PER_S, 0};

static void note(void *arg, int res)
{
    *(int *)arg = res;
}

/* Waits for done(). */
static int write_pending(struct scratch *s, const char *device, unsigned policy,
                         const char *container_path)
{
    enum { NOT_YET = 1 };
    struct metadata headers = {0};
    struct df_thread *t;
    int res = NOT_YET;
    assert_int_equal(metadata_set_text(&headers, "X-Size", "5"), 0);
    const struct pending_update update = {.op = SLICE("PUT"),
                                          .account = SLICE("a"),
                                          .container = SLICE("c"),
                                          .object = SLICE("o"),
                                          .headers = &headers,
                                          .container_path = slice_of(container_path)};
    assert_int_equal(df_thread_open(s->store, &t), 0);
    assert_true(df_pending_write(t, slice_of(device), policy, at_1, &update, note, &res));
    metadata_release(&headers); /* nothing is lent */
    assert_int_equal(res, NOT_YET);
    df_thread_flush(t);
    while (res == NOT_YET) {
        struct pollfd ready = {.fd = df_thread_fd(t), .events = POLLIN};
        (void)poll(&ready, 1, -1);
        df_thread_reap(t);
    }
    df_thread_close(t);
    return res;
}

static const char *below(struct scratch *s, const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/sda1/%s", s->devices, name);
    return path;
}

static const char *file_of(struct scratch *s, const char *directory)
{
    char name[256];
    snprintf(name, sizeof(name), "%s/%s/%s-1700000001.00000", directory,
             hash_suffix(&s->place.hash), s->place.hash.hex);
    return below(s, name);
}

static long size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void test_written(void **state)
{
    struct scratch *s = *state;
    char names[1024];
    struct stat st;
    assert_int_equal(write_pending(s, "sda1", 0, ""), 0);
    assert_int_equal(stat(file_of(s, "async_pending"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_string_equal(scratch_list(below(s, "tmp"), names), "");
}

static void test_policy(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(write_pending(s, "sda1", 1, ""), 0);
    assert_true(scratch_exists(file_of(s, "async_pending-1")));
    assert_true(scratch_exists(below(s, "tmp-1")));
    assert_false(scratch_exists(below(s, "async_pending")));
}

static void test_replaced(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(write_pending(s, "sda1", 0, ""), 0);
    long size = size_of(file_of(s, "async_pending"));
    assert_int_equal(write_pending(s, "sda1", 0, "x/y"), 0);
    assert_true(size_of(file_of(s, "async_pending")) > size);
}

static void test_no_device(void **state)
{
    assert_int_equal(write_pending(*state, "sdz9", 0, ""), -ENODEV);
    assert_int_equal(write_pending(*state, "..", 0, ""), -ENODEV);
}

/* Nothing is left of one that fails, no descriptor either. */
static void test_fails_whole(void **state)
{
    struct scratch *s = *state;
    char names[1024];
    scratch_write(below(s, "async_pending"), "x", 1);
    assert_int_equal(write_pending(s, "sda1", 0, ""), -ENOTDIR);
    unsigned fds = scratch_open_fds();
    assert_int_equal(write_pending(s, "sda1", 0, ""), -ENOTDIR);
    assert_int_equal(scratch_open_fds(), fds);
    assert_string_equal(scratch_list(below(s, "tmp"), names), "");
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ROW(test_written), ROW(test_policy), ROW(test_replaced),
                                       ROW(test_no_device), ROW(test_fails_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
