/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c -- see verify.h.
 *
 *   next_off: where the next read goes      hash_off: what the checksum has seen
 *   |<- hashed ->|<- blocks[head] in flight or read ->|<- not asked for ->|
 *
 * Blocks are asked for and hashed in order, so a ring of BLOCKS of them is enough. A block that
 * ends short ends the file. */
#include "tools/audit/verify.h"
#include "diskfile/disk/disk.h"
#include "diskfile/engine/checksum.h"
#include "tools/audit/halt.h"
#include "tools/audit/residency.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK_BYTES RESIDENCY_BYTES_MAX
#define BLOCKS      4

struct block {
    char *bytes;
    uint64_t off, resident;
    double asked_s;
    int res; /* bytes, or -errno */
    bool in_flight;
};

struct verifier {
    struct pace *pace;
    struct limiter *limiter;
    struct md5_combiner *combiner;
    struct io_uring ring;
    bool has_ring, tried_ring;
    struct block blocks[BLOCKS];
    /* Of the body being read: */
    int fd;
    struct fragment_check *fragments;
    uint64_t next_off;
    unsigned asked, hashed; /* blocks, counted from 0 */
    unsigned in_flight;
};

int verifier_new(struct pace *pace, struct limiter *bytes_limiter, struct verifier **ret)
{
    struct verifier *v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->pace = pace;
    v->limiter = bytes_limiter;
    *ret = v;
    return 0;
}

void verifier_combine(struct verifier *v, struct md5_combiner *combiner)
{
    v->combiner = combiner;
}

void verifier_free(struct verifier *v)
{
    if (!v)
        return;
    if (v->has_ring)
        io_uring_queue_exit(&v->ring);
    for (int i = 0; i < BLOCKS; i++)
        free(v->blocks[i].bytes);
    free(v);
}

bool verifier_has_ring(const struct verifier *v)
{
    return v->has_ring;
}

static int make_buffers(struct verifier *v, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!v->blocks[i].bytes && posix_memalign((void **)&v->blocks[i].bytes, 4096, BLOCK_BYTES))
            return -ENOMEM;
    return 0;
}

/* What was in the cache says nothing of the disk. */
static void pace_block(struct verifier *v, const struct block *b)
{
    if (b->resident == 0)
        pace_read(v->pace, halt_monotonic_s() - b->asked_s);
}

/* ---- small bodies ---- */

static int check_fragments(struct verifier *v, const struct block *b)
{
    return v->fragments ? fragment_check_add(v->fragments, b->bytes, (size_t)b->res) : 0;
}

static int verify_small(struct verifier *v, int fd, uint64_t size, struct verify_result *ret)
{
    struct block *b = &v->blocks[0];
    int r = make_buffers(v, 1);
    if (r < 0)
        return r;
    b->resident = residency_look(fd, 0, size);
    b->asked_s = b->resident == 0 ? halt_monotonic_s() : 0;
    b->res = disk_read_full(fd, b->bytes, size, 0);
    if (b->resident != RESIDENCY_ALL)
        residency_restore(fd, 0, size, b->resident);
    if (b->res < 0)
        return b->res;
    pace_block(v, b);
    ret->bytes = (uint64_t)b->res;
    limiter_wait(v->limiter, (double)b->res);
    r = check_fragments(v, b);
    return r < 0 ? r : checksum_of(b->bytes, (size_t)b->res, ret->md5);
}

/* ---- large ones ---- */

static void try_ring(struct verifier *v)
{
    if (v->tried_ring)
        return;
    v->tried_ring = true;
    v->has_ring = io_uring_queue_init(BLOCKS * 2, &v->ring, 0) == 0;
}

static void ask(struct verifier *v)
{
    struct block *b = &v->blocks[v->asked % BLOCKS];
    b->off = v->next_off;
    b->resident = residency_look(v->fd, (off_t)b->off, BLOCK_BYTES);
    b->asked_s = halt_monotonic_s();
    v->asked++;
    v->next_off += BLOCK_BYTES;
    if (!v->has_ring) {
        if (b->resident != RESIDENCY_ALL)
            (void)readahead(v->fd, (off_t)b->off, BLOCK_BYTES);
        return;
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&v->ring); /* twice as many as blocks */
    io_uring_prep_read(sqe, v->fd, b->bytes, BLOCK_BYTES, b->off);
    io_uring_sqe_set_data(sqe, b);
    b->in_flight = true;
    v->in_flight++;
}

