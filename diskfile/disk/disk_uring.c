/* SPDX-License-Identifier: Apache-2.0 */
/* disk_uring.c -- the io_uring back end: one ring per loop thread.
 *
 *   submit --> [waiting in its lane] -> segment in the ring -> next segment ... --> ready
 *         `--> the whole chain as one job of the device's pool -------------------'
 *
 * A chain is cut into segments; one is in flight at a time, and the next starts only when
 * all results of the last were seen (C2). A segment is a run of plain ops linked to each
 * other, or one op that is not plain.
 *
 * A chain with an op that no ring can do (CALL, or an opcode that this kernel lacks) needs a
 * pool thread anyway and stays on it from first to last. Measured with a small upload (ext4,
 * Linux 6.18, fast flushes): in the ring up to the CALL and in the pool from there on it
 * costs 10 to 15 % more CPU, wholly in the ring but for the CALL 20 % more, since each stage
 * is a thread switch there and back, in io-wq as in the pool. What the ring is good at is
 * what it does without a thread, reads from the page cache (a third of the pool's CPU), and
 * single ops: a write that ext4 punts to io-wq still costs a fifth less than in the pool.
 *
 * No IOSQE_ASYNC (measured: 7 to 13 % fewer uploads/s with it on the head of each segment;
 * ops that would block are punted by the kernel on its own), but for two. CLOSE: the last
 * close of a deleted file frees its blocks, and must never do that on the loop. WRITE: tried
 * in place first, its copying keeps the loop from hashing the next block (64 MiB uploads, 8
 * at once, XFS: 2.4 to 4.2 a second instead of 5.0 to 6.4, for the same CPU).
 *
 * U1  A chain is in exactly one place: a lane's waiting list, the ring, the pool, the ready
 *     list.
 * U2  All SQEs of a segment leave in one io_uring_enter: a link ends at a submission's end.
 * U3  lane->inflight <= its share of the device's ring_ops_max, so one device cannot take
 *     all io-wq workers of this thread, nor all places of the ring.
 * U4  u->inflight <= the completion queue's size: it cannot overflow.
 *
 * io-wq workers belong to the thread that submits, so their number is set here, once. */
#include "diskfile/disk/chain.h"
#include "diskfile/disk/uring_op.h"
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEGMENT_MAX 16 /* ops linked to each other */

/* One device's share of this ring. */
struct disk_lane {
    uint64_t device_serial;
    unsigned inflight;
    struct disk_chain *waiting, **waiting_tail;
    struct disk_lane *next;
};

struct uring_disk {
    struct disk base;
    struct io_uring ring;
    struct done_list pooled; /* back from the pool; its eventfd is the ring's as well */
    struct disk_lane *lanes;
    struct disk_chain *ready, **ready_tail;
    unsigned inflight;
    bool in_ring[DISK_OPCODES]; /* opcodes that this kernel has */
};

static struct uring_disk *of(struct disk *d)
{
    return CONTAINER_OF(d, struct uring_disk, base);
}

/* ---- a chain's way ---- */

static void append(struct disk_chain ***tail, struct disk_chain *chain)
{
    chain->next = NULL;
    **tail = chain;
    *tail = &chain->next;
}

/* Pool thread. */
static void run_in_pool(struct disk_job *job)
{
    struct disk_chain *chain = CONTAINER_OF(job, struct disk_chain, job);
    disk_chain_run(chain);
    chain->first = chain->count;
    done_list_post(&of(chain->disk)->pooled, chain);
}

static bool needs_pool(const struct uring_disk *u, const struct disk_chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++)
        if (!u->in_ring[chain->ops[i].code])
            return true;
    return false;
}

/* How many ops from chain->first on may be in the ring together. */
static unsigned segment_length(const struct disk_chain *chain, unsigned limit)
{
    unsigned n = 0;
    while (n < limit && chain->first + n < chain->count) {
        const struct disk_op *op = &chain->ops[chain->first + n];
        if (!disk_op_is_plain(op->code))
            break;
        n++;
        if (op->len > URING_TRANSFER_MAX)
            break; /* will be resumed: nothing may be queued behind it */
    }
    return n > 0 ? n : 1;
}

static void prep_segment(struct uring_disk *u, struct disk_chain *chain, unsigned n)
{
    chain->last = chain->first + n - 1;
    chain->pending = n;
    chain->started_ns = disk_now_ns();
    atomic_store_explicit(&chain->at, chain->first, memory_order_relaxed);
    for (unsigned i = chain->first; i <= chain->last; i++) {
        struct disk_op *op = &chain->ops[i];
        struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
        assert(sqe); /* room_for() */
        op->index = (unsigned char)i;
        uring_op_prep(sqe, op, chain);
        io_uring_sqe_set_data(sqe, op);
        if (i < chain->last)
            sqe->flags |= IOSQE_IO_LINK;
        if (op->code == DISK_CLOSE || op->code == DISK_WRITE)
            sqe->flags |= IOSQE_ASYNC;
    }
}

