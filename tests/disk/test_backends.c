/* SPDX-License-Identifier: Apache-2.0 */
/* test_backends.c -- what disk.h promises, of every back end: each test runs over both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diskfile/disk/pool.h"
#include "tests/disk/wait_done.h"
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    struct disk *disk;
    struct disk_device *device;
    char dir[64];
    unsigned done; /* calls of done() */
    bool in_submit;
} env;

static const struct disk_device_limits limits = {
    .threads_max = 4, .idle_s = 5, .ring_ops_max = 64, .requests_max = 10};

/* ---- chains ---- */

struct trial {
    struct disk_chain chain;
    int fd;
    char name[256], name2[256];
    char buf[256];
    unsigned done;
};

static void on_done(struct disk_chain *chain)
{
    assert_false(env.in_submit); /* C1 */
    struct trial *t = (struct trial *)(void *)chain;
    assert_int_equal(t->done, 0);
    t->done++;
    env.done++;
}

static void begin(struct trial *t)
{
    disk_chain_init(&t->chain, env.device, on_done);
    t->done = 0;
}

static struct disk_op *add(struct trial *t, enum disk_opcode code)
{
    struct disk_op *op = disk_chain_add(&t->chain, code);
    op->fd = &t->fd;
    op->name = t->name;
    op->name2 = t->name2;
    return op;
}

static struct disk_op *add_buf(struct trial *t, enum disk_opcode code, void *buf, size_t len)
{
    struct disk_op *op = add(t, code);
    op->buf = buf;
    op->len = len;
    return op;
}

static void submit(struct trial *t)
{
    env.in_submit = true;
    env.disk->submit(env.disk, &t->chain);
    env.in_submit = false;
}

static int run(struct trial *t)
{
    unsigned goal = env.done + 1;
    submit(t);
    wait_done(env.disk, &env.done, goal);
    return disk_chain_result(&t->chain);
}

static void path_in_dir(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", env.dir, name);
}

