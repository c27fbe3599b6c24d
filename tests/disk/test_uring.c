/* SPDX-License-Identifier: Apache-2.0 */
/* test_uring.c -- what only the ring has: segments, the cap per device, missing opcodes.
 * Includes the back end, to look inside and to hand it results that no kernel gives on call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diskfile/disk/disk_uring.c" // NOLINT(bugprone-suspicious-include)
#include "tests/disk/wait_done.h"
#include <string.h>
#include <sys/stat.h>

static struct disk *disk;
static struct disk_device *device;
static unsigned done_calls;

static void on_done(struct disk_chain *chain)
{
    (void)chain;
    done_calls++;
}

static int set_up(void **state)
{
    struct disk_device_limits limits = {4, 5, 2, 10}; /* two ops in the ring */
    int r = disk_device_new("test", &limits, &device);
    return r < 0 ? r : disk_uring_new(16, 8, &disk);
}

static int tear_down(void **state)
{
    disk->free(disk);
    disk_device_free(device);
    done_calls = 0;
    return 0;
}

/* ---- settle(): the kernel's result becomes the op's ---- */

static const struct {
    const char *what;
    enum disk_opcode code;
    unsigned place; /* in the segment */
    size_t len, moved;
    int res;
    enum verdict verdict;
    int res_after;
    size_t moved_after;
} settled[] = {
    {"whole write", DISK_WRITE, 0, 10, 0, 10, OP_GOOD, 10, 0},
    {"short write", DISK_WRITE, 0, 10, 0, 4, OP_AGAIN, 4, 4},
    {"the rest of it", DISK_WRITE, 0, 10, 4, 6, OP_GOOD, 10, 0},
    {"short again", DISK_WRITE, 0, 10, 4, 2, OP_AGAIN, 2, 6},
    {"no progress", DISK_WRITE, 0, 10, 4, 0, OP_BAD, -EIO, 0},
    {"error after a part", DISK_WRITE, 0, 10, 4, -ENOSPC, OP_BAD, -ENOSPC, 0},
    {"write of nothing", DISK_WRITE, 0, 0, 0, 0, OP_GOOD, 0, 0},
    {"interrupted", DISK_WRITE, 0, 10, 4, -EINTR, OP_AGAIN, -EINTR, 4},
    {"whole read", DISK_READ, 0, 10, 0, 10, OP_GOOD, 10, 0},
    {"short read", DISK_READ, 0, 10, 0, 4, OP_AGAIN, 4, 4},
    {"end of file", DISK_READ, 0, 10, 4, 0, OP_GOOD, 4, 0},
    {"read error", DISK_READ, 0, 10, 0, -EIO, OP_BAD, -EIO, 0},
    {"link broke before it", DISK_FSYNC, 1, 0, 0, -ECANCELED, OP_AGAIN, -ECANCELED, 0},
    {"cancelled and first", DISK_FSYNC, 0, 0, 0, -ECANCELED, OP_BAD, -ECANCELED, 0},
    {"fsync is not repeated", DISK_FSYNC, 0, 0, 0, -EINTR, OP_BAD, -EINTR, 0},
    {"directory is there", DISK_MKDIRAT, 0, 0, 0, -EEXIST, OP_GOOD, 0, 0},
    {"name is there", DISK_LINKAT, 0, 0, 0, -EEXIST, OP_BAD, -EEXIST, 0},
};

static void test_settle(void **state)
{
    for (size_t i = 0; i < sizeof settled / sizeof settled[0]; i++) {
        struct disk_chain chain;
        disk_chain_init(&chain, device, on_done);
        for (unsigned n = 0; n <= settled[i].place; n++)
            disk_chain_add(&chain, settled[i].code)->len = settled[i].len;
        chain.moved = settled[i].moved;
        struct disk_op *op = &chain.ops[settled[i].place];
        op->res = settled[i].res;
        enum verdict verdict = settle(&chain, settled[i].place);
        if (verdict != settled[i].verdict || op->res != settled[i].res_after ||
            chain.moved != settled[i].moved_after)
            fail_msg("%s: verdict %d, res %d, moved %zu", settled[i].what, verdict, op->res,
                     chain.moved);
    }
}

/* A failed sync behind a short write must not be forgotten by running both again. */
static void test_failure_behind_a_short_write(void **state)
{
    struct disk_chain chain;
    disk_chain_init(&chain, device, on_done);
    disk_chain_add(&chain, DISK_WRITE)->len = 10;
    disk_chain_add(&chain, DISK_FSYNC);
    disk_chain_add(&chain, DISK_LINKAT);
    chain.last = 1;
    chain.ops[0].res = 4;
    chain.ops[1].res = -EIO;
    segment_done(of(disk), &chain);
    assert_ptr_equal(of(disk)->ready, &chain);
    assert_int_equal(disk_chain_result(&chain), -EIO);
    assert_int_equal(chain.ops[2].res, -ECANCELED);
    of(disk)->ready = NULL;
    of(disk)->ready_tail = &of(disk)->ready;
}

