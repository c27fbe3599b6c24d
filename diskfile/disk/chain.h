/* SPDX-License-Identifier: Apache-2.0 */
/* chain.h -- what the back ends share: stepping through a chain, and the way back from a
 * pool thread to the loop that submitted. Private to diskfile/disk/.
 *
 * done_list: any thread posts, the loop thread takes; chains come out in the order they
 * were posted. Its event_fd becomes readable when the list stops being empty. */
#ifndef OBJSRV_DISK_CHAIN_H
#define OBJSRV_DISK_CHAIN_H

#include "diskfile/disk/disk.h"
#include "diskfile/disk/pool.h"

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Where LINKAT finds the file behind a descriptor. */
#define DISK_PROC_PATH "/proc/self/fd/%d"

uint64_t disk_now_ns(void);

/* May be queued behind others without looking at their results (C2). */
bool disk_op_is_plain(enum disk_opcode code);

/* A failure that ends the chain. */
static inline bool disk_op_failed(const struct disk_op *op)
{
    return op->res < 0 && !op->may_fail;
}

/* Runs op `i` on this thread. false: it failed, and all later ops are cancelled (C3). */
bool disk_chain_step(struct disk_chain *chain, unsigned i);
void disk_chain_cancel(struct disk_chain *chain, unsigned from);

struct done_list {
    _Atomic(struct disk_chain *) newest; /* linked by ->next towards the oldest */
    atomic_uint posting;                 /* threads that may still touch event_fd */
    int event_fd;
};

int done_list_init(struct done_list *list);
/* Waits for posters on their way out; the list must be empty. */
void done_list_release(struct done_list *list);
void done_list_post(struct done_list *list, struct disk_chain *chain);
/* The loop thread: empties event_fd and the list; oldest first, linked by ->next. */
struct disk_chain *done_list_take(struct done_list *list);
/* Makes event_fd readable though nothing was posted. */
void done_list_kick(struct done_list *list);

/* The rings that a device's ring_ops_max is divided among: pool.c counts them. A ring is
 * added when it first serves the device, and never taken off: it lives as long as its loop. */
uint64_t disk_device_serial(const struct disk_device *device);
void disk_device_add_ring(struct disk_device *device);
unsigned disk_device_ring_share(const struct disk_device *device);

/* 0, or -EOPNOTSUPP and the name of an operation that this kernel's io_uring lacks. */
int disk_uring_missing_opcode(struct disk *uring, char reason[128]);

#endif
