/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.c -- the text format of Prometheus, of the sums over all loops. */
#include "server/metrics/metrics.h"
#include "server/node/float_text.h"
#include "server/node/log.h"
#include <stdio.h>
#include <stdlib.h>

/* The name that Swift's exporters give to the times of storage servers. */
#define REQUEST_TIME "swift_storage_server"

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ---- sums ---- */

struct sum {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t sum_ns, count;
};

static void sum_histogram(struct sum *s, const struct histogram *h)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t n = counter_get(&h->buckets[i]);
        s->buckets[i] += n;
        s->count += n;
    }
    s->sum_ns += counter_get(&h->sum_ns);
}

static void put_histogram(FILE *out, const char *name, const char *labels, const struct sum *s)
{
    char text[FLOAT_TEXT_MAX];
    uint64_t below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        below += s->buckets[i];
        fprintf(out, "%s_bucket{%s,le=\"%s\"} %llu\n", name, labels,
                float_text((double)histogram_bounds_ns[i] / 1e9, text), (unsigned long long)below);
    }
    fprintf(out, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, labels, (unsigned long long)s->count);
    fprintf(out, "%s_sum{%s} %.9f\n", name, labels, (double)s->sum_ns / 1e9);
    fprintf(out, "%s_count{%s} %llu\n", name, labels, (unsigned long long)s->count);
}

/* ---- plain counters ---- */

static void put_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "counter", help);
    fprintf(out, "%s %llu\n", name, (unsigned long long)value);
}

static uint64_t sum_counter(enum metric which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < metrics_loops(); i++) {
        const struct metrics *m = metrics_peek(i);
        sum += m != NULL ? counter_get(&m->counters[which]) : 0;
    }
    return sum;
}

static void put_counters(FILE *out)
{
#define COUNTER(name, exposed, help) put_counter(out, exposed, help, sum_counter(METRIC_##name));
#define SHARED(name, exposed, help)                                                                \
    put_counter(out, exposed, help, metric_shared_get(METRIC_##name));
#include "server/metrics/metrics.def"
#undef COUNTER
#undef SHARED
    put_counter(out, "objsrv_log_dropped_total", "log lines that syslog could not take at once",
                log_dropped());
}

/* ---- per method ---- */

static uint64_t sum_replies(enum metric_verb verb, unsigned status)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < metrics_loops(); i++) {
        const struct metrics *m = metrics_peek(i);
        sum += m != NULL ? counter_get(&m->replies[verb][status]) : 0;
    }
    return sum;
}

static void put_replies(FILE *out)
{
    head(out, "swift_object_server_requests_total", "counter", "replies by method and status");
    for (enum metric_verb verb = 0; verb < VERBS; verb++)
        for (unsigned status = 0; status < STATUS_END - STATUS_LEAST; status++) {
            uint64_t n = sum_replies(verb, status);
            if (n > 0)
                fprintf(out,
                        "swift_object_server_requests_total{method=\"%s\",status=\"%u\"} %llu\n",
                        metric_verb_names[verb], status + STATUS_LEAST, (unsigned long long)n);
        }
}

static void put_verb_time(FILE *out, enum metric_verb verb, bool errors)
{
    struct sum s = {.count = 0};
    char labels[96];
    for (unsigned i = 0; i < metrics_loops(); i++) {
        const struct metrics *m = metrics_peek(i);
        if (m != NULL)
            sum_histogram(&s, errors ? &m->errors[verb] : &m->good[verb]);
    }
    if (s.count == 0)
        return;
    snprintf(labels, sizeof(labels), "type=\"object-server\",method=\"%s\",status=\"%s\"",
             metric_verb_names[verb], errors ? "errors" : "ok");
    put_histogram(out, REQUEST_TIME, labels, &s);
}

static void put_times(FILE *out)
{
    head(out, REQUEST_TIME, "histogram",
         "seconds from a request's first byte to its reply's head; errors: status 500 or above");
    for (enum metric_verb verb = 0; verb < VERBS; verb++) {
        put_verb_time(out, verb, false);
        put_verb_time(out, verb, true);
    }
}

/* ---- per device, per step: what one loop knows, another may not ---- */

struct device_sum {
    const char *name;
    uint64_t requests, errors, received, sent;
    struct sum time;
};

#define DEVICES_SHOWN 1024

static struct device_sum *sum_for(struct device_sum *sums, unsigned *count, const char *name)
{
    for (unsigned i = 0; i < *count; i++)
        if (strcmp(sums[i].name, name) == 0)
            return &sums[i];
    if (*count == DEVICES_SHOWN)
        return NULL;
    sums[*count].name = name;
    return &sums[(*count)++];
}