static void test_segments(void **state)
{
    static const struct {
        enum disk_opcode codes[5];
        unsigned first, limit, length;
    } cut[] = {
        {{DISK_WRITE, DISK_FSETXATTR, DISK_FSYNC, DISK_LINKAT, DISK_FSYNC}, 0, 16, 3},
        {{DISK_WRITE, DISK_FSETXATTR, DISK_FSYNC, DISK_LINKAT, DISK_FSYNC}, 0, 2, 2},
        {{DISK_WRITE, DISK_FSETXATTR, DISK_FSYNC, DISK_LINKAT, DISK_FSYNC}, 3, 16, 1},
        {{DISK_WRITE, DISK_FSETXATTR, DISK_FSYNC, DISK_LINKAT, DISK_FSYNC}, 4, 16, 1},
        {{DISK_OPENAT, DISK_WRITE, DISK_WRITE, DISK_CLOSE, DISK_UNLINKAT}, 0, 16, 1},
        {{DISK_OPENAT, DISK_WRITE, DISK_WRITE, DISK_CLOSE, DISK_UNLINKAT}, 1, 16, 2},
        {{DISK_FSYNC, DISK_RENAMEAT, DISK_FSYNC, DISK_FSYNC, DISK_CLOSE}, 0, 16, 1},
    };
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        struct disk_chain chain;
        disk_chain_init(&chain, device, on_done);
        for (unsigned n = 0; n < 5; n++)
            disk_chain_add(&chain, cut[i].codes[n]);
        chain.first = cut[i].first;
        assert_int_equal(segment_length(&chain, cut[i].limit), cut[i].length);
    }
    struct disk_chain huge;
    disk_chain_init(&huge, device, on_done);
    disk_chain_add(&huge, DISK_WRITE)->len = (size_t)URING_TRANSFER_MAX + 1;
    disk_chain_add(&huge, DISK_FSYNC);
    assert_int_equal(segment_length(&huge, 16), 1);
}

/* ---- the cap per device ---- */

struct pipe_read {
    struct disk_chain chain;
    int fds[2];
    char byte;
    bool over;
};

static void pipe_done(struct disk_chain *chain)
{
    CONTAINER_OF(chain, struct pipe_read, chain)->over = true;
    done_calls++;
}

static void read_pipe(struct pipe_read *p, struct disk_device *of_device)
{
    p->over = false;
    if (pipe(p->fds) < 0)
        fail_msg("pipe: errno %d", errno);
    disk_chain_init(&p->chain, of_device, pipe_done);
    struct disk_op *op = disk_chain_add(&p->chain, DISK_READ);
    op->fd = &p->fds[0];
    op->buf = &p->byte;
    op->len = 1;
    disk->submit(disk, &p->chain);
}

static void fill_pipe(struct pipe_read *p)
{
    assert_int_equal(write(p->fds[1], "x", 1), 1);
}

static void test_cap_per_device(void **state)
{
    struct disk_device_limits limits = {1, 5, 2, 10};
    struct disk_device *other;
    assert_int_equal(disk_device_new("other", &limits, &other), 0);
    struct pipe_read reads[4], elsewhere;
    for (unsigned i = 0; i < 4; i++)
        read_pipe(&reads[i], device);
    assert_int_equal(of(disk)->inflight, 2);
    fill_pipe(&reads[2]); /* has its byte, but no place in the ring */
    read_pipe(&elsewhere, other);
    fill_pipe(&elsewhere);
    wait_done(disk, &done_calls, 1);
    assert_true(elsewhere.over);
    assert_false(reads[2].over);

    fill_pipe(&reads[0]);
    wait_done(disk, &done_calls, 3); /* 0 makes place for 2: first come, first served */
    assert_true(reads[0].over && reads[2].over);
    fill_pipe(&reads[1]);
    fill_pipe(&reads[3]);
    wait_done(disk, &done_calls, 5);
    for (unsigned i = 0; i < 4; i++) {
        close(reads[i].fds[0]);
        close(reads[i].fds[1]);
    }
    close(elsewhere.fds[0]);
    close(elsewhere.fds[1]);
    disk_device_free(other);
}

/* A chain that needs two places waits for them; one that needs one does not pass it. */
static void test_nobody_overtakes(void **state)
{
    struct pipe_read first, last;
    struct disk_chain pair;
    int nothing = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char byte;
    read_pipe(&first, device);
    disk_chain_init(&pair, device, on_done);
    for (unsigned i = 0; i < 2; i++) {
        struct disk_op *op = disk_chain_add(&pair, DISK_READ);
        op->fd = &nothing;
        op->buf = &byte;
        op->len = 1;
    }
    disk->submit(disk, &pair);
    read_pipe(&last, device);
    assert_int_equal(of(disk)->inflight, 1);
    fill_pipe(&last);
    fill_pipe(&first);
    wait_done(disk, &done_calls, 3);
    for (unsigned i = 0; i < 2; i++) {
        close(first.fds[i]);
        close(last.fds[i]);
    }
    close(nothing);
}

