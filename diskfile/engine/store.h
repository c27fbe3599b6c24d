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
#include <pthread.h>
#include <sys/stat.h>

enum commit_form {
    COMMIT_SHORT, /* data to the device, link, fsync(file): ext4 and XFS (design decision 4) */
    COMMIT_FULL   /* fsync(file), link, fsync of every directory that may be new */
};

struct store_device {
    char *name;
    char *path; /* <devices>/<name>, or the data directory */
    struct disk_device *pool;
    pthread_mutex_t probing; /* by store_write_check() */
    /* What the probe found, valid while the device is the one that was probed. Another file
     * system in its place is probed anew; unprobed means O_TMPFILE and COMMIT_FULL. */
    atomic_ullong probed_dev; /* st_dev, or DEVICE_UNPROBED */
    atomic_bool no_tmpfile;   /* no O_TMPFILE here: named temporary files in tmp[-N] */
    _Atomic enum commit_form form;
    atomic_bool distrusted; /* a write failed here and none was seen to succeed since */
    char fs_type[16];
    unsigned index; /* stand-alone: place in the identity's order */
    struct store_device *_Atomic next;
};

#define DEVICE_UNPROBED (~0ull)

struct df_store {
    struct df_options options;    /* deep copy */
    unsigned part_power;          /* stand-alone */
    struct store_device **placed; /* stand-alone: the data directories in identity order */
    atomic_ullong last_ticks;     /* the latest time df_store_clock() gave out */
    struct store_private *own;    /* store.c's */
};

/* The device of this name; name checks of http-api 2 included (percent-quoting must not change
 * it). -ENODEV. A name never seen before is looked up below options.devices (one stat), and only
 * what is a directory there is remembered: clients cannot make the table grow. */
int store_device(struct df_store *store, struct slice name, struct store_device **ret_device);

/* BLOCKING. Usable now? 0 or -ENODEV; probes a device seen for the first time (-ENOTSUP
 * without user xattrs). A probe that fails otherwise (read-only, full, ...) decides nothing:
 * reading may work, and a write finds out by itself. */
int store_device_check(struct df_store *store, struct store_device *device);

/* A write, sync or link failed with this error: if the disk or the file system is to blame, no
 * write is tried any more before a probe has written and synced something. Any thread. */
void store_write_failed(struct df_store *store, struct store_device *device, int error);

/* BLOCKING only for a device whose writes are distrusted: one caller probes, and trusts it again
 * if all went well. 0, or -ENODEV at once for the others. */
int store_write_check(struct df_store *store, struct store_device *device);

/* Swift's idea of a mount point (on-disk-format 1): containers and tests use the stub file
 * .ismount. *ret_st: the directory's, if there is one. Blocking. */
bool store_is_mounted(const char *path, struct stat *ret_st);

const struct df_policy *store_policy(const struct df_store *store, unsigned index); /* or NULL */

/* A queue for operations that have no device, so that they too fail through reap(). */
struct disk_device *store_nowhere(const struct df_store *store);

static inline bool store_stand_alone(const struct df_store *store)
{
    return store->options.data_dir_count > 0;
}

void store_event(const struct df_store *store, enum df_event_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
