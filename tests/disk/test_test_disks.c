/* SPDX-License-Identifier: Apache-2.0 */
/* test_test_disks.c -- the disks that test others find what they are there to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/disk/disk_order.h"
#include "tests/disk/wait_done.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[PATH_MAX];
static unsigned done_calls;

/* An upload in letters, so that rows of a table can be wrong ones:
 * o open  w write  x xattr  s sync_file_range  S fsync  l link  D fsync of the directory
 * m mkdir  c close  r rename */
struct upload {
    struct disk_chain chain;
    int fd, dir_fd;
    char sub[PATH_MAX + 8], name[PATH_MAX + 16], name2[PATH_MAX + 16];
};

static void on_done(struct disk_chain *chain)
{
    (void)chain;
    done_calls++;
}

static void add_letter(struct upload *u, char letter)
{
    static const char letters[] = "owxsSlDmcr";
    static const enum disk_opcode codes[] = {
        DISK_OPENAT, DISK_WRITE, DISK_FSETXATTR, DISK_SYNC_RANGE, DISK_FSYNC,
        DISK_LINKAT, DISK_FSYNC, DISK_MKDIRAT,   DISK_CLOSE,      DISK_RENAMEAT};
    struct disk_op *op = disk_chain_add(&u->chain, codes[strchr(letters, letter) - letters]);
    op->fd = letter == 'D' ? &u->dir_fd : &u->fd;
    op->buf = u->sub;
    op->len = letter == 'w' || letter == 'x' ? 4 : 0;
    op->name = letter == 'x' ? "user.test" : letter == 'm' ? u->sub : dir;
    op->name2 = u->name;
    op->mode = 0700;
    op->flags = letter == 'o' ? O_TMPFILE | O_RDWR | O_CLOEXEC : 0;
    if (letter == 's')
        op->flags = SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (letter == 'r') {
        op->name = u->name;
        op->name2 = u->name2;
    }
}

static struct upload *build(const char *letters)
{
    struct upload *u = calloc(1, sizeof *u);
    u->fd = -1;
    u->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(u->sub, sizeof u->sub, "%s/sub", dir);
    snprintf(u->name, sizeof u->name, "%s/%s", strchr(letters, 'm') ? u->sub : dir, "name");
    snprintf(u->name2, sizeof u->name2, "%s/%s", dir, "name2");
    disk_chain_init(&u->chain, NULL, on_done);
    for (const char *at = letters; *at; at++)
        add_letter(u, *at);
    return u;
}

static int run(struct disk *d, struct upload *u)
{
    unsigned before = done_calls;
    d->submit(d, &u->chain);
    assert_int_equal(done_calls, before); /* never from submit() */
    wait_done(d, &done_calls, before + 1);
    return disk_chain_result(&u->chain);
}

static void clean_up(struct upload *u)
{
    (void)unlink(u->name);
    (void)unlink(u->name2);
    (void)rmdir(u->sub);
    if (u->fd >= 0)
        close(u->fd);
    close(u->dir_fd);
    free(u);
}

/* ---- order ---- */

static const struct {
    const char *letters;
    bool full_form, breach, lost;
} rows[] = {
    {"owxSlDc", true, false, false},  /* the full form */
    {"owxslSc", false, false, false}, /* the short form */
    {"owxSlDc", false, false, false}, /* the full form does for the short */
    {"owslxSc", false, false, false}, /* xattr after the link, but before the last sync */
    {"owxlSc", false, true, false},   /* linked with dirty data */
    {"owslxSc", true, false, true},   /* the xattr is, the name is not */
    {"owsxlDc", true, true, true},    /* xattr not synced at all */
    {"oSwlSc", false, true, false},   /* written after the sync */
    {"owxSlc", false, false, true},   /* name never synced */
    {"owxSlSc", true, false, true},   /* full form: the file's fsync does not keep the name */
    {"owxslSxc", false, false, true}, /* changed after the last sync */
    {"mowxslSc", false, false, false},
    {"mowxSlSc", true, false, true}, /* new directory: neither name nor directory synced */
    {"mowxSlDc", true, false, true}, /* the directory's own name, but not the name in it */
    {"owxslrSc", false, false, false},
    {"owxslSrc", false, false, true}, /* renamed after the last sync */
    {"ow", false, false, true},       /* nothing acknowledged can be there */
};

