/* SPDX-License-Identifier: Apache-2.0 */
#include "server/offload.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Lives until the loop has closed it and the last thread that works for it has ended. */
struct offload {
    pthread_mutex_t lock; /* guards all below, and work->forgotten */
    uv_async_t *wake;     /* NULL: closed */
    struct offload_work *finished;
    unsigned users; /* the loop, and each thread */
};

static atomic_uint running;

static void unlock_and_leave(struct offload *o)
{
    bool last = --o->users == 0;
    pthread_mutex_unlock(&o->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static void on_wake(uv_async_t *wake)
{
    struct offload *o = wake->data;
    pthread_mutex_lock(&o->lock);
    struct offload_work *work = o->finished;
    o->finished = NULL;
    pthread_mutex_unlock(&o->lock);
    while (work != NULL) {
        struct offload_work *next = work->next;
        if (work->forgotten)
            work->free(work);
        else
            work->done(work);
        work = next;
    }
}

struct offload *offload_new(uv_loop_t *uv)
{
    struct offload *o = calloc(1, sizeof(*o));
    uv_async_t *wake = o != NULL ? calloc(1, sizeof(*wake)) : NULL;
    if (wake == NULL || uv_async_init(uv, wake, on_wake) < 0) {
        free(wake);
        free(o);
        return NULL;
    }
    (void)pthread_mutex_init(&o->lock, NULL);
    wake->data = o;
    o->wake = wake;
    o->users = 1;
    return o;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void offload_close(struct offload *o)
{
    pthread_mutex_lock(&o->lock);
    struct offload_work *work = o->finished;
    o->finished = NULL;
    uv_close((uv_handle_t *)o->wake, on_closed);
    o->wake = NULL;
    unlock_and_leave(o);
    while (work != NULL) { /* no connection is left that could wait for it */
        struct offload_work *next = work->next;
        work->free(work);
        work = next;
    }
}

static void hand_back(struct offload_work *work)
{
    struct offload *o = work->owner;
    pthread_mutex_lock(&o->lock);
    bool wanted = o->wake != NULL && !work->forgotten;
    if (wanted) {
        work->next = o->finished;
        o->finished = work;
        (void)uv_async_send(o->wake); /* cannot fail on an open handle */
    }
    unlock_and_leave(o);
    if (!wanted)
        work->free(work);
}

static void *work_thread(void *arg)
{
    struct offload_work *work = arg;
    work->run(work);
    atomic_fetch_sub(&running, 1);
    hand_back(work);
    return NULL;
}

static int start_thread(struct offload_work *work)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0)
        return -EAGAIN;
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int res = pthread_create(&thread, &attr, work_thread, work) == 0 ? 0 : -EAGAIN;
    (void)pthread_attr_destroy(&attr);
    return res;
}

int offload_run(struct offload *o, struct offload_work *work)
{
    if (atomic_fetch_add(&running, 1) >= OFFLOAD_MOST) {
        atomic_fetch_sub(&running, 1);
        return -EBUSY;
    }
    work->owner = o;
    work->forgotten = false;
    pthread_mutex_lock(&o->lock);
    o->users++;
    pthread_mutex_unlock(&o->lock);
    int res = start_thread(work);
    if (res < 0) {
        atomic_fetch_sub(&running, 1);
        pthread_mutex_lock(&o->lock);
        unlock_and_leave(o);
    }
    return res;
}

void offload_forget(struct offload_work *take_work)
{
    struct offload *o = take_work->owner;
    pthread_mutex_lock(&o->lock);
    take_work->forgotten = true;
    pthread_mutex_unlock(&o->lock);
}
