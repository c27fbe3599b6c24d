/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics/metrics.h"
#include "server/http/request.h"
#include "server/loop.h"
#include "server/metrics/statsd.h"
#include <stdlib.h>

#define MS 1000000ull

const uint64_t histogram_bounds_ns[HISTOGRAM_BUCKETS - 1] = {
    MS / 10,  MS / 4,   MS / 2,   MS,        5 * MS / 2, 5 * MS,    10 * MS,    25 * MS,   50 * MS,
    100 * MS, 250 * MS, 500 * MS, 1000 * MS, 2500 * MS,  5000 * MS, 10000 * MS, 30000 * MS};

const char *const metric_verb_names[VERBS] = {[VERB_GET] = "GET",
                                              [VERB_HEAD] = "HEAD",
                                              [VERB_PUT] = "PUT",
                                              [VERB_POST] = "POST",
                                              [VERB_DELETE] = "DELETE",
                                              [VERB_OPTIONS] = "OPTIONS",
                                              [VERB_REPLICATE] = "REPLICATE",
                                              [VERB_SSYNC] = "SSYNC",
                                              [VERB_OTHER] = "other"};

static struct metrics *_Atomic loops[METRICS_LOOPS];
static atomic_uint loop_count; /* highest index in use, and one */
static atomic_uint_fast64_t shared[METRICS_SHARED];

struct metrics *metrics_of(unsigned index)
{
    if (index >= METRICS_LOOPS)
        return NULL;
    struct metrics *m = atomic_load(&loops[index]);
    if (m == NULL) {
        m = calloc(1, sizeof(*m));
        atomic_store(&loops[index], m);
        unsigned count = atomic_load(&loop_count);
        while (count <= index && !atomic_compare_exchange_weak(&loop_count, &count, index + 1))
            ;
    }
    return m;
}

unsigned metrics_loops(void)
{
    return atomic_load(&loop_count);
}

const struct metrics *metrics_peek(unsigned index)
{
    return index < METRICS_LOOPS ? atomic_load(&loops[index]) : NULL;
}

void metric_shared_add(enum metric_shared which)
{
    atomic_fetch_add_explicit(&shared[which], 1, memory_order_relaxed);
    if (which == METRIC_quarantines)
        statsd_count("quarantines");
    else if (which == METRIC_async_pendings)
        statsd_count("async_pendings");
}

uint64_t metric_shared_get(enum metric_shared which)
{
    return atomic_load_explicit(&shared[which], memory_order_relaxed);
}

enum metric_verb metric_verb_of(struct slice method)
{
    enum metric_verb v = 0;
    while (v < VERB_OTHER && !slice_eq(method, slice_of(metric_verb_names[v])))
        v++;
    return v;
}

static void histogram_add(struct histogram *h, uint64_t ns)
{
    unsigned i = 0;
    while (i < HISTOGRAM_BUCKETS - 1 && ns > histogram_bounds_ns[i])
        i++;
    counter_add(&h->buckets[i], 1);
    counter_add(&h->sum_ns, ns);
}

/* ---- devices ---- */

static struct device_metrics *find_device(struct metrics *m, struct slice name)
{
    unsigned count = atomic_load_explicit(&m->device_count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        if (slice_eq(slice_of(m->devices[i].name), name))
            return &m->devices[i];
    return NULL;
}

/* The last place is for all that find no other. */
static struct device_metrics *add_device(struct metrics *m, struct slice name)
{
    unsigned count = atomic_load_explicit(&m->device_count, memory_order_relaxed);
    if (count > DEVICES_MOST)
        return &m->devices[DEVICES_MOST];
    struct slice as = count == DEVICES_MOST ? SLICE("other") : name;
    memcpy(m->devices[count].name, as.at, as.len);
    atomic_store_explicit(&m->device_count, count + 1, memory_order_release);
    return &m->devices[count];
}

/* A client may name what it likes: a name enters the table by a reply that only a device gives. */
static struct device_metrics *device_of(struct metrics *m, struct slice name, int status)
{
    if (name.len == 0 || name.len >= DEVICE_NAME_MAX)
        return NULL;
    struct device_metrics *d = find_device(m, name);
    return d != NULL || status >= 300 ? d : add_device(m, name);
}

static void count_device(struct metrics *m, const struct request *r, uint64_t took_ns,
                         uint64_t sent)
{
    struct device_metrics *d = device_of(m, r->device, r->status);
    if (d == NULL)
        return;
    counter_add(&d->requests, 1);
    counter_add(&d->errors, r->status >= 500);
    counter_add(&d->sent, sent);
    histogram_add(&d->time, took_ns);
}

void metrics_stored(struct metrics *m, struct slice device, uint64_t bytes)
{
    struct device_metrics *d = m != NULL ? device_of(m, device, 201) : NULL;
    metric_add(m, METRIC_bytes_received, bytes);
    if (d != NULL)
        counter_add(&d->received, bytes);
}

/* ---- requests ---- */

static uint64_t bytes_of(const struct request *r, enum metric_verb verb)
{
    bool sends = verb == VERB_GET && (r->status == 200 || r->status == 206);
    return sends && r->reply_length > 0 ? (uint64_t)r->reply_length : 0;
}

void metrics_reply(const struct request *r)
{
    struct metrics *m = r->loop->metrics;
    if (r->filtered || m == NULL)
        return;
    enum metric_verb verb = metric_verb_of(r->method);
    uint64_t now = uv_hrtime(), took_ns = now > r->started_ns ? now - r->started_ns : 0;
    uint64_t sent = bytes_of(r, verb);
    if (r->status >= STATUS_LEAST && r->status < STATUS_END)
        counter_add(&m->replies[verb][r->status - STATUS_LEAST], 1);
    histogram_add(r->status >= 500 ? &m->errors[verb] : &m->good[verb], took_ns);
    metric_add(m, METRIC_bytes_sent, sent);
    count_device(m, r, took_ns, sent);
    if (!r->untimed && verb != VERB_OTHER && statsd_is_on())
        statsd_request(verb, r->status, took_ns);
}

/* ---- steps ---- */

void metrics_step(void *metrics, const char *name, uint64_t ns)
{
    struct metrics *m = metrics;
    if (m == NULL)
        return;
    unsigned i = 0, count = atomic_load_explicit(&m->step_count, memory_order_relaxed);
    while (i < count && m->steps[i].name != name && strcmp(m->steps[i].name, name) != 0)
        i++;
    if (i == STEPS_MOST)
        return; /* a table of steps outgrew this: tests/metrics asks for each of them */
    if (i == count) {
        m->steps[i].name = name;
        atomic_store_explicit(&m->step_count, count + 1, memory_order_release);
    }
    histogram_add(&m->steps[i].time, ns);
}