/* U2: if the submission queue is too full, what is in it goes now. */
static bool room_for(struct uring_disk *u, unsigned n)
{
    if (u->inflight + n > *u->ring.cq.kring_entries)
        return false;
    if (io_uring_sq_space_left(&u->ring) < n)
        (void)io_uring_submit(&u->ring); /* an error is flush()'s, who tries again */
    return io_uring_sq_space_left(&u->ring) >= n;
}

static bool try_segment(struct uring_disk *u, struct disk_chain *chain)
{
    struct disk_lane *lane = chain->lane;
    unsigned share = disk_device_ring_share(chain->device);
    unsigned limit = share < SEGMENT_MAX ? share : SEGMENT_MAX;
    if (*u->ring.sq.kring_entries < limit)
        limit = *u->ring.sq.kring_entries;
    unsigned n = segment_length(chain, limit);
    if (lane->inflight + n > share || !room_for(u, n))
        return false;
    lane->inflight += n;
    u->inflight += n;
    prep_segment(u, chain, n);
    return true;
}

static void start_waiting(struct uring_disk *u, struct disk_lane *lane)
{
    struct disk_chain *chain;
    while ((chain = lane->waiting)) {
        struct disk_chain *next = chain->next;
        if (!try_segment(u, chain))
            return;
        lane->waiting = next;
        if (!next)
            lane->waiting_tail = &lane->waiting;
    }
}

/* To the ring with the next segment, or to its end. */
static void advance(struct uring_disk *u, struct disk_chain *chain)
{
    if (chain->first >= chain->count) {
        append(&u->ready_tail, chain);
    } else if (chain->lane->waiting || !try_segment(u, chain)) {
        append(&chain->lane->waiting_tail, chain);
    }
}

/* ---- results ---- */

enum verdict { OP_GOOD, OP_AGAIN, OP_BAD };

/* Makes the kernel's result the op's. OP_AGAIN: this op and all behind it run once more. */
static enum verdict settle(struct disk_chain *chain, unsigned i)
{
    struct disk_op *op = &chain->ops[i];
    bool moves = op->code == DISK_READ || op->code == DISK_WRITE;
    size_t moved = i == chain->first ? chain->moved : 0;
    chain->moved = 0;
    if (op->res == -ECANCELED && i > chain->first)
        return OP_AGAIN; /* the link broke at an op that was short, or might fail */
    if (op->res == -EEXIST && op->code == DISK_MKDIRAT)
        op->res = 0;
    if (op->code == DISK_CLOSE)
        *op->fd = -1;
    if (op->code == DISK_OPENAT && op->res >= 0) {
        *op->fd = op->res;
        op->res = 0;
    }
    if (!moves || (op->res < 0 && op->res != -EINTR))
        return disk_op_failed(op) ? OP_BAD : OP_GOOD;
    moved += op->res > 0 ? (size_t)op->res : 0;
    if (moved < op->len && op->res != 0) {
        chain->moved = moved;
        return OP_AGAIN;
    }
    op->res = moved < op->len && op->code == DISK_WRITE ? -EIO : (int)moved;
    return disk_op_failed(op) ? OP_BAD : OP_GOOD;
}

/* Before anything of a segment is run once more: an error that came behind it would be
 * forgotten, and a second fsync does not tell again of what the first one lost. */
static bool failed_behind(const struct disk_chain *chain, unsigned i)
{
    while (++i <= chain->last)
        if (disk_op_failed(&chain->ops[i]) && chain->ops[i].res != -ECANCELED)
            return true;
    return false;
}

static void segment_done(struct uring_disk *u, struct disk_chain *chain)
{
    uint64_t each_ns = (disk_now_ns() - chain->started_ns) / (chain->last - chain->first + 1);
    unsigned i = chain->first;
    enum verdict verdict = OP_GOOD;
    for (; i <= chain->last; i++) {
        chain->ops[i].took_ns += each_ns;
        verdict = settle(chain, i);
        if (verdict != OP_GOOD)
            break;
    }
    if (verdict == OP_AGAIN && failed_behind(chain, i))
        verdict = OP_BAD;
    if (verdict == OP_BAD) {
        disk_chain_cancel(chain, chain->last + 1);
        i = chain->count;
    }
    chain->first = i;
    advance(u, chain);
}

static void on_cqe(struct uring_disk *u, const struct io_uring_cqe *cqe)
{
    struct disk_op *op = io_uring_cqe_get_data(cqe);
    struct disk_chain *chain = CONTAINER_OF(op - op->index, struct disk_chain, ops);
    op->res = cqe->res;
    u->inflight--;
    chain->lane->inflight--;
    if (--chain->pending == 0)
        segment_done(u, chain);
}

/* ---- the interface ---- */

static struct disk_lane *lane_of(struct uring_disk *u, struct disk_device *device)
{
    uint64_t serial = disk_device_serial(device);
    struct disk_lane *lane = u->lanes;
    while (lane && lane->device_serial != serial)
        lane = lane->next;
    if (lane)
        return lane;
    lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->device_serial = serial;
    lane->waiting_tail = &lane->waiting;
    lane->next = u->lanes;
    u->lanes = lane;
    disk_device_add_ring(device);
    return lane;
}

