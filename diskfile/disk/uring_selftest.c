/* SPDX-License-Identifier: Apache-2.0 */
/* uring_selftest.c -- is io_uring of use here? Asked by doing what an upload does.
 *
 * A kernel may have io_uring and a container's rules forbid it, or allow the ring and lack
 * an opcode; and a file system may refuse what it does for plain calls. So: try. */
#include "diskfile/disk/chain.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 10000

struct trial {
    struct disk_chain chain;
    int fd;
    bool over;
    char name[PATH_MAX];
    char text[16];
};

static void trial_done(struct disk_chain *chain)
{
    CONTAINER_OF(chain, struct trial, chain)->over = true;
}

static struct disk_op *add(struct trial *t, enum disk_opcode code)
{
    struct disk_op *op = disk_chain_add(&t->chain, code);
    op->fd = &t->fd;
    op->buf = t->text;
    op->len = sizeof t->text;
    return op;
}

static void build_trial(struct trial *t, const char *directory, struct disk_device *device)
{
    disk_chain_init(&t->chain, device, trial_done);
    struct disk_op *op = add(t, DISK_OPENAT);
    op->name = directory;
    op->flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    op->mode = 0600;
    add(t, DISK_WRITE);
    add(t, DISK_FSETXATTR)->name = "user.objsrv.selftest";
    add(t, DISK_FSYNC);
    add(t, DISK_LINKAT)->name2 = t->name;
    add(t, DISK_FGETXATTR)->name = "user.objsrv.selftest";
    add(t, DISK_READ);
    op = add(t, DISK_UNLINKAT);
    op->name = t->name;
    op->flags = 0;
    add(t, DISK_CLOSE);
}

/* The result of the trial, or -ETIMEDOUT: then the ring still owns it. */
static int run_trial(struct disk *d, struct trial *t)
{
    struct pollfd pollfd = {.fd = d->fd(d), .events = POLLIN};
    d->submit(d, &t->chain);
    while (!t->over) {
        d->flush(d);
        int r = poll(&pollfd, 1, TIMEOUT_MS);
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r == 0)
            return -ETIMEDOUT;
        d->reap(d);
    }
    return disk_chain_result(&t->chain);
}

static const char *failed_op(const struct trial *t)
{
    for (unsigned i = 0; i < t->chain.count; i++)
        if (disk_op_failed(&t->chain.ops[i]))
            return disk_op_name(t->chain.ops[i].code);
    return "?";
}

static int say(char reason[128], const char *what, int error)
{
    (void)snprintf(reason, 128, "%s: %s", what, strerror(-error));
    return error;
}

static int try_upload(struct disk *d, struct disk_device *device, const char *directory,
                      char reason[128])
{
    struct trial *t = calloc(1, sizeof *t);
    if (!t)
        return say(reason, "out of memory", -ENOMEM);
    t->fd = -1;
    (void)snprintf(t->name, sizeof t->name, "%s/.objsrv-selftest.%d", directory, (int)getpid());
    build_trial(t, directory, device);
    int r = run_trial(d, t);
    if (!t->over) /* in flight: neither freed nor reused, as the kernel may still write there */
        return say(reason, "no completion of a trial upload by io_uring", r);
    if (r < 0) {
        say(reason, failed_op(t), r);
        if (t->fd >= 0)
            close(t->fd);
        (void)unlink(t->name); /* most trials that fail do so before there is a name */
    }
    free(t);
    return r;
}

int disk_uring_selftest(const char *directory, char reason[128])
{
    struct disk_device_limits limits = {
        .threads_max = 1, .idle_s = 1, .ring_ops_max = 16, .requests_max = 1};
    struct disk_device *device;
    struct disk *d;
    int r = disk_device_new("selftest", &limits, &device);
    if (r < 0)
        return say(reason, "out of memory", r);
    r = disk_uring_new(16, 4, &d);
    if (r < 0) {
        disk_device_free(device);
        return say(reason, "the kernel gives no io_uring", r);
    }
    r = disk_uring_missing_opcode(d, reason);
    if (r == 0 && directory)
        r = try_upload(d, device, directory, reason);
    if (r == -ETIMEDOUT)
        return r; /* the ring is left as it is */
    d->free(d);
    disk_device_free(device);
    return r;
}
