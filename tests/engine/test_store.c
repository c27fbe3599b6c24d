/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c -- devices: which names are some, which are usable, what a start does to them. */
#include "diskfile/engine/probe.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void reopen(struct scratch *s, bool mount_check)
{
    place_release(&s->place);
    df_store_close(s->store);
    s->options.mount_check = mount_check;
    s->store = NULL;
    assert_int_equal(df_store_open(&s->options, &s->store, s->problem, sizeof(s->problem)), 0);
}

static int check(struct scratch *s, const char *name)
{
    struct store_device *d;
    int r = store_device(s->store, slice_of(name), &d);
    return r < 0 ? r : store_device_check(s->store, d);
}

static void test_names(void **state)
{
    struct scratch *s = *state;
    char path[PATH_MAX];
    static const char *const good[] = {"sda1", "a.b", "_x-~", "late"};
    static const char *const bad[] = {"",    ".",        "..",   "a b",    "a%20b",
                                      "a+b", "\303\251", "file", "nothere"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%.1000s/%s", s->devices, good[i]);
        scratch_mkdir(path);
        assert_int_equal(check(s, good[i]), 0);
    }
    for (size_t i = 3; i < 7; i++) {
        snprintf(path, sizeof(path), "%.1000s/%s", s->devices, bad[i]);
        scratch_mkdir(path);
    }
    scratch_write(scratch_path(s, "node/file", path), "", 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(check(s, bad[i]), -ENODEV);
    scratch_remove(scratch_path(s, "node/late", path));
    assert_int_equal(check(s, "late"), -ENODEV);
    scratch_mkdir(path);
    assert_int_equal(check(s, "late"), 0);
}

static void test_mount_check(void **state)
{
    struct scratch *s = *state;
    char path[PATH_MAX];
    scratch_mkdir(scratch_path(s, "elsewhere", path));
    assert_int_equal(symlink("../elsewhere", scratch_path(s, "node/link", path)), 0);
    assert_int_equal(check(s, "sda1"), 0);
    assert_int_equal(check(s, "link"), 0);
    reopen(s, true);
    assert_int_equal(check(s, "sda1"), -ENODEV);
    assert_int_equal(check(s, "link"), -ENODEV);
    scratch_mkdir(scratch_path(s, "node/sda1/.ismount", path));
    assert_int_equal(check(s, "sda1"), -ENODEV); /* a stub is a file */
    rmdir(path);
    scratch_write(path, "", 0);
    assert_int_equal(check(s, "sda1"), 0);
    scratch_write(scratch_path(s, "elsewhere/.ismount", path), "", 0);
    assert_int_equal(check(s, "link"), 0);
    unlink(scratch_path(s, "node/sda1/.ismount", path));
    assert_int_equal(check(s, "sda1"), -ENODEV);
}

static void test_real_mount(void **state)
{
    struct scratch *s = *state;
    char path[PATH_MAX];
    struct store_device *d;
    reopen(s, true);
    scratch_path(s, "node/sda1", path);
    if (mount("objsrv-test", path, "tmpfs", 0, "size=1m") < 0) {
        print_message("skipped: may not mount here: %s\n", strerror(errno));
        skip();
    }
    int mounted = check(s, "sda1");
    int found = store_device(s->store, SLICE("sda1"), &d);
    enum commit_form form = found == 0 ? atomic_load(&d->form) : COMMIT_SHORT;
    umount(path);
    int mounted_ro = mount("objsrv-test", path, "tmpfs", MS_RDONLY, "size=1m");
    reopen(s, true);
    int read_only = check(s, "sda1");
    umount(path);
    int gone = check(s, "sda1");
    print_message("  tmpfs: %d\n", mounted);
    assert_true(mounted == 0 || mounted == -ENOTSUP); /* user xattrs since Linux 6.6 */
    assert_int_equal(form, COMMIT_FULL);
    assert_int_equal(mounted_ro, 0);
    assert_int_equal(s->warnings, 1);
    assert_true(read_only == 0); /* a write will find out */
    assert_int_equal(gone, -ENODEV);
}

/* The refusal that names the device and the remedy. */
static void test_no_xattrs(void **state)
{
    struct scratch *s = *state;
    char path[PATH_MAX];
    struct df_store *store = NULL;
    scratch_mkdir(scratch_path(s, "node/ram", path));
    if (mount("objsrv-test", path, "ramfs", 0, "") < 0) {
        print_message("skipped: may not mount a ramfs here: %s\n", strerror(errno));
        skip();
    }
    int r = df_store_open(&s->options, &store, s->problem, sizeof(s->problem));
    umount(path);
    if (r == 0)
        df_store_close(store);
    print_message("  %s\n", s->problem);
    assert_int_equal(r, -ENOTSUP);
    assert_non_null(strstr(s->problem, "device ram ("));
    assert_non_null(strstr(s->problem, "user_xattr"));
}

static void test_probe(void **state)
{
    struct scratch *s = *state;
    struct probe found;
    char path[PATH_MAX], text[1024];
    scratch_path(s, "node/sda1", path);
    assert_int_equal(probe_directory(path, &found), 0);
    assert_string_equal(scratch_list(path, text), ""); /* nothing left behind */
    print_message("  %s, no_tmpfile %d, form %d\n", found.fs_type, found.no_tmpfile, found.form);
    assert_string_not_equal(found.fs_type, "unknown");
    assert_int_equal(probe_directory("/nonexistent", &found), -ENOENT);
    assert_int_equal(probe_directory("/proc", &found) < 0, true);
}

static void test_sweep(void **state)
{
    struct scratch *s = *state;
    char path[PATH_MAX], text[1024];
    static const char *const dirs[] = {"node/sda1/tmp", "node/sda1/tmp-1", "node/sda1/tmpx"};
    static const char *const files[] = {"objsrv-1-2", "objsrv-held", "tmpAbCd12"};
    for (size_t i = 0; i < 3; i++) {
        scratch_mkdir(scratch_path(s, dirs[i], path));
        for (size_t j = 0; j < 3; j++) {
            snprintf(text, sizeof(text), "%s/%s", dirs[i], files[j]);
            scratch_write(scratch_path(s, text, path), "", 0);
        }
    }
    int held = open(scratch_path(s, "node/sda1/tmp/objsrv-held", path), O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX), 0);
    reopen(s, false);
    close(held);
    assert_string_equal(scratch_list(scratch_path(s, dirs[0], path), text),
                        "objsrv-held tmpAbCd12");
    assert_string_equal(scratch_list(scratch_path(s, dirs[1], path), text), "tmpAbCd12");
    assert_string_equal(scratch_list(scratch_path(s, dirs[2], path), text),
                        "objsrv-1-2 objsrv-held tmpAbCd12");
}