static void uring_submit(struct disk *d, struct disk_chain *chain)
{
    struct uring_disk *u = of(d);
    chain->disk = d;
    chain->first = 0;
    chain->moved = 0;
    chain->lane = lane_of(u, chain->device);
    if (chain->count == 0) {
        done_list_post(&u->pooled, chain);
    } else if (!chain->lane || needs_pool(u, chain)) { /* no memory for a lane: as well */
        chain->job.run = run_in_pool;
        disk_device_queue(chain->device, &chain->job);
    } else {
        advance(u, chain);
    }
}

/* Until the queue is empty: io_uring_enter stops early at an SQE that it refuses. What the
 * kernel will not take now (-EBUSY, -EAGAIN) is offered again after the next reap(). */
static void uring_flush(struct disk *d)
{
    struct uring_disk *u = of(d);
    while (io_uring_sq_ready(&u->ring) > 0) {
        int r = io_uring_submit(&u->ring);
        if (r < 0 && r != -EINTR) {
            done_list_kick(&u->pooled);
            return;
        }
    }
}

static void reap_ring(struct uring_disk *u)
{
    struct io_uring_cqe *cqes[64];
    unsigned n;
    while ((n = io_uring_peek_batch_cqe(&u->ring, cqes, 64)) > 0) {
        for (unsigned i = 0; i < n; i++)
            on_cqe(u, cqes[i]);
        io_uring_cq_advance(&u->ring, n);
    }
}

static void uring_reap(struct disk *d)
{
    struct uring_disk *u = of(d);
    struct disk_chain *next, *chain = done_list_take(&u->pooled);
    for (; chain; chain = next) {
        next = chain->next;
        advance(u, chain);
    }
    reap_ring(u);
    for (struct disk_lane *lane = u->lanes; lane; lane = lane->next)
        start_waiting(u, lane);

    chain = u->ready;
    u->ready = NULL;
    u->ready_tail = &u->ready;
    for (; chain; chain = next) {
        next = chain->next;
        chain->done(chain);
    }
}

static int uring_fd(struct disk *d)
{
    return of(d)->pooled.event_fd;
}

static void uring_free(struct disk *d)
{
    struct uring_disk *u = of(d);
    assert(u->inflight == 0);
    io_uring_queue_exit(&u->ring);
    done_list_release(&u->pooled);
    for (struct disk_lane *next, *lane = u->lanes; lane; lane = next) {
        next = lane->next;
        free(lane);
    }
    free(u);
}

/* ---- setting up ---- */

/* Newer flags first; each that the kernel does not know (-EINVAL) is left out. Never SQPOLL:
 * it burns a core. Not DEFER_TASKRUN: measured, two wake-ups per op. */
static int init_ring(unsigned entries, struct io_uring *ring)
{
    static const unsigned optional[] = {
        IORING_SETUP_SINGLE_ISSUER,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SUBMIT_ALL,
    };
    unsigned flags = IORING_SETUP_CLAMP;
    unsigned left = sizeof optional / sizeof optional[0];
    for (unsigned i = 0; i < left; i++)
        flags |= optional[i];
    int r = io_uring_queue_init(entries, ring, flags);
    for (unsigned i = 0; r == -EINVAL && i < left; i++) {
        flags &= ~optional[i];
        r = io_uring_queue_init(entries, ring, flags);
    }
    return r;
}

static int probe_ring(struct uring_disk *u)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);
    if (!probe)
        return -ENOSYS;
    for (unsigned code = 0; code < DISK_OPCODES; code++)
        u->in_ring[code] = uring_op_supported(code, probe);
    io_uring_free_probe(probe);
    return 0;
}

int disk_uring_missing_opcode(struct disk *uring, char reason[128])
{
    for (unsigned code = 0; code < DISK_OPCODES; code++) {
        if (code != DISK_CALL && !of(uring)->in_ring[code]) {
            (void)snprintf(reason, 128, "this kernel's io_uring has no %s", disk_op_name(code));
            return -EOPNOTSUPP;
        }
    }
    return 0;
}

int disk_uring_new(unsigned entries, unsigned workers_max, struct disk **ret_disk)
{
    struct uring_disk *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->base = (struct disk){"uring", uring_submit, uring_flush, uring_reap, uring_fd, uring_free};
    u->ready_tail = &u->ready;
    int r = init_ring(entries, &u->ring);
    if (r < 0)
        goto no_ring;
    r = done_list_init(&u->pooled);
    if (r < 0)
        goto no_list;
    r = io_uring_register_eventfd(&u->ring, u->pooled.event_fd);
    if (r == 0)
        r = probe_ring(u);
    unsigned workers[2] = {workers_max, 0}; /* bounded; unbounded: as it is */
    if (r == 0)
        r = io_uring_register_iowq_max_workers(&u->ring, workers);
    if (r < 0)
        goto failed;
    *ret_disk = &u->base;
    return 0;
failed:
    done_list_release(&u->pooled);
no_list:
    io_uring_queue_exit(&u->ring);
no_ring:
    free(u);
    return r;
}