static void test_order_sees(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct disk_order *o;
        assert_int_equal(disk_order_new(rows[i].full_form, &o), 0);
        struct upload *u = build(rows[i].letters);
        if (run(&o->fault.sync.base, u) != 0)
            fail_msg("%s: did not run", rows[i].letters);
        const char *name = strchr(rows[i].letters, 'r') ? u->name2 : u->name;
        const char *breach_text = disk_order_violation(o);
        const char *lost = disk_order_check_acknowledged(o, name);
        if (!breach_text == rows[i].breach || !lost == rows[i].lost)
            fail_msg("%s: %s; %s", rows[i].letters, breach_text ? breach_text : "no breach",
                     lost ? lost : "not lost");
        clean_up(u);
        disk_order_free(o);
    }
}

static void test_order_counts_lost_names(void **state)
{
    struct disk_order *o;
    assert_int_equal(disk_order_new(false, &o), 0);
    struct upload *u = build("mowxslc");
    assert_int_equal(run(&o->fault.sync.base, u), 0);
    assert_int_equal(disk_order_each_lost(o, NULL, NULL), 2);
    clean_up(u);
    disk_order_free(o);
}

/* ---- faults ---- */

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *fds = opendir("/proc/self/fd");
    while (readdir(fds))
        n++;
    closedir(fds);
    return n;
}

static void test_every_op_fails_once(void **state)
{
    int n = 1;
    for (;; n++) {
        struct disk_fault f;
        unsigned fds = open_fds();
        assert_int_equal(disk_fault_init(&f), 0);
        f.fail_nth = n;
        f.err = -EDQUOT;
        struct upload *u = build("owxSlc");
        int res = run(&f.sync.base, u);
        assert_int_equal(res, f.fired ? -EDQUOT : 0);
        assert_int_equal(f.fired, n <= 6);
        if (f.fired) {
            assert_int_equal(f.hit, u->chain.ops[n - 1].code);
            assert_int_equal(f.calls, n);
            assert_int_equal(access(u->name, F_OK), n <= 5 ? -1 : 0);
        }
        bool over = !f.fired;
        if (f.hit == DISK_CLOSE && f.fired)
            assert_int_equal(u->fd, -1);
        clean_up(u);
        f.sync.base.free(&f.sync.base);
        assert_int_equal(open_fds(), fds);
        if (over)
            break;
    }
    assert_int_equal(n, 7);
}

static void test_fault_for_ever_and_applied(void **state)
{
    struct disk_fault f;
    assert_int_equal(disk_fault_init(&f), 0);
    f.fail_nth = 5;
    f.applied = true;
    struct upload *u = build("owxSl");
    assert_int_equal(run(&f.sync.base, u), -EIO);
    assert_int_equal(access(u->name, F_OK), 0); /* it said EIO, and did it */
    clean_up(u);
    f.fail_nth = 1;
    f.calls = 0;
    f.for_ever = true;
    f.applied = false;
    for (unsigned i = 0; i < 3; i++) {
        u = build("m");
        assert_int_equal(run(&f.sync.base, u), -EIO);
        clean_up(u);
    }
    f.sync.base.free(&f.sync.base);
}

static void test_stopped_as_if_killed(void **state)
{
    struct disk_fault f;
    assert_int_equal(disk_fault_init(&f), 0);
    f.stop_after = 4;
    struct upload *u = build("owxSlc"), *later = build("m");
    unsigned before = done_calls;
    f.sync.base.submit(&f.sync.base, &u->chain);
    f.sync.base.submit(&f.sync.base, &later->chain);
    f.sync.base.reap(&f.sync.base);
    assert_true(f.sync.stopped);
    assert_int_equal(f.calls, 4);
    assert_int_equal(done_calls, before);
    assert_int_equal(access(u->name, F_OK), -1);
    assert_int_equal(access(later->sub, F_OK), -1);
    clean_up(u);
    clean_up(later);
    f.sync.base.free(&f.sync.base);
}

static int set_up(void **state)
{
    char made[] = "test-disks-XXXXXX";
    return mkdtemp(made) && realpath(made, dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    return rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_sees),
        cmocka_unit_test(test_order_counts_lost_names),
        cmocka_unit_test(test_every_op_fails_once),
        cmocka_unit_test(test_fault_for_ever_and_applied),
        cmocka_unit_test(test_stopped_as_if_killed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
