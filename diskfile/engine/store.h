/* SPDX-License-Identifier: Apache-2.0 */
/* store.h -- the inside of a df_store: options, devices, and what was found on each.
 *
 * Devices are looked up by name at each request: in Swift mode any name below
 * options.devices may be one. A device is remembered once seen (its pool of threads, what its
 * file system can do); whether it is usable *now* is asked of the kernel every time, so a disk
 * that vanishes answers -ENODEV and one that returns works again without a restart.
 * No descriptor on a device is kept open: it would hold the mount.
 *
 * Threads: any. A struct store_device lives until df_store_close(). */
#ifndef OBJSRV_STORE_H
#define OBJSRV_STORE_H

#include "diskfile/disk/pool.h"
#include "diskfile/diskfile.h"

enum commit_form {
    COMMIT_SHORT, /* data to the device, link, fsync(file): ext4 and XFS (design decision 4) */
    COMMIT_FULL   /* fsync(file), link, fsync of every directory that may be new */
};

struct store_device {
    char *name;
    char *path; /* <devices>/<name>, or the data directory */
    struct disk_device *pool;
    atomic_bool probed;     /* the two below are valid */
    atomic_bool no_tmpfile; /* no O_TMPFILE here: named temporary files in tmp[-N] */
    _Atomic enum commit_form form;
    struct store_device *next;
};

struct df_store {
    struct df_options options; /* deep copy */
    /* ... store.c's own members follow in store.c's definition order */
    struct store_private *own;
};

/* The device of this name, remembered or made known; name checks of http-api 2 included
 * (percent-quoting must not change it). -ENODEV. Does not look at the disk. */
int store_device(struct df_store *store, struct slice name, struct store_device **ret_device);

/* BLOCKING. Usable now? 0 or -ENODEV; probes a device seen for the first time (-ENOTSUP
 * without user xattrs, -EROFS ... as the probe failed). */
int store_device_check(struct df_store *store, struct store_device *device);

const struct df_policy *store_policy(const struct df_store *store, unsigned index); /* or NULL */

void store_event(const struct df_store *store, enum df_event_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
