/* SPDX-License-Identifier: Apache-2.0 */
/* fuse.c -- see fuse.h. */
#include "tools/audit/fuse.h"

void fuse_init(struct fuse *f, double share_max, uint64_t damaged_min, bool blown)
{
    f->share_max = share_max;
    f->damaged_min = damaged_min;
    atomic_init(&f->examined, 0);
    atomic_init(&f->damaged, 0);
    atomic_init(&f->blown, blown);
}

void fuse_examined(struct fuse *f)
{
    atomic_fetch_add_explicit(&f->examined, 1, memory_order_relaxed);
}

static bool is_too_much(const struct fuse *f, uint64_t damaged, uint64_t examined)
{
    return f->share_max < 1 && damaged > f->damaged_min &&
           (double)damaged > f->share_max * (double)examined;
}

bool fuse_allows(struct fuse *f, bool *ret_just_blown)
{
    uint64_t damaged = atomic_fetch_add(&f->damaged, 1) + 1;
    *ret_just_blown = false;
    if (atomic_load(&f->blown))
        return false;
    if (!is_too_much(f, damaged, atomic_load(&f->examined)))
        return true;
    *ret_just_blown = !atomic_exchange(&f->blown, true);
    return false;
}

bool fuse_after_pass(struct fuse *f)
{
    bool blown = is_too_much(f, atomic_load(&f->damaged), atomic_load(&f->examined));
    atomic_store(&f->blown, blown);
    return blown;
}

double fuse_share(const struct fuse *f)
{
    uint64_t examined = atomic_load(&f->examined);
    return examined ? (double)atomic_load(&f->damaged) / (double)examined : 0;
}
