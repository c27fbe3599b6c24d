/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c -- the time, and a time later than any other (stand-alone mode). */
#include "diskfile/engine/store.h"

#include <time.h>

struct timestamp df_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ticks = (uint64_t)now.tv_sec * TIMESTAMP_TICKS_PER_S + (uint64_t)now.tv_nsec / 10000u;
    return (struct timestamp){.ticks = ticks};
}

struct timestamp df_store_clock(struct df_store *store, struct timestamp after)
{
    unsigned long long last = atomic_load_explicit(&store->last_ticks, memory_order_relaxed);
    unsigned long long next;
    do {
        next = df_now().ticks;
        if (next <= last)
            next = last + 1;
        if (next <= after.ticks)
            next = after.ticks + 1;
    } while (!atomic_compare_exchange_weak_explicit(&store->last_ticks, &last, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return (struct timestamp){.ticks = next};
}