static void test_places(void **state)
{
    static const struct {
        unsigned policy;
        const char *device, *below;
        int r;
    } rows[] = {
        {0, "sda1", "objects/7/", 0},   {1, "sda1", "objects-1/7/", 0},
        {2, "sda1", "objects-2/7/", 0}, {9, "sda1", "", -EINVAL},
        {0, "sdb1", "", -ENODEV},
    };
    struct scratch *s = *state;
    static struct object_place p;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct df_name name = {rows[i].policy, slice_of(rows[i].device),
                               SLICE("7"),     SLICE("AUTH_test"),
                               SLICE("c"),     SLICE("o\0x")};
        int r = place_init(s->store, &name, &p);
        assert_int_equal(r, rows[i].r);
        if (r == 0) {
            assert_memory_equal(p.dir + p.device_len + 1, rows[i].below, strlen(rows[i].below));
            assert_string_equal(p.dir + p.suffix_len + 1, p.hash.hex);
            assert_memory_equal(p.object_name, "/AUTH_test/c/o\0x", 16);
            assert_int_equal(p.object_name_len, 16);
        }
        place_release(&p);
    }
    static char long_partition[PATH_MAX];
    memset(long_partition, '1', sizeof(long_partition));
    struct df_name name = {0,          SLICE("sda1"), {long_partition, sizeof(long_partition)},
                           SLICE("a"), SLICE("c"),    SLICE("o")};
    assert_int_equal(place_init(s->store, &name, &p), -ENAMETOOLONG);
    place_release(&p);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names), TEST(test_mount_check), TEST(test_real_mount), TEST(test_no_xattrs),
        TEST(test_probe), TEST(test_sweep),       TEST(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
