/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.h -- so much per second and no more, over all threads that ask.
 *
 * Swift's rule (replication-and-audit 4.4): who has not used its share catches up on up to
 * 5 s of it, no more. Threads: any. */
#ifndef OBJSRV_LIMITER_H
#define OBJSRV_LIMITER_H

#include <pthread.h>
#include <stdint.h>

struct limiter {
    pthread_mutex_t lock;
    double per_s;  /* 0: unlimited */
    double next_s; /* when the next event is due */
};

void limiter_init(struct limiter *l, double per_s);
void limiter_release(struct limiter *l);

/* Books `events` at `now_s` and returns for how long the caller has to sleep. Pure but for
 * the limiter. */
double limiter_book(struct limiter *l, double events, double now_s);

/* Sleeps as long as that asks for, or until a stop (halt.h). */
void limiter_wait(struct limiter *l, double events);

#endif
