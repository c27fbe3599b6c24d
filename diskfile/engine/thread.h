/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h -- a loop thread's share of the store: its disk and what is in flight on it.
 *
 * An operation (an upload, an object being opened or read) embeds a struct inflight while it
 * lives, so that the stuck-request dump finds it. Loop thread only. */
#ifndef OBJSRV_THREAD_H
#define OBJSRV_THREAD_H

#include "diskfile/disk/disk.h"
#include "diskfile/diskfile.h"

struct inflight {
    void *owner;       /* whose it is: the arg of its callbacks */
    uint64_t since_ns; /* CLOCK_MONOTONIC */
    const char *(*step)(const struct inflight *op);
    struct inflight *prev, *next;
};

struct df_thread {
    struct df_store *store;
    struct disk *disk;
    struct inflight inflight; /* head of a ring */
    struct hot_table *hot;
    bool hurried;          /* df_thread_hurry() */
    struct df_upload *due; /* to be advanced by the next flush */
    struct df_upload **due_end;
};

void inflight_add(struct df_thread *t, struct inflight *op, void *owner,
                  const char *(*step)(const struct inflight *op));
void inflight_remove(struct inflight *op);

uint64_t clock_monotonic_ns(void);

/* upload.c: what df_thread_flush() calls. */
void upload_start_due(struct df_thread *t);

/* For tests: a thread over a disk of their own (given). */
int df_thread_over(struct df_store *store, struct disk *take_disk, struct df_thread **ret_thread);

#endif