static int open_tmpfile(void)
{
    int fd = open(env.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static struct disk_op *add_open_tmpfile(struct trial *t)
{
    struct disk_op *op = add(t, DISK_OPENAT);
    op->name = env.dir;
    op->flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    op->mode = 0640;
    return op;
}

/* ---- each opcode ---- */

static void test_upload_of_every_op(void **state)
{
    struct trial t = {.fd = -1};
    char deep[256], moved[256], back[16], attr[16];
    path_in_dir(deep, "a");
    path_in_dir(t.name2, "a/linked");
    path_in_dir(moved, "a/moved");
    begin(&t);
    struct disk_op *op = add(&t, DISK_MKDIRAT);
    op->name = deep;
    op->mode = 0755;
    add(&t, DISK_MKDIRAT)->name = deep; /* is there: as good */
    add_open_tmpfile(&t);
    add(&t, DISK_FALLOCATE)->len = 4096;
    add_buf(&t, DISK_WRITE, (char[]){"0123456789"}, 10);
    add_buf(&t, DISK_WRITE, (char[]){"abc"}, 3)->off = 10;
    add_buf(&t, DISK_FSETXATTR, (char[]){"value"}, 5)->name = "user.test";
    op = add(&t, DISK_SYNC_RANGE);
    op->flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    add(&t, DISK_FDATASYNC);
    add(&t, DISK_LINKAT);
    add(&t, DISK_FSYNC);
    struct disk_op *get = add_buf(&t, DISK_FGETXATTR, attr, sizeof attr);
    get->name = "user.test";
    struct disk_op *read_op = add_buf(&t, DISK_READ, back, 8);
    read_op->off = 5;
    op = add(&t, DISK_RENAMEAT);
    op->name = t.name2;
    op->name2 = moved;
    op->flags = RENAME_NOREPLACE;
    add(&t, DISK_CLOSE);
    assert_int_equal(run(&t), 0);

    assert_int_equal(t.fd, -1);
    assert_int_equal(get->res, 5);
    assert_memory_equal(attr, "value", 5);
    assert_int_equal(read_op->res, 8);
    assert_memory_equal(back, "56789abc", 8);
    for (unsigned i = 0; i < t.chain.count; i++)
        if (t.chain.ops[i].took_ns == 0)
            fail_msg("%s took no time", disk_op_name(t.chain.ops[i].code));
    struct stat st;
    assert_int_equal(stat(moved, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_size, 4096); /* by fallocate */
    assert_int_equal(access(t.name2, F_OK), -1);

    begin(&t);
    add(&t, DISK_UNLINKAT)->name = moved;
    op = add(&t, DISK_UNLINKAT);
    op->name = deep;
    op->flags = AT_REMOVEDIR;
    assert_int_equal(run(&t), 0);
    assert_int_equal(access(deep, F_OK), -1);
}

/* ---- failures ---- */

static int not_a_number(void *arg)
{
    (void)arg;
    return -EDOM;
}

/* Each row: an op that fails, then LINKAT of a good file. The name must never appear. */
static const struct {
    const char *what;
    enum disk_opcode code;
    int bad_fd_kind; /* 0: -1; 1: an eventfd, on which syncs fail */
    int expect;
} failing[] = {
    {"write to a bad descriptor", DISK_WRITE, 0, -EBADF},
    {"fsync that fails", DISK_FSYNC, 1, -EINVAL},
    {"fdatasync that fails", DISK_FDATASYNC, 1, -EINVAL},
    {"sync_file_range that fails", DISK_SYNC_RANGE, 1, -ESPIPE},
    {"fsetxattr that fails", DISK_FSETXATTR, 0, -EBADF},
    {"fgetxattr that fails", DISK_FGETXATTR, 0, -EBADF},
    {"fallocate that fails", DISK_FALLOCATE, 0, -EBADF},
    {"mkdir that fails", DISK_MKDIRAT, 0, -ENOENT},
    {"unlink that fails", DISK_UNLINKAT, 0, -ENOENT},
    {"rename that fails", DISK_RENAMEAT, 0, -ENOENT},
    {"open that fails", DISK_OPENAT, 0, -ENOENT},
    {"close that fails", DISK_CLOSE, 0, -EBADF},
    {"call that fails", DISK_CALL, 0, -EDOM},
};

static void test_failure_publishes_nothing(void **state)
{
    for (size_t row = 0; row < sizeof failing / sizeof failing[0]; row++) {
        struct trial t;
        int none = -1, event = eventfd(0, EFD_CLOEXEC);
        path_in_dir(t.name, "missing/x");
        path_in_dir(t.name2, "published");
        t.fd = open_tmpfile();
        begin(&t);
        add_buf(&t, DISK_WRITE, (char[]){"good"}, 4);
        struct disk_op *bad = add_buf(&t, failing[row].code, t.buf, 8);
        bad->fd = failing[row].bad_fd_kind == 0 ? &none : &event;
        bad->call = not_a_number;
        add(&t, DISK_FSYNC); /* plain and good: a linked chain goes on after many errors */
        struct disk_op *link_op = add(&t, DISK_LINKAT);
        struct disk_op *close_op = add(&t, DISK_CLOSE);
        int res = run(&t);
        if (res != failing[row].expect || bad->res != res)
            fail_msg("%s: %s: %d, not %d", env.disk->name, failing[row].what, res,
                     failing[row].expect);
        assert_int_equal(link_op->res, -ECANCELED);
        assert_int_equal(close_op->res, -ECANCELED);
        assert_int_equal(access(t.name2, F_OK), -1);
        close(event);
        close(t.fd);
    }
}

/* The errors that do not break a link of SQEs, at each place in a run of plain ops. */
static void test_failure_at_each_place(void **state)
{
    for (unsigned place = 0; place < 6; place++) {
        struct trial t;
        int event = eventfd(0, EFD_CLOEXEC);
        path_in_dir(t.name2, "published");
        t.fd = open_tmpfile();
        begin(&t);
        for (unsigned i = 0; i < 6; i++)
            if (i == place)
                add(&t, DISK_FSYNC)->fd = &event;
            else
                add_buf(&t, DISK_FSETXATTR, (char[]){"v"}, 1)->name = "user.test";
        add(&t, DISK_LINKAT);
        assert_int_equal(run(&t), -EINVAL);
        assert_int_equal(t.chain.ops[6].res, -ECANCELED);
        assert_int_equal(access(t.name2, F_OK), -1);
        close(event);
        close(t.fd);
    }
}

static void test_may_fail_goes_on(void **state)
{
    static const enum disk_opcode codes[] = {DISK_WRITE,    DISK_READ,     DISK_FSETXATTR,
                                             DISK_UNLINKAT, DISK_RENAMEAT, DISK_CALL};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct trial t;
        int none = -1;
        char attr[4];
        path_in_dir(t.name, "missing/x");
        path_in_dir(t.name2, "published");
        t.fd = open_tmpfile();
        begin(&t);
        struct disk_op *bad = add_buf(&t, codes[i], t.buf, 8);
        bad->fd = &none;
        bad->call = not_a_number;
        bad->may_fail = true;
        add_buf(&t, DISK_FSETXATTR, (char[]){"v"}, 1)->name = "user.test";
        struct disk_op *get = add_buf(&t, DISK_FGETXATTR, attr, 4);
        get->name = "user.test";
        add(&t, DISK_LINKAT);
        add(&t, DISK_CLOSE);
        assert_int_equal(run(&t), 0);
        assert_true(bad->res < 0 && bad->res != -ECANCELED);
        assert_int_equal(get->res, 1);
        assert_int_equal(unlink(t.name2), 0);
    }
}

static void test_link_to_existing_name(void **state)
{
    struct trial t;
    path_in_dir(t.name2, "there");
    close(open(t.name2, O_CREAT | O_RDWR, 0600));
    t.fd = open_tmpfile();
    begin(&t);
    add(&t, DISK_LINKAT);
    add(&t, DISK_CLOSE);
    assert_int_equal(run(&t), -EEXIST);
    assert_int_equal(t.chain.ops[1].res, -ECANCELED);
    close(t.fd);
    unlink(t.name2);
}

/* ---- whole reads and writes (C4) ---- */

static void test_read_ends_at_end_of_file(void **state)
{
    struct trial t = {.fd = open_tmpfile()};
    char back[100], again[4];
    begin(&t);
    add_buf(&t, DISK_WRITE, (char[]){"0123456789"}, 10);
    struct disk_op *longer = add_buf(&t, DISK_READ, back, sizeof back);
    struct disk_op *after = add_buf(&t, DISK_READ, again, 4);
    after->off = 2;
    struct disk_op *beyond = add_buf(&t, DISK_READ, back + 50, 4);
    beyond->off = 1000;
    struct disk_op *nothing = add_buf(&t, DISK_READ, back, 0);
    struct disk_op *none_written = add_buf(&t, DISK_WRITE, back, 0);
    add(&t, DISK_CLOSE);
    assert_int_equal(run(&t), 0);
    assert_int_equal(longer->res, 10);
    assert_memory_equal(back, "0123456789", 10);
    assert_int_equal(after->res, 4);
    assert_memory_equal(again, "2345", 4);
    assert_int_equal(beyond->res, 0);
    assert_int_equal(nothing->res, 0);
    assert_int_equal(none_written->res, 0);
}

/* This file gives at most some pages per read(2), so each full read was resumed. */
static void test_short_reads_are_resumed(void **state)
{
    enum { WANTED = 200000 };
    static char expect[WANTED], got[WANTED];
    struct trial t = {.fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC)};
    if (t.fd < 0 || read(t.fd, expect, WANTED) == WANTED) {
        print_message("skipped: /proc/kallsyms is absent or read in one go\n");
        close(t.fd);
        skip();
    }
    size_t have = 0;
    for (ssize_t n; (n = pread(t.fd, expect + have, WANTED - have, (off_t)have)) > 0;)
        have += (size_t)n;
    assert_int_equal(have, WANTED);
    begin(&t);
    struct disk_op *op = add_buf(&t, DISK_READ, got, WANTED);
    struct disk_op *after = add_buf(&t, DISK_READ, t.buf, 16);
    assert_int_equal(run(&t), 0);
    assert_int_equal(op->res, WANTED);
    assert_memory_equal(got, expect, WANTED);
    assert_int_equal(after->res, 16);
    assert_memory_equal(t.buf, expect, 16);
    close(t.fd);
}

/* At the limit the kernel writes a part, then refuses: the whole write failed. */
static void test_short_write_is_no_success(void **state)
{
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){5000, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct trial t = {.fd = open_tmpfile()};
    static char data[8192];
    path_in_dir(t.name2, "published");
    begin(&t);
    struct disk_op *op = add_buf(&t, DISK_WRITE, data, sizeof data);
    add(&t, DISK_FSYNC);
    add(&t, DISK_LINKAT);
    setrlimit(RLIMIT_FSIZE, &small);
    int res = run(&t);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(res, -EFBIG);
    assert_int_equal(op->res, -EFBIG);
    assert_int_equal(lseek(t.fd, 0, SEEK_END), 5000);
    assert_int_equal(access(t.name2, F_OK), -1);
    close(t.fd);
}

/* ---- calls ---- */

struct call_note {
    pthread_t thread;
    const int *fd;
    off_t size;
};

static int note_call(void *arg)
{
    struct call_note *note = arg;
    note->thread = pthread_self();
    note->size = lseek(*note->fd, 0, SEEK_END);
    return 7;
}

static void test_call_runs_elsewhere_in_order(void **state)
{
    struct trial t = {.fd = -1};
    struct call_note first = {.fd = &t.fd}, second = {.fd = &t.fd};
    begin(&t);
    add_open_tmpfile(&t);
    add_buf(&t, DISK_WRITE, (char[]){"1234"}, 4);
    struct disk_op *op = add(&t, DISK_CALL);
    op->call = note_call;
    op->arg = &first;
    add_buf(&t, DISK_WRITE, (char[]){"5678"}, 4)->off = 4;
    struct disk_op *op2 = add(&t, DISK_CALL);
    op2->call = note_call;
    op2->arg = &second;
    add(&t, DISK_CLOSE);
    assert_int_equal(run(&t), 0);
    assert_int_equal(op->res, 7);
    assert_int_equal(first.size, 4);
    assert_int_equal(second.size, 8);
    assert_false(pthread_equal(first.thread, pthread_self()));
    assert_false(pthread_equal(second.thread, pthread_self()));
}

/* ---- many ---- */

static void test_empty_chain(void **state)
{
    struct trial t;
    begin(&t);
    assert_int_equal(run(&t), 0);
}

static void build_upload(struct trial *t, unsigned i)
{
    path_in_dir(t->name2, "many-");
    snprintf(t->name2 + strlen(t->name2), 16, "%u", i);
    t->fd = -1;
    memset(t->buf, 'a' + (int)(i % 26), sizeof t->buf);
    begin(t);
    add_open_tmpfile(t);
    add_buf(t, DISK_WRITE, t->buf, sizeof t->buf);
    add_buf(t, DISK_FSETXATTR, t->buf, 40)->name = "user.test";
    if (i % 3 == 0) {
        struct disk_op *op = add(t, DISK_CALL);
        op->call = note_call;
        op->arg = calloc(1, sizeof(struct call_note));
        ((struct call_note *)op->arg)->fd = &t->fd;
    }
    add(t, DISK_LINKAT);
    add(t, DISK_CLOSE);
}

static void check_upload(struct trial *t, unsigned i)
{
    char back[sizeof t->buf + 1];
    assert_int_equal(t->done, 1);
    assert_int_equal(disk_chain_result(&t->chain), 0);
    int fd = open(t->name2, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, back, sizeof back), sizeof t->buf);
    assert_memory_equal(back, t->buf, sizeof t->buf);
    close(fd);
    unlink(t->name2);
    if (i % 3 == 0)
        free(t->chain.ops[3].arg);
}

