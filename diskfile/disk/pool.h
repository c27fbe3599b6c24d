/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h -- the threads and the limits of one device.
 *
 * A slow disk may tie up its own threads and its own queue and nothing else (design
 * decision 7). Threads are started when work waits and none is idle, up to threads_max,
 * and end after idle_s without work, so an idle server has none.
 *
 * Threads: everything here may be called from any thread. A job runs on a pool thread and
 * reports to the disk that submitted it. */
#ifndef OBJSRV_POOL_H
#define OBJSRV_POOL_H

#include "diskfile/disk/disk.h"

struct disk_device_limits {
    unsigned threads_max;  /* threads of this device */
    unsigned idle_s;       /* a thread without work ends after this */
    unsigned ring_ops_max; /* ops in flight in all rings for this device */
    unsigned requests_max; /* admitted requests; more are answered -EBUSY at once */
};

/* `name` is for messages and thread names; copied. */
int disk_device_new(const char *name, const struct disk_device_limits *limits,
                    struct disk_device **ret_device);
/* Waits for its threads; nothing may be queued. */
void disk_device_free(struct disk_device *device);
const char *disk_device_name(const struct disk_device *device);

/* A request takes a place before its first chain and gives it back after its last.
 * false: the device has requests_max already (answer 503). */
bool disk_device_admit(struct disk_device *device);
void disk_device_leave(struct disk_device *device);
unsigned disk_device_admitted(const struct disk_device *device);

/* FIFO. Where the system gives no thread at all, the caller runs the job itself. */
void disk_device_queue(struct disk_device *device, struct disk_job *job);

/* The two back ends, one instance per loop thread, created on that thread.
 * disk_uring_new: -ENOSYS, -EPERM, ... where the kernel has or allows no io_uring. */
int disk_threads_new(struct disk **ret_disk);
int disk_uring_new(unsigned entries, unsigned workers_max, struct disk **ret_disk);

/* `io_engine = auto`: does a real O_TMPFILE, write, fsetxattr, fsync, linkat through a ring
 * in `directory` (NULL: no disk is there to try it on), and looks for the opcodes we need. 0, or
 * -errno with the reason in words. */
int disk_uring_selftest(const char *directory, char reason[128]);

#endif