/* A chain that ran to its end is submitted again, and now breaks off early. */
static void test_old_results_do_not_stay(void **state)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), other = -1;
    char text[4] = "abc";
    struct disk_chain chain;
    disk_chain_init(&chain, device, on_done);
    struct disk_op *op = disk_chain_add(&chain, DISK_WRITE);
    op->fd = &fd;
    op->buf = text;
    op->len = 3;
    op = disk_chain_add(&chain, DISK_OPENAT);
    op->fd = &other;
    op->name = ".";
    op->flags = O_RDONLY | O_CLOEXEC;
    disk_chain_add(&chain, DISK_CLOSE)->fd = &other;
    disk->submit(disk, &chain);
    wait_done(disk, &done_calls, 1);
    assert_int_equal(disk_chain_result(&chain), 0);
    close(fd);
    fd = -1;
    disk->submit(disk, &chain);
    wait_done(disk, &done_calls, 2);
    assert_int_equal(chain.ops[0].res, -EBADF);
    assert_int_equal(chain.ops[1].res, -ECANCELED);
    assert_int_equal(chain.ops[2].res, -ECANCELED);
}

static void test_share_of_two_rings(void **state)
{
    struct disk_device_limits limits = {1, 5, 9, 10};
    struct disk_device *shared;
    struct disk *second = NULL;
    assert_int_equal(disk_device_new("shared", &limits, &shared), 0);
    assert_int_equal(disk_uring_new(16, 8, &second), 0);
    assert_int_equal(disk_device_ring_share(shared), 9);
    assert_ptr_equal(lane_of(of(disk), shared), lane_of(of(disk), shared));
    assert_int_equal(disk_device_ring_share(shared), 9);
    assert_non_null(lane_of(of(second), shared));
    assert_int_equal(disk_device_ring_share(shared), 4);
    if (second)
        second->free(second);
    disk_device_free(shared);
}

/* More than the submission queue holds, in one turn. */
static void test_full_submission_queue(void **state)
{
    struct disk_device_limits limits = {1, 5, 1000, 10};
    struct disk_device *wide = NULL;
    assert_int_equal(disk_device_new("wide", &limits, &wide), 0);
    enum { MANY = 100 };
    struct disk_chain *chains = calloc(MANY, sizeof *chains);
    static char bytes[MANY * 3];
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < MANY; i++) {
        disk_chain_init(&chains[i], wide, on_done);
        for (unsigned n = 0; n < 3; n++) {
            struct disk_op *op = disk_chain_add(&chains[i], DISK_WRITE);
            op->fd = &fd;
            op->buf = &bytes[i * 3 + n];
            op->len = 1;
            op->off = (off_t)i * 3 + n;
            bytes[i * 3 + n] = (char)(i + n);
        }
        disk->submit(disk, &chains[i]);
    }
    assert_true(of(disk)->inflight <= *of(disk)->ring.cq.kring_entries);
    wait_done(disk, &done_calls, MANY);
    char back[sizeof bytes];
    assert_int_equal(pread(fd, back, sizeof back, 0), sizeof back);
    assert_memory_equal(back, bytes, sizeof back);
    close(fd);
    free(chains);
    disk_device_free(wide);
}

/* ---- kernels that have less ---- */

static void test_missing_opcode_goes_to_the_pool(void **state)
{
    struct disk_chain chain;
    int fd = -1;
    char reason[128], value[4] = "abc";
    assert_int_equal(disk_uring_missing_opcode(disk, reason), 0);
    of(disk)->in_ring[DISK_FSETXATTR] = false;
    assert_int_equal(disk_uring_missing_opcode(disk, reason), -EOPNOTSUPP);
    assert_non_null(strstr(reason, "fsetxattr"));
    disk_chain_init(&chain, device, on_done);
    struct disk_op *op = disk_chain_add(&chain, DISK_OPENAT);
    op->fd = &fd;
    op->name = ".";
    op->flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    op->mode = 0600;
    op = disk_chain_add(&chain, DISK_FSETXATTR);
    op->fd = &fd;
    op->name = "user.test";
    op->buf = value;
    op->len = 3;
    disk_chain_add(&chain, DISK_CLOSE)->fd = &fd;
    disk->submit(disk, &chain);
    assert_int_equal(of(disk)->inflight, 0);
    wait_done(disk, &done_calls, 1);
    assert_int_equal(disk_chain_result(&chain), 0);
}

static void test_selftest(void **state)
{
    char reason[128] = "";
    assert_int_equal(disk_uring_selftest(".", reason), 0);
    assert_int_equal(disk_uring_selftest("/nowhere/at/all", reason), -ENOENT);
    assert_non_null(strstr(reason, "openat"));
    assert_true(disk_uring_selftest("/proc/self", reason) < 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_behind_a_short_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_segments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cap_per_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_overtakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_old_results_do_not_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_of_two_rings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_submission_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_opcode_goes_to_the_pool, set_up, tear_down),
        cmocka_unit_test(test_selftest),
    };
    struct disk *probe;
    int r = disk_uring_new(8, 4, &probe);
    if (r < 0) {
        print_message("skipped: no io_uring here: %s\n", strerror(-r));
        return 77;
    }
    probe->free(probe);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
