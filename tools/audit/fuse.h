/* SPDX-License-Identifier: Apache-2.0 */
/* fuse.h -- stops quarantining on a device before it empties it.
 *
 * A wrong hash suffix in swift.conf makes every object look damaged. When more than a set share
 * of what was examined on a device would be put away, the fuse blows: from then on damage is
 * reported only, also in later runs, until a whole pass has found less than that share, or the
 * operator resets it. Pure. Threads: any. */
#ifndef OBJSRV_FUSE_H
#define OBJSRV_FUSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse {
    double share_max;                /* 0..1; 1: never blows */
    uint64_t damaged_min;            /* so many before the share counts */
    atomic_ullong examined, damaged; /* in this pass */
    atomic_bool blown;
};

void fuse_init(struct fuse *f, double share_max, uint64_t damaged_min, bool blown);
void fuse_examined(struct fuse *f);

/* One more that would be put away: may it be? *ret_just_blown: this was the one too many. */
bool fuse_allows(struct fuse *f, bool *ret_just_blown);

/* After a whole pass: blown from now on? */
bool fuse_after_pass(struct fuse *f);
double fuse_share(const struct fuse *f);

#endif
