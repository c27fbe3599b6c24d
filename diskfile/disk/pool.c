/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c -- the threads and the limits of one device.
 *
 * At most one thread is called (woken or started) per waiting job, and none while enough
 * are on their way: `coming` counts those. A thread that ends a job takes the next one
 * itself, so under load nobody is woken at all. Jobs block for whole disk writes, so a
 * thread takes one at a time: a batch would wait behind its own first job.
 *
 * The thread that went idle last is called first: its caches are warm, and those that are
 * not needed get old and end.
 *
 * Workers live in the device, not on their stacks, so a thread may be signalled after the
 * lock is dropped, when it may be up already and gone. */
#include "diskfile/disk/chain.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Room for a few PATH_MAX buffers; sanitizers need more per frame and for their TLS. */
#ifdef SANITIZED
#define STACK_BYTES (2048 * 1024)
#else
#define STACK_BYTES (256 * 1024)
#endif

struct worker {
    struct disk_device *device;
    pthread_cond_t wake;
    bool called;
    struct worker *next; /* on the idle stack or the list of unused workers */
};

struct disk_device {
    pthread_mutex_t lock; /* over all but the atomics and what never changes */
    struct disk_job *head, **tail;
    unsigned queued;
    unsigned threads;
    unsigned coming;       /* called or being started, not yet at the queue */
    struct worker *idle;   /* a stack */
    struct worker *unused; /* have no thread */
    pthread_cond_t gone;   /* a thread ended */
    pthread_t ended;       /* the last that did; joined by the next one, or by free */
    bool has_ended, ending;
    atomic_uint admitted, rings;
    uint64_t serial;
    struct disk_device_limits limits;
    char *name;
    struct worker workers[]; /* threads_max */
};

static struct disk_job *take_job(struct disk_device *d)
{
    struct disk_job *job = d->head;
    if (!job)
        return NULL;
    d->head = job->next;
    if (!d->head)
        d->tail = &d->head;
    d->queued--;
    return job;
}

/* Locked. false: it was not called for idle_s, and ends. */
static bool wait_for_call(struct disk_device *d, struct worker *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += d->limits.idle_s;
    w->called = false;
    w->next = d->idle;
    d->idle = w;
    while (!w->called) {
        int r = pthread_cond_timedwait(&w->wake, &d->lock, &until);
        if (r == ETIMEDOUT && !w->called) {
            struct worker **at = &d->idle;
            while (*at != w)
                at = &(*at)->next;
            *at = w->next;
            return false;
        }
    }
    d->coming--;
    return true;
}

/* Locked; unlocks. Each thread that ends joins the one before, free() joins the last. */
static void leave_pool(struct disk_device *d, struct worker *w)
{
    pthread_t before = d->ended;
    bool has_before = d->has_ended;
    d->ended = pthread_self();
    d->has_ended = true;
    d->threads--;
    w->next = d->unused;
    d->unused = w;
    if (d->ending)
        pthread_cond_signal(&d->gone);
    pthread_mutex_unlock(&d->lock);
    if (has_before)
        pthread_join(before, NULL);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct disk_device *d = w->device;
    char name[16] = {0};
    (void)strncat(name, d->name, sizeof name - 1);
    (void)pthread_setname_np(pthread_self(), name); /* only for whoever looks at top(1) */

    pthread_mutex_lock(&d->lock);
    d->coming--;
    do {
        struct disk_job *job;
        while ((job = take_job(d))) {
            pthread_mutex_unlock(&d->lock);
            job->run(job);
            pthread_mutex_lock(&d->lock);
        }
    } while (!d->ending && wait_for_call(d, w));
    leave_pool(d, w);
    return NULL;
}

