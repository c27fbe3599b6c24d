/* SPDX-License-Identifier: Apache-2.0 */
/* admission.h -- the right to talk: one of replication_concurrency places in the process, then the
 * locks of the partition and the device, for which one may have to wait.
 *
 *   admission_ask -> admitted(ADMISSION_*)  maybe within the call -> admission_end
 *
 * A lock that another conversation holds is tried again by a timer, so nothing blocks and
 * admission_end() stops the waiting at once. Embedded, zeroed; loop thread. */
#ifndef OBJSRV_SSYNC_ADMISSION_H
#define OBJSRV_SSYNC_ADMISSION_H

#include "server/loop.h"

enum admission_result {
    ADMISSION_GRANTED,
    ADMISSION_FULL,   /* no place */
    ADMISSION_LOCKED, /* somebody else had the lock all the time: `held`, `waited_s` */
    ADMISSION_FAILED  /* `err` */
};

struct admission {
    struct loop *loop;
    const struct df_partition *partition;
    void (*admitted)(void *arg, enum admission_result result);
    void *arg;
    bool placed, trying, ended;
    struct df_conversation *locks;
    uv_timer_t *timer;
    uint64_t until_ms, step_ms;
    uint64_t partition_ms; /* when the partition's lock was first to be had */
    /* Results. */
    int err;
    double waited_s; /* of replication_lock_timeout, what there was for this lock */
    char held[4200];
};

/* `partition` is lent until admission_end(). */
void admission_ask(struct admission *a, struct loop *loop, const struct df_partition *partition,
                   void (*admitted)(void *arg, enum admission_result result), void *arg);

/* Gives all back. False: an attempt is under way; admitted() comes once more, and then again this
 * is to be called. */
bool admission_end(struct admission *a);

#endif
