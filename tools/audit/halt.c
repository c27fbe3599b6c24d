/* SPDX-License-Identifier: Apache-2.0 */
/* halt.c -- see halt.h. */
#include "tools/audit/halt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define SLEW_MAX_S 2.0 /* what ntpd may have put right in the meantime */

static struct {
    atomic_bool asked;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct clock_reading start;
} halt = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double clock_s(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double halt_monotonic_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

static struct clock_reading read_clocks(void)
{
    return (struct clock_reading){clock_s(CLOCK_REALTIME), clock_s(CLOCK_BOOTTIME)};
}

void halt_init(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&halt.changed, &attr);
    pthread_condattr_destroy(&attr);
    halt.start = read_clocks();
}

void halt_now(void)
{
    pthread_mutex_lock(&halt.lock);
    atomic_store(&halt.asked, true);
    pthread_cond_broadcast(&halt.changed);
    pthread_mutex_unlock(&halt.lock);
}

bool halted(void)
{
    return atomic_load_explicit(&halt.asked, memory_order_relaxed);
}

void halt_sleep(double s)
{
    double end_s = halt_monotonic_s() + s;
    struct timespec end = {.tv_sec = (time_t)end_s};
    end.tv_nsec = (long)((end_s - (double)end.tv_sec) * 1e9);
    pthread_mutex_lock(&halt.lock);
    while (!halted() && pthread_cond_timedwait(&halt.changed, &halt.lock, &end) == 0)
        ;
    pthread_mutex_unlock(&halt.lock);
}

double trusted_s(const struct clock_reading *start, const struct clock_reading *now,
                 double *ret_jumped_s)
{
    double elapsed_s = now->boot_s - start->boot_s;
    double most_s = start->real_s + elapsed_s * 1.001 + SLEW_MAX_S;
    if (ret_jumped_s)
        *ret_jumped_s = now->real_s - (start->real_s + elapsed_s);
    return now->real_s < most_s ? now->real_s : most_s;
}

double trusted_now_s(double *ret_jumped_s)
{
    struct clock_reading now = read_clocks();
    return trusted_s(&halt.start, &now, ret_jumped_s);
}

struct timestamp trusted_now(void)
{
    double now_s = trusted_now_s(NULL);
    return (struct timestamp){.ticks = now_s > 0 ? (uint64_t)(now_s * TIMESTAMP_TICKS_PER_S) : 0};
}