static int start_thread(struct worker *w)
{
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r != 0)
        return -r;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES); /* else the default: larger */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are the main thread's */
    pthread_t thread;
    r = pthread_create(&thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

/* Locked. The worker to be signalled, if more jobs wait than threads are on their way. */
static struct worker *call_idle(struct disk_device *d)
{
    struct worker *w = d->idle;
    if (!w || d->queued <= d->coming)
        return NULL;
    d->idle = w->next;
    w->called = true;
    d->coming++;
    return w;
}

/* No thread for `w`, so those who counted on it call somebody else. If there is no thread at
 * all, the caller has to do the work: slow, not lost. */
static void do_without(struct disk_device *d, struct worker *w)
{
    struct worker *call;
    struct disk_job *job;
    pthread_mutex_lock(&d->lock);
    d->threads--;
    d->coming--;
    w->next = d->unused;
    d->unused = w;
    while ((call = call_idle(d)))
        pthread_cond_signal(&call->wake);
    while (d->threads == 0 && (job = take_job(d))) {
        pthread_mutex_unlock(&d->lock);
        job->run(job);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
}

void disk_device_queue(struct disk_device *d, struct disk_job *job)
{
    struct worker *start = NULL;
    job->next = NULL;
    pthread_mutex_lock(&d->lock);
    *d->tail = job;
    d->tail = &job->next;
    d->queued++;
    struct worker *call = call_idle(d);
    if (!call && d->queued > d->coming && d->unused) {
        start = d->unused;
        d->unused = start->next;
        d->threads++;
        d->coming++;
    }
    pthread_mutex_unlock(&d->lock);
    if (call)
        pthread_cond_signal(&call->wake);
    if (start && start_thread(start) < 0)
        do_without(d, start);
}

int disk_device_new(const char *name, const struct disk_device_limits *limits,
                    struct disk_device **ret_device)
{
    static _Atomic uint64_t serial;
    assert(limits->threads_max > 0);
    struct disk_device *d = calloc(1, sizeof *d + limits->threads_max * sizeof(struct worker));
    if (!d)
        return -ENOMEM;
    d->name = strdup(name);
    if (!d->name) {
        free(d);
        return -ENOMEM;
    }
    d->limits = *limits;
    d->serial = atomic_fetch_add(&serial, 1);
    d->tail = &d->head;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->gone, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    for (unsigned i = 0; i < limits->threads_max; i++) {
        struct worker *w = &d->workers[i];
        w->device = d;
        pthread_cond_init(&w->wake, &monotonic);
        w->next = d->unused;
        d->unused = w;
    }
    pthread_condattr_destroy(&monotonic);
    *ret_device = d;
    return 0;
}

void disk_device_free(struct disk_device *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    assert(d->queued == 0);
    d->ending = true;
    while (d->threads > 0) {
        for (struct worker *w; (w = d->idle);) {
            d->idle = w->next;
            w->called = true;
            d->coming++;
            pthread_cond_signal(&w->wake);
        }
        pthread_cond_wait(&d->gone, &d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    if (d->has_ended)
        pthread_join(d->ended, NULL);
    for (unsigned i = 0; i < d->limits.threads_max; i++)
        pthread_cond_destroy(&d->workers[i].wake);
    pthread_cond_destroy(&d->gone);
    pthread_mutex_destroy(&d->lock);
    free(d->name);
    free(d);
}

const char *disk_device_name(const struct disk_device *d)
{
    return d->name;
}

bool disk_device_admit(struct disk_device *d)
{
    unsigned before = atomic_fetch_add_explicit(&d->admitted, 1, memory_order_relaxed);
    if (before < d->limits.requests_max)
        return true;
    atomic_fetch_sub_explicit(&d->admitted, 1, memory_order_relaxed);
    return false;
}

void disk_device_leave(struct disk_device *d)
{
    unsigned before = atomic_fetch_sub_explicit(&d->admitted, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
}

unsigned disk_device_admitted(const struct disk_device *d)
{
    return atomic_load_explicit(&d->admitted, memory_order_relaxed);
}

uint64_t disk_device_serial(const struct disk_device *d)
{
    return d->serial;
}

void disk_device_add_ring(struct disk_device *d)
{
    atomic_fetch_add_explicit(&d->rings, 1, memory_order_relaxed);
}

unsigned disk_device_ring_share(const struct disk_device *d)
{
    unsigned rings = atomic_load_explicit(&d->rings, memory_order_relaxed);
    unsigned share = d->limits.ring_ops_max / (rings > 0 ? rings : 1);
    return share > 0 ? share : 1;
}