static void test_many_chains_in_flight(void **state)
{
    enum { MANY = 400 };
    struct trial *trials = calloc(MANY, sizeof *trials);
    unsigned goal = env.done + MANY;
    for (unsigned i = 0; i < MANY; i++) {
        build_upload(&trials[i], i);
        submit(&trials[i]);
    }
    wait_done(env.disk, &env.done, goal);
    for (unsigned i = 0; i < MANY; i++)
        check_upload(&trials[i], i);
    free(trials);
}

static unsigned rounds_left;

static void resubmit(struct disk_chain *chain)
{
    env.done++;
    if (rounds_left > 0) {
        rounds_left--;
        chain->disk->submit(chain->disk, chain);
    }
}

static void test_submit_from_done(void **state)
{
    struct trial t = {.fd = open_tmpfile()};
    begin(&t);
    t.chain.done = resubmit;
    add_buf(&t, DISK_WRITE, t.buf, 10);
    add_buf(&t, DISK_READ, t.buf, 10);
    rounds_left = 100;
    unsigned goal = env.done + 101;
    env.disk->submit(env.disk, &t.chain);
    wait_done(env.disk, &env.done, goal);
    close(t.fd);
}

/* ---- a slow device hurts only itself ---- */

static int wait_for_post(void *arg)
{
    while (sem_wait(arg) < 0)
        ;
    return 0;
}

