/* SPDX-License-Identifier: Apache-2.0 */
/* chore.h -- one blocking function on a thread of a device's pool, and its way back to the loop.
 *
 *   chore_start -> run(c) on a pool thread -> done(c, its result) on the loop
 *
 * Embedded in its owner, who frees himself in done(). For what is no upload and no object. */
#ifndef OBJSRV_CHORE_H
#define OBJSRV_CHORE_H

#include "diskfile/engine/store.h"
#include "diskfile/engine/thread.h"

struct chore {
    const char *name; /* for the stuck-request dump */
    int (*run)(struct chore *c);
    void (*done)(struct chore *c, int res);
    struct df_thread *thread;
    struct store_device *device;
    int err; /* found before the start: run() is not called */
    struct inflight inflight;
    struct disk_chain chain;
};

/* name, run and done are filled in; the rest is zeroed. A device that is none is done(-ENODEV);
 * run() is called only while the device is usable. */
void chore_start(struct chore *c, struct df_thread *t, struct slice device, void *owner);

#endif
