/* SPDX-License-Identifier: Apache-2.0 */
/* disk_fault.h -- a disk whose n-th operation fails.
 *
 * The loop that covers every call site, also those added later:
 *
 *   for (int n = 1;; n++) {
 *       struct disk_fault f;
 *       disk_fault_init(&f);
 *       f.fail_nth = n; f.err = -EIO;
 *       ... do the work on &f.sync.base; look for leaks and swallowed errors ...
 *       f.sync.base.free(&f.sync.base);
 *       if (!f.fired)        // this run met no fault: all were covered
 *           break;
 *   }
 *
 * A CALL is one operation here, whatever it does inside. */
#ifndef OBJSRV_TESTS_DISK_FAULT_H
#define OBJSRV_TESTS_DISK_FAULT_H

#include "tests/disk/disk_sync.h"

struct disk_fault {
    struct disk_sync sync; /* &f.sync.base is the disk */
    int fail_nth;          /* the n-th op fails, counted from 1; 0: none */
    int err;               /* with this */
    bool for_ever;         /* and so does each one after it, but CLOSE */
    bool applied;          /* it takes effect all the same: the outcome is "unknown" */
    int stop_after;        /* as if killed after the n-th op: later ones do not run and no
                            * chain completes, sync.stopped tells. 0: never. What the
                            * submitter holds then is lost: run it in a child process */
    int calls;             /* ops that were asked for */
    int fired;             /* ops that were made to fail */
    enum disk_opcode hit;  /* the first of them */
};

int disk_fault_init(struct disk_fault *f);

/* For disks built on this one (disk_order): runs `op` unless its turn has come. */
int disk_fault_run_op(struct disk_sync *s, struct disk_op *op);

#endif
