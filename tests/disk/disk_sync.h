/* SPDX-License-Identifier: Apache-2.0 */
/* disk_sync.h -- a disk that runs chains inside submit() and completes them from reap().
 *
 * The base of the test disks. Everything, CALL too, runs on the loop thread, one op after
 * the other, so a test run is the same each time. run_op() is where a test disk comes in. */
#ifndef OBJSRV_TESTS_DISK_SYNC_H
#define OBJSRV_TESTS_DISK_SYNC_H

#include "diskfile/disk/chain.h"

struct disk_sync {
    struct disk base;
    struct done_list done;
    /* Runs one op and returns its result. disk_op_run() is the plain one. */
    int (*run_op)(struct disk_sync *s, struct disk_op *op);
    bool stopped; /* set by run_op: nothing runs and nothing completes any more */
};

/* base.free() releases what is inside; the struct is its owner's. 0 or -errno. */
int disk_sync_init(struct disk_sync *s, const char *name,
                   int (*run_op)(struct disk_sync *s, struct disk_op *op));

#endif
