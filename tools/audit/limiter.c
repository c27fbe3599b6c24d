/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.c -- see limiter.h. */
#include "tools/audit/limiter.h"
#include "tools/audit/halt.h"

#define CATCH_UP_S 5.0

void limiter_init(struct limiter *l, double per_s)
{
    pthread_mutex_init(&l->lock, NULL);
    l->per_s = per_s;
    l->next_s = 0;
}

void limiter_release(struct limiter *l)
{
    pthread_mutex_destroy(&l->lock);
}

double limiter_book(struct limiter *l, double events, double now_s)
{
    if (l->per_s <= 0 || events <= 0)
        return 0;
    pthread_mutex_lock(&l->lock);
    if (now_s - l->next_s > CATCH_UP_S)
        l->next_s = now_s;
    double wait_s = l->next_s > now_s ? l->next_s - now_s : 0;
    l->next_s += events / l->per_s;
    pthread_mutex_unlock(&l->lock);
    return wait_s;
}

void limiter_wait(struct limiter *l, double events)
{
    if (l->per_s <= 0)
        return;
    double wait_s = limiter_book(l, events, halt_monotonic_s());
    if (wait_s > 0)
        halt_sleep(wait_s);
}