/* Takes one completion from the ring. */
static int reap_one(struct verifier *v)
{
    struct io_uring_cqe *cqe;
    int r;
    do
        r = io_uring_wait_cqe(&v->ring, &cqe);
    while (r == -EINTR);
    if (r < 0)
        return r;
    struct block *b = io_uring_cqe_get_data(cqe);
    b->res = cqe->res;
    b->in_flight = false;
    v->in_flight--;
    io_uring_cqe_seen(&v->ring, cqe);
    return 0;
}

/* A short read in the middle is completed here: only the end of the file is short. */
static int complete(struct verifier *v, struct block *b)
{
    if (!v->has_ring) {
        b->res = disk_read_full(v->fd, b->bytes, BLOCK_BYTES, (off_t)b->off);
        return b->res;
    }
    while (b->in_flight) {
        int r = reap_one(v);
        if (r < 0)
            return r;
    }
    if (b->res == -EINTR || b->res == -EAGAIN)
        b->res = 0;
    if (b->res >= 0 && (unsigned)b->res < BLOCK_BYTES) {
        int rest = disk_read_full(v->fd, b->bytes + b->res, BLOCK_BYTES - (size_t)b->res,
                                  (off_t)(b->off + (uint64_t)b->res));
        b->res = rest < 0 ? rest : b->res + rest;
    }
    return b->res;
}

static void drain(struct verifier *v)
{
    while (v->in_flight > 0 && reap_one(v) == 0)
        ;
    for (; v->hashed != v->asked; v->hashed++) {
        const struct block *b = &v->blocks[v->hashed % BLOCKS];
        if (b->resident != RESIDENCY_ALL)
            residency_restore(v->fd, (off_t)b->off, BLOCK_BYTES, b->resident);
    }
}

/* 1: hashed, and there is more. */
static int hash_next(struct verifier *v, struct body_sum *sum, uint64_t *bytes)
{
    struct block *b = &v->blocks[v->hashed % BLOCKS];
    int n = complete(v, b);
    if (n < 0)
        return n;
    body_sum_add(sum, b->bytes, (size_t)n);
    *bytes += (unsigned)n;
    if (b->resident != RESIDENCY_ALL)
        residency_restore(v->fd, (off_t)b->off, BLOCK_BYTES, b->resident);
    v->hashed++;
    int r = check_fragments(v, b);
    if (r < 0)
        return r;
    pace_block(v, b);
    limiter_wait(v->limiter, n);
    return halted() ? -ECANCELED : (unsigned)n == BLOCK_BYTES;
}

static int read_all(struct verifier *v, uint64_t size, struct body_sum *sum, uint64_t *bytes)
{
    int more = 1;
    while (more > 0) {
        bool added = false;
        while (v->asked - v->hashed < BLOCKS && (v->next_off < size || v->asked == v->hashed)) {
            ask(v);
            added = true;
        }
        if (added && v->has_ring) {
            int r = io_uring_submit(&v->ring);
            if (r < 0)
                return r;
        }
        more = hash_next(v, sum, bytes);
    }
    return more;
}

static int verify_large(struct verifier *v, int fd, uint64_t size, struct verify_result *ret)
{
    struct body_sum sum;
    int r = make_buffers(v, BLOCKS);
    if (r < 0)
        return r;
    r = body_sum_begin(&sum, v->combiner);
    if (r < 0)
        return r;
    try_ring(v);
    /* The kernel's own read-ahead would run past the blocks that were looked at. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    v->fd = fd;
    v->next_off = 0;
    v->asked = v->hashed = 0;
    ret->bytes = 0;
    r = read_all(v, size, &sum, &ret->bytes);
    drain(v);
    if (r == 0)
        body_sum_end(&sum, ret->md5);
    else
        body_sum_drop(&sum);
    return r;
}

int verify_body(struct verifier *v, int fd, uint64_t size, struct fragment_check *fragments,
                struct verify_result *ret)
{
    v->fragments = fragments;
    int r = size <= BLOCK_BYTES ? verify_small(v, fd, size, ret) : verify_large(v, fd, size, ret);
    return r == 0 && fragments ? fragment_check_end(fragments) : r;
}
