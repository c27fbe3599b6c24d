/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c -- a loop thread's share of the store (see thread.h). */
#include "diskfile/engine/thread.h"

#include "diskfile/disk/pool.h"
#include "diskfile/engine/hot.h"
#include "diskfile/engine/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* Deep enough for a loop's usual load; what does not fit waits in the back end's own list. */
#define RING_ENTRIES 256
/* io-wq threads of one loop: they block in fsync, so there are more of them than of cores. */
#define RING_WORKERS_MAX 64

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void inflight_add(struct df_thread *t, struct inflight *op, void *owner,
                  const char *(*step)(const struct inflight *op))
{
    op->owner = owner;
    op->step = step;
    op->since_ns = clock_monotonic_ns();
    op->prev = t->inflight.prev;
    op->next = &t->inflight;
    op->prev->next = op;
    t->inflight.prev = op;
}

void inflight_remove(struct inflight *op)
{
    op->prev->next = op->next;
    op->next->prev = op->prev;
}

int df_thread_over(struct df_store *store, struct disk *take_disk, struct df_thread **ret_thread)
{
    struct df_thread *t = calloc(1, sizeof(*t));
    struct hot_table *hot = hot_new(store->options.hot_bytes_per_thread);
    if (!t || !hot) {
        free(t);
        hot_free(hot);
        take_disk->free(take_disk);
        return -ENOMEM;
    }
    t->store = store;
    t->disk = take_disk;
    t->hot = hot;
    t->inflight.prev = t->inflight.next = &t->inflight;
    t->due_end = &t->due;
    *ret_thread = t;
    return 0;
}

int df_thread_open(struct df_store *store, struct df_thread **ret_thread)
{
    const char *why;
    bool uring = strcmp(df_store_engine(store, &why), "uring") == 0;
    struct disk *disk;
    int r = uring ? disk_uring_new(RING_ENTRIES, RING_WORKERS_MAX, &disk) : disk_threads_new(&disk);
    if (r < 0)
        return r;
    return df_thread_over(store, disk, ret_thread);
}

void df_thread_close(struct df_thread *t)
{
    if (!t)
        return;
    assert(t->inflight.next == &t->inflight && !t->due);
    t->disk->free(t->disk);
    hot_free(t->hot);
    free(t);
}

int df_thread_fd(struct df_thread *t)
{
    return t->disk->fd(t->disk);
}

void df_thread_reap(struct df_thread *t)
{
    t->disk->reap(t->disk);
}

void df_thread_flush(struct df_thread *t)
{
    upload_start_due(t);
    t->disk->flush(t->disk);
}

void df_thread_hurry(struct df_thread *t)
{
    t->hurried = true;
}

void df_thread_each_inflight(struct df_thread *t,
                             void (*each)(void *arg, void *owner, const char *step,
                                          uint64_t age_ms),
                             void *arg)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (struct inflight *op = t->inflight.next; op != &t->inflight; op = op->next)
        each(arg, op->owner, op->step(op), (now_ns - op->since_ns) / 1000000u);
}
