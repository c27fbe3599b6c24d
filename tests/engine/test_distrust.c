/* SPDX-License-Identifier: Apache-2.0 */
/* test_distrust.c -- a device whose writes failed takes no more before a probe has succeeded,
 * and then takes them without a restart: on a real ext4 that shuts down and is mounted again. */
#include "diskfile/engine/probe.h"
#include "diskfile/engine/thread.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define FS_IOC_SHUTDOWN_     _IOR('X', 125, uint32_t)
#define SHUTDOWN_NO_LOGFLUSH 2u

static void finished(void *arg, int res)
{
    *(int *)arg = res;
}

/* A PUT of "hello" in one go; what the upload ended with. */
static int put(struct scratch *s, struct df_thread *t)
{
    static uint64_t ticks = 170000000000000u;
    int res = 1;
    struct metadata m = {0};
    const struct df_name name = {.device = SLICE("sda1"),
                                 .partition = SLICE("7"),
                                 .account = SLICE("a"),
                                 .container = SLICE("c"),
                                 .object = SLICE("o")};
    const struct df_upload_spec spec = {
        .kind = DF_UPLOAD_DATA, .timestamp = {.ticks = ticks}, .size = 5};
    ticks++;
    static const struct df_upload_calls calls = {.finished = finished};
    struct df_upload *u = df_upload_begin(t, &name, &spec, &calls, &res);
    df_upload_append(u, "hello", 5);
    assert_int_equal(metadata_set_text(&m, "name", "/a/c/o"), 0);
    df_upload_commit(u, &m);
    while (res == 1) {
        df_thread_flush(t);
        struct pollfd p = {.fd = df_thread_fd(t), .events = POLLIN};
        assert_true(poll(&p, 1, 30000) > 0);
        df_thread_reap(t);
    }
    return res;
}

static int mount_image(const char *image, const char *where)
{
    char command[3 * PATH_MAX];
    snprintf(command, sizeof(command), "mount -o loop %s %s", image, where);
    return system(command); /* NOLINT(cert-env33-c): the test's own words */
}

/* false: no root, no loop device or no mkfs.ext4 here. */
static bool make_disk(struct scratch *s, char image[PATH_MAX], char where[PATH_MAX])
{
    char command[3 * PATH_MAX];
    scratch_path(s, "image", image);
    scratch_path(s, "node/sda1", where);
    snprintf(command, sizeof(command),
             "PATH=$PATH:/usr/sbin:/sbin; truncate -s 32M %s && mkfs.ext4 -F -q %s", image, image);
    return system(command) == 0 && /* NOLINT(cert-env33-c): the test's own words */
           mount_image(image, where) == 0;
}

static void shut_down(const char *where)
{
    uint32_t how = SHUTDOWN_NO_LOGFLUSH;
    int fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, FS_IOC_SHUTDOWN_, &how), 0);
    close(fd);
}

static void run_on_disk(struct scratch *s, const char *image, const char *where)
{
    struct df_thread *t;
    struct store_device *d;
    assert_int_equal(df_thread_open(s->store, &t), 0);
    assert_int_equal(store_device(s->store, SLICE("sda1"), &d), 0);
    int before = put(s, t);
    bool trusted = !atomic_load(&d->distrusted);
    shut_down(where);
    int first = put(s, t), second = put(s, t);
    bool told = strstr(s->last_event, "a write failed") != NULL;
    bool distrusted = atomic_load(&d->distrusted);
    int unmounted = umount(where), mounted = mount_image(image, where);
    int after = put(s, t);
    bool trusted_again = !atomic_load(&d->distrusted);
    df_thread_close(t);
    umount(where);
    assert_int_equal(before, 0);
    assert_true(trusted);
    assert_true(first < 0);
    assert_int_equal(second, -ENODEV);
    assert_true(distrusted && told);
    assert_int_equal(unmounted, 0);
    assert_int_equal(mounted, 0);
    assert_int_equal(after, 0);
    assert_true(trusted_again);
}

static void test_shutdown_and_remount(void **state)
{
    struct scratch *s = *state;
    char image[PATH_MAX], where[PATH_MAX];
    if (!make_disk(s, image, where)) {
        print_message("skipped: cannot make and mount an ext4 image here\n");
        skip();
    }
    run_on_disk(s, image, where);
}

/* One failure that was no more than that: the next upload is not refused. */
static void test_single_failure(void **state)
{
    struct scratch *s = *state;
    struct df_thread *t;
    struct store_device *d;
    assert_int_equal(df_thread_open(s->store, &t), 0);
    assert_int_equal(store_device(s->store, SLICE("sda1"), &d), 0);
    store_write_failed(s->store, d, -ENOSPC); /* not the disk's fault */
    assert_false(atomic_load(&d->distrusted));
    store_write_failed(s->store, d, -EIO);
    assert_true(atomic_load(&d->distrusted));
    assert_int_equal(put(s, t), 0);
    assert_false(atomic_load(&d->distrusted));
    df_thread_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shutdown_and_remount, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_single_failure, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