static unsigned sum_devices(struct device_sum *sums)
{
    unsigned count = 0;
    for (unsigned i = 0; i < metrics_loops(); i++) {
        const struct metrics *m = metrics_peek(i);
        unsigned known = m ? atomic_load_explicit(&m->device_count, memory_order_acquire) : 0;
        for (unsigned k = 0; k < known; k++) {
            const struct device_metrics *d = &m->devices[k];
            struct device_sum *s = sum_for(sums, &count, d->name);
            if (s == NULL)
                continue;
            s->requests += counter_get(&d->requests);
            s->errors += counter_get(&d->errors);
            s->received += counter_get(&d->received);
            s->sent += counter_get(&d->sent);
            sum_histogram(&s->time, &d->time);
        }
    }
    return count;
}

/* A device's name is plain ASCII, but for what a quote or a backslash would do. */
static void label_of(const char *name, char *label, size_t room)
{
    size_t len = (size_t)snprintf(label, room, "device=\"");
    for (; *name != '\0' && len + 4 < room; name++) {
        if (*name == '"' || *name == '\\' || *name == '\n')
            label[len++] = '\\';
        label[len++] = *name == '\n' ? 'n' : *name;
    }
    memcpy(label + len, "\"", 2);
}

static void put_device_counter(FILE *out, const struct device_sum *sums, unsigned count,
                               const char *name, const char *help, size_t offset)
{
    char label[2 * DEVICE_NAME_MAX + 16];
    head(out, name, "counter", help);
    for (unsigned i = 0; i < count; i++) {
        label_of(sums[i].name, label, sizeof(label));
        uint64_t n = *(const uint64_t *)((const char *)&sums[i] + offset);
        fprintf(out, "%s{%s} %llu\n", name, label, (unsigned long long)n);
    }
}

static void put_devices(FILE *out)
{
    char label[2 * DEVICE_NAME_MAX + 16];
    struct device_sum *sums = calloc(DEVICES_SHOWN, sizeof(*sums));
    if (sums == NULL)
        return;
    unsigned count = sum_devices(sums);
    put_device_counter(out, sums, count, "objsrv_device_requests_total", "requests by device",
                       offsetof(struct device_sum, requests));
    put_device_counter(out, sums, count, "objsrv_device_errors_total",
                       "of these, answered 500 or above", offsetof(struct device_sum, errors));
    put_device_counter(out, sums, count, "objsrv_device_received_bytes_total",
                       "bytes of objects stored", offsetof(struct device_sum, received));
    put_device_counter(out, sums, count, "objsrv_device_sent_bytes_total",
                       "bytes of objects announced to readers", offsetof(struct device_sum, sent));
    head(out, "objsrv_device_request_seconds", "histogram",
         "seconds from a request's first byte to its reply's head");
    for (unsigned i = 0; i < count; i++) {
        label_of(sums[i].name, label, sizeof(label));
        put_histogram(out, "objsrv_device_request_seconds", label, &sums[i].time);
    }
    free(sums);
}

static unsigned sum_steps(const char **names, struct sum *sums)
{
    unsigned count = 0;
    for (unsigned i = 0; i < metrics_loops(); i++) {
        const struct metrics *m = metrics_peek(i);
        unsigned known = m ? atomic_load_explicit(&m->step_count, memory_order_acquire) : 0;
        for (unsigned k = 0; k < known; k++) {
            unsigned at = 0;
            while (at < count && strcmp(names[at], m->steps[k].name) != 0)
                at++;
            if (at == STEPS_MOST)
                continue;
            names[at] = m->steps[k].name;
            count = at == count ? count + 1 : count;
            sum_histogram(&sums[at], &m->steps[k].time);
        }
    }
    return count;
}

static void put_steps(FILE *out)
{
    const char *names[STEPS_MOST];
    struct sum sums[STEPS_MOST] = {{.count = 0}};
    unsigned count = sum_steps(names, sums);
    head(out, "objsrv_step_seconds", "histogram",
         "seconds that each step of an upload or a read took");
    for (unsigned i = 0; i < count; i++) {
        char label[64];
        snprintf(label, sizeof(label), "step=\"%s\"", names[i]);
        put_histogram(out, "objsrv_step_seconds", label, &sums[i]);
    }
}

struct metrics_text metrics_expose(void)
{
    struct metrics_text t = {.text = NULL};
    FILE *out = open_memstream(&t.text, &t.len);
    if (out == NULL)
        return (struct metrics_text){.text = NULL};
    head(out, "objsrv_build_info", "gauge", "always 1; the version is its label");
    fprintf(out, "objsrv_build_info{version=\"%s\"} 1\n", OBJSRV_VERSION);
    put_counters(out);
    put_replies(out);
    put_times(out);
    put_devices(out);
    put_steps(out);
    bool bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad) {
        free(t.text);
        t.text = NULL;
    }
    return t;
}
