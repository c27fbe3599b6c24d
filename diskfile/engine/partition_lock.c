/* SPDX-License-Identifier: Apache-2.0 */
/* partition_lock.c -- a partition's .lock and what is done under it: hashes.invalid.
 *
 * flock(2), polled, as Swift's daemons do (on-disk-format 11): all of them and we exclude each
 * other by it. We start with much shorter steps, because most waits are for another upload of
 * our own that holds the lock for microseconds. */
#include "diskfile/engine/hashdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIRST_STEP_US    50
#define STEP_US_MAX      10000
#define NAME_BYTES       32 /* of the files here, with the '/' before them */
#define PARTITION_AGAINS 16

static int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int make_partition(const struct object_place *p)
{
    char path[PATH_MAX];
    memcpy(path, p->dir, p->partition_len);
    path[p->objects_len] = path[p->partition_len] = '\0';
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return errno == ENOENT ? -ENODEV : -errno;
    path[p->objects_len] = '/';
    if (mkdir(path, 0755) < 0 && errno != EEXIST && errno != ENOENT)
        return -errno;
    return 0;
}

enum missing { MISSING_MAKE, MISSING_FAIL };

/* Opens a file of the partition, which may have to be made. Returns the descriptor. */
static int open_in_partition(const struct object_place *p, const char *name, int flags, mode_t mode,
                             enum missing partition)
{
    char path[PATH_MAX + NAME_BYTES];
    snprintf(path, sizeof(path), "%.*s/%s", (int)p->partition_len, p->dir, name);
    for (int again = 0;; again++) {
        int fd = open(path, flags | O_CREAT | O_CLOEXEC, mode);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT || partition == MISSING_FAIL || again == PARTITION_AGAINS)
            return -errno;
        int r = make_partition(p);
        if (r < 0)
            return r;
    }
}

static int flock_until(int fd, int64_t deadline_us)
{
    int64_t step_us = FIRST_STEP_US;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (monotonic_us() >= deadline_us)
            return -ETIMEDOUT;
        struct timespec step = {.tv_nsec = (long)step_us * 1000};
        nanosleep(&step, NULL);
        step_us = step_us * 2 < STEP_US_MAX ? step_us * 2 : STEP_US_MAX;
    }
    return 0;
}

int hashdir_try_lock(const struct object_place *p, const char *name)
{
    struct stat st = {0};
    int fd = open_in_partition(p, name, O_WRONLY, 0755, MISSING_MAKE);
    if (fd < 0)
        return fd;
    int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0 && st.st_nlink > 0)
        return fd;
    close(fd);
    return r < 0 && r != -EWOULDBLOCK ? r : -EAGAIN; /* removed meanwhile: it excludes nobody */
}

static int lock(const struct object_place *p, enum missing partition, int *ret_fd)
{
    int64_t deadline_us = monotonic_us() + (int64_t)p->store->options.lock_timeout_ms * 1000;
    for (;;) {
        int fd = open_in_partition(p, ".lock", O_WRONLY, 0755, partition);
        if (fd < 0)
            return fd;
        struct stat st;
        int r = flock_until(fd, deadline_us);
        if (r == 0 && fstat(fd, &st) < 0)
            r = -errno;
        if (r == 0 && st.st_nlink > 0) {
            *ret_fd = fd;
            return 0;
        }
        close(fd);
        if (r < 0)
            return r;
        /* The partition was removed while we waited: that lock excludes nobody any more. */
    }
}

int hashdir_lock(const struct object_place *p, int *ret_fd)
{
    return lock(p, MISSING_MAKE, ret_fd);
}

int hashdir_lock_existing(const struct object_place *p, int *ret_fd)
{
    return lock(p, MISSING_FAIL, ret_fd);
}

static int append_suffix(const struct object_place *p)
{
    int fd = open_in_partition(p, "hashes.invalid", O_WRONLY | O_APPEND, 0644, MISSING_MAKE);
    if (fd < 0)
        return fd;
    char line[4];
    memcpy(line, p->dir + p->suffix_len - 3, 3);
    line[3] = '\n';
    ssize_t n = write(fd, line, sizeof(line));
    int r = n == (ssize_t)sizeof(line) ? 0 : n < 0 ? -errno : -EIO;
    close(fd);
    return r;
}

int hashdir_invalidate(const struct object_place *p)
{
    if (p->locked)
        return append_suffix(p);
    int lock_fd;
    int r = hashdir_lock(p, &lock_fd);
    if (r < 0)
        return r;
    r = append_suffix(p);
    close(lock_fd);
    return r;
}

void hashdir_hashes_identity(const struct object_place *p, struct file_identity *ret)
{
    static const char name[] = "/hashes.pkl";
    char path[PATH_MAX + NAME_BYTES];
    struct stat st;
    memcpy(path, p->dir, p->partition_len);
    memcpy(path + p->partition_len, name, sizeof(name));
    if (stat(path, &st) < 0) /* whatever the reason: compared with another answer */
        memset(&st, 0, sizeof(st));
    file_identity_of(&st, ret);
}
