/* SPDX-License-Identifier: Apache-2.0 */
/* partition_hashes.h -- the hashes of all suffixes of a partition, brought up to date.
 *
 *   partition_hashes_init -> partition_hashes_work, again while it returns 1 -> look at ->hashes
 *   -> partition_hashes_release
 *
 * The work is cut into pieces because a partition may have thousands of suffixes: between two
 * pieces the thread is free for others who want something of the device.
 *
 *   READ -> HASH -> WRITE -> END
 *     ^               |
 *     `---------------'   somebody else has written hashes.pkl meanwhile: what we took for known
 *                         may be stale, so all that is read again
 * P1  A partition that is not there is not made; it has no hashes.
 * P2  No lock is held while suffixes are hashed.
 * P3  hashes.pkl is only replaced if it is what READ saw.
 *
 * Threads: one at a time. */
#ifndef OBJSRV_PARTITION_HASHES_H
#define OBJSRV_PARTITION_HASHES_H

#include "diskfile/engine/hashes_file.h"

enum partition_hashes_step { PARTITION_READ, PARTITION_HASH, PARTITION_WRITE, PARTITION_END };

struct partition_hashes {
    struct object_place place; /* of the partition */
    enum partition_hashes_step step;
    struct suffix_hashes *hashes; /* the result, after 0 */
    unsigned hashed;              /* suffixes whose hash was computed */
    struct hashes_image seen;     /* hashes.pkl after READ */
    unsigned at;                  /* the next suffix to look at */
    bool changed;                 /* `hashes` are not those of `seen` */
    unsigned tries;
};

/* -ENAMETOOLONG, -ENOMEM: release it all the same. */
int partition_hashes_init(struct partition_hashes *h, struct df_store *store,
                          struct store_device *device, const struct df_policy *policy,
                          struct slice partition);
void partition_hashes_release(struct partition_hashes *h);

/* BLOCKING, for about that long, and for one suffix at least. 1: there is more to do. 0: done.
 * -ETIMEDOUT: the partition's lock; others: what the disk said. A suffix that could not be hashed
 * is no error: it stays stale, and an event tells why. */
int partition_hashes_work(struct partition_hashes *h, uint64_t most_ns);

/* BLOCKING. Marks suffixes ("abc-def-...", whatever is no suffix is passed over) as stale, making
 * the partition if it is not there. */
int partition_hashes_forget(const struct object_place *p, struct slice suffixes);

#endif
