/* SPDX-License-Identifier: Apache-2.0 */
/* md5_combiner.h -- the workers of a device compute their checksums together.
 *
 * A worker that has read a block of its file comes here with it and waits until half of those
 * that have a file in hand are here, for a millisecond at most. Then one computes for all, each
 * in a lane of its own (diskfile/format/md5_lanes.h); who comes meanwhile is taken along at the
 * next step. So one core at most is busy with checksums for a
 * device, with as many files at a time as there are workers, while the others read. It pays from
 * COMBINE_WORKERS_MIN on: fewer are faster on a core each.
 *
 *   md5_combiner_init -> body_sum_begin -> body_sum_add* -> body_sum_end -> md5_combiner_release
 *                       (or body_sum_drop at any time)
 *
 * Threads: any; a body_sum is used by one at a time. */
#ifndef OBJSRV_MD5_COMBINER_H
#define OBJSRV_MD5_COMBINER_H

#include "diskfile/engine/checksum.h"
#include "diskfile/format/md5_lanes.h"

#include <pthread.h>

#define COMBINE_WORKERS_MIN 8

struct combiner_job;

struct md5_combiner {
    pthread_mutex_t lock;
    bool enabled;
    bool led; /* somebody computes */
    struct combiner_job *first, **last;
    unsigned waiting; /* in the list */
    unsigned begun;   /* bodies that have begun and not ended */
    unsigned widest;  /* the most streams that were computed at once */
};

/* For so many workers; without lanes enough, or with fewer workers, each computes alone. */
void md5_combiner_init(struct md5_combiner *c, unsigned workers);
void md5_combiner_release(struct md5_combiner *c);

/* Adds blocks to a stream. Returns when they are in it. */
void md5_combiner_add(struct md5_combiner *c, struct md5_stream *s, const void *bytes,
                      size_t blocks);

/* ---- the checksum of one body, together or alone ---- */

struct body_sum {
    struct md5_combiner *combiner; /* NULL: alone */
    struct checksum *alone;
    struct md5_stream stream;
    unsigned char rest[MD5_BLOCK_BYTES]; /* behind the last whole block */
    size_t rest_len;
};

/* `c` may be NULL. -ENOMEM. */
int body_sum_begin(struct body_sum *s, struct md5_combiner *c);

/* Pieces must be multiples of MD5_BLOCK_BYTES, but for the last one. */
void body_sum_add(struct body_sum *s, const void *bytes, size_t len);
void body_sum_end(struct body_sum *s, char hex[CHECKSUM_HEX_LEN + 1]); /* and drops it */
void body_sum_drop(struct body_sum *s);

#endif