static void test_blocked_device_blocks_no_other(void **state)
{
    enum { BLOCKED = 12 };
    struct disk_device *slow, *good = env.device;
    assert_int_equal(disk_device_new("slow", &limits, &slow), 0);
    struct trial *blocked = calloc(BLOCKED, sizeof *blocked), t;
    sem_t gate;
    sem_init(&gate, 0, 0);
    unsigned goal = env.done;
    env.device = slow;
    for (unsigned i = 0; i < BLOCKED; i++) {
        begin(&blocked[i]);
        struct disk_op *op = add(&blocked[i], DISK_CALL);
        op->call = wait_for_post;
        op->arg = &gate;
        submit(&blocked[i]);
    }
    env.device = good;
    build_upload(&t, 0);
    assert_int_equal(run(&t), 0);
    check_upload(&t, 0);
    assert_int_equal(env.done, goal + 1);
    for (unsigned i = 0; i < BLOCKED; i++)
        sem_post(&gate);
    wait_done(env.disk, &env.done, goal + 1 + BLOCKED);
    sem_destroy(&gate);
    free(blocked);
    disk_device_free(slow);
}

/* ---- both back ends ---- */

static int set_up(void)
{
    strcpy(env.dir, "disk-backends-XXXXXX");
    char *made = mkdtemp(env.dir);
    char *full = realpath(env.dir, NULL);
    if (!made || !full || strlen(full) >= 128)
        return -1;
    free(full);
    return disk_device_new("test", &limits, &env.device);
}

