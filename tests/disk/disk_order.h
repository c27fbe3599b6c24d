/* SPDX-License-Identifier: Apache-2.0 */
/* disk_order.h -- a disk that watches the order of data, syncs and names, and knows what a
 * power cut would lose.
 *
 * O1  No LINKAT or RENAMEAT gives a name to a file with unwritten data. Data is on the
 *     device after a good FSYNC, FDATASYNC or whole-file SYNC_RANGE that waits.
 * O2  A name is durable after an fsync that came later than it: of its directory; in the
 *     short form also of the file itself, which commits the journal up to the file's last
 *     change, directories made before included.
 * O3  In the full form, xattrs too must be synced (FSYNC) before the name is given, and
 *     each new directory's name by an fsync of its parent.
 *
 * What happens inside a CALL is not seen. It is a disk_fault as well: order.fault. */
#ifndef OBJSRV_TESTS_DISK_ORDER_H
#define OBJSRV_TESTS_DISK_ORDER_H

#include "tests/disk/disk_fault.h"
#include <limits.h>

#define DISK_ORDER_MAX 512 /* files, and names, that one test may touch */

struct disk_order_file {
    dev_t dev;
    ino_t ino;
    bool data_dirty, xattr_dirty;
    unsigned long changed; /* when an op last changed it or its names */
};

struct disk_order_name {
    char path[PATH_MAX];
    dev_t dev, parent_dev;
    ino_t ino, parent_ino;
    bool durable;
    unsigned long made; /* when */
};

struct disk_order {
    struct disk_fault fault; /* &o->fault.sync.base is the disk */
    bool full_form;
    unsigned long clock; /* counts ops */
    char violation[PATH_MAX + 128];
    unsigned file_count, name_count;
    struct disk_order_file files[DISK_ORDER_MAX];
    struct disk_order_name names[DISK_ORDER_MAX];
};

/* 2 MiB: on the heap. 0 or -errno. */
int disk_order_new(bool full_form, struct disk_order **ret_order);
void disk_order_free(struct disk_order *o);

/* The first breach of O1 or O3, or NULL. Borrowed. */
const char *disk_order_violation(const struct disk_order *o);

/* `path` was just acknowledged: would a power cut now lose it? NULL: no. Else what is not
 * durable: the name, a directory above it, or the file's content. Borrowed. */
const char *disk_order_check_acknowledged(struct disk_order *o, const char *path);

/* Each name that a power cut now would lose. Returns how many. */
unsigned disk_order_each_lost(const struct disk_order *o, void (*each)(void *arg, const char *path),
                              void *arg);

#endif
