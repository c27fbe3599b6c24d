/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h -- what the server counts about itself.
 *
 * Each loop has numbers of its own and is the only one that writes them, by plain additions; who
 * wants to know sums them up while they change (/metrics, exposition.c). Nothing is locked.
 *
 * Calling sequence: metrics_of(index) once per loop; then metric_add(), metrics_reply(),
 * metrics_step() on that loop's thread; metric_shared_add() from anywhere.
 * Memory stays until the process ends, so that no count is lost with its loop.
 * Not here: statsd (statsd.h), log lines. */
#ifndef OBJSRV_METRICS_H
#define OBJSRV_METRICS_H

#include "diskfile/slice.h"
#include <stdatomic.h>
#include <stdint.h>

struct request;

enum metric {
#define COUNTER(name, exposed, help) METRIC_##name,
#define SHARED(name, exposed, help)
#include "server/metrics/metrics.def"
#undef COUNTER
#undef SHARED
    METRICS
};

enum metric_shared {
#define COUNTER(name, exposed, help)
#define SHARED(name, exposed, help) METRIC_##name,
#include "server/metrics/metrics.def"
#undef COUNTER
#undef SHARED
    METRICS_SHARED
};

enum metric_verb {
    VERB_GET,
    VERB_HEAD,
    VERB_PUT,
    VERB_POST,
    VERB_DELETE,
    VERB_OPTIONS,
    VERB_REPLICATE,
    VERB_SSYNC,
    VERB_OTHER,
    VERBS
};

/* Written by one thread with a plain addition, read by any. */
struct counter {
    atomic_uint_fast64_t value;
};

static inline void counter_add(struct counter *c, uint64_t n)
{
    uint64_t now = atomic_load_explicit(&c->value, memory_order_relaxed);
    atomic_store_explicit(&c->value, now + n, memory_order_relaxed);
}

static inline uint64_t counter_get(const struct counter *c)
{
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

#define HISTOGRAM_BUCKETS 18 /* the last: longer than any bound */
extern const uint64_t histogram_bounds_ns[HISTOGRAM_BUCKETS - 1];

struct histogram {
    struct counter buckets[HISTOGRAM_BUCKETS]; /* not cumulative */
    struct counter sum_ns;
};

enum {
    STATUS_LEAST = 100,
    STATUS_END = 600,
    DEVICES_MOST = 128, /* a loop that meets more devices counts them as one, named "other" */
    DEVICE_NAME_MAX = 64,
    STEPS_MOST = 24
};

struct device_metrics {
    char name[DEVICE_NAME_MAX];
    struct counter requests, errors, received, sent;
    struct histogram time;
};

struct step_metrics {
    const char *name; /* static text */
    struct histogram time;
};

struct metrics {
    struct counter counters[METRICS];
    struct counter replies[VERBS][STATUS_END - STATUS_LEAST];
    struct histogram good[VERBS], errors[VERBS]; /* status below 500, and from 500 on */
    atomic_uint device_count;                    /* those below it are complete */
    struct device_metrics devices[DEVICES_MOST + 1];
    atomic_uint step_count;
    struct step_metrics steps[STEPS_MOST];
};

/* The numbers of loop `index`; NULL: no memory, which every call below takes. */
struct metrics *metrics_of(unsigned index);

static inline void metric_add(struct metrics *m, enum metric which, uint64_t n)
{
    if (m != NULL)
        counter_add(&m->counters[which], n);
}

/* Any thread; also tells statsd what it is to be told. */
void metric_shared_add(enum metric_shared which);

enum metric_verb metric_verb_of(struct slice method);
extern const char *const metric_verb_names[VERBS];

/* The reply's head is ready: counts it, and sends statsd its time. Not for filters' replies
 * (request.filtered). */
void metrics_reply(const struct request *r);

/* What one step of a disk's work took. `name` is static text. */
void metrics_step(void *metrics, const char *name, uint64_t ns);

/* `bytes` of an object were stored on this device. */
void metrics_stored(struct metrics *m, struct slice device, uint64_t bytes);

/* ---- reading ---- */

struct metrics_text {
    char *text; /* yours to free; NULL: no memory */
    size_t len;
};

/* All of it in the text format of Prometheus, version 0.0.4. */
struct metrics_text metrics_expose(void);

/* For exposition.c: loop `index`'s numbers, or NULL; and how far to count. */
#define METRICS_LOOPS 1024
unsigned metrics_loops(void);
const struct metrics *metrics_peek(unsigned index);
uint64_t metric_shared_get(enum metric_shared which);

#endif