static int set_up_threads(void **state)
{
    return set_up() == 0 ? disk_threads_new(&env.disk) : -1;
}

static int set_up_uring(void **state)
{
    return set_up() == 0 ? disk_uring_new(16, 8, &env.disk) : -1;
}

static int tear_down(void **state)
{
    env.disk->free(env.disk);
    disk_device_free(env.device);
    return rmdir(env.dir); /* fails if a test left something */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upload_of_every_op),
        cmocka_unit_test(test_failure_publishes_nothing),
        cmocka_unit_test(test_failure_at_each_place),
        cmocka_unit_test(test_may_fail_goes_on),
        cmocka_unit_test(test_link_to_existing_name),
        cmocka_unit_test(test_read_ends_at_end_of_file),
        cmocka_unit_test(test_short_reads_are_resumed),
        cmocka_unit_test(test_short_write_is_no_success),
        cmocka_unit_test(test_call_runs_elsewhere_in_order),
        cmocka_unit_test(test_empty_chain),
        cmocka_unit_test(test_many_chains_in_flight),
        cmocka_unit_test(test_submit_from_done),
        cmocka_unit_test(test_blocked_device_blocks_no_other),
    };
    int failed = cmocka_run_group_tests_name("threads", tests, set_up_threads, tear_down);
    struct disk *uring;
    int r = disk_uring_new(8, 4, &uring);
    if (r < 0) {
        print_message("skipped: uring: %s\n", strerror(-r));
        return failed;
    }
    uring->free(uring);
    return failed + cmocka_run_group_tests_name("uring", tests, set_up_uring, tear_down);
}
