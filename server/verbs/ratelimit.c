/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/ratelimit.h"
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include "server/metrics/statsd.h"
#include "server/node/config.h"
#include "server/node/ini.h"
#include "server/node/log.h"
#include "server/offload.h"
#include "server/verbs/bucket.h"
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECTION      "backend_ratelimit"
#define LOOPS_MOST   1024
#define DEVICES_MOST 256 /* of a loop; beyond that the one longest unused makes room */
#define NS_PER_S     1e9

/* ---- the rates ---- */

enum { RATE_ANY, RATE_DELETE, RATE_GET, RATE_HEAD, RATE_POST, RATE_PUT, RATE_REPLICATE, RATES };

static const struct {
    const char *method;
    const char *option;
    size_t offset; /* in struct config */
} rates[RATES] = {
#define RATE(method, name)                                                                         \
    {                                                                                              \
        method, #name, offsetof(struct config, name)                                               \
    }
    [RATE_ANY] = RATE("", requests_per_device_per_second),
    [RATE_DELETE] = RATE("DELETE", delete_requests_per_device_per_second),
    [RATE_GET] = RATE("GET", get_requests_per_device_per_second),
    [RATE_HEAD] = RATE("HEAD", head_requests_per_device_per_second),
    [RATE_POST] = RATE("POST", post_requests_per_device_per_second),
    [RATE_PUT] = RATE("PUT", put_requests_per_device_per_second),
    [RATE_REPLICATE] = RATE("REPLICATE", replicate_requests_per_device_per_second),
#undef RATE
};

/* Read by every loop, written by whoever reads the file. One value at a time is enough: a request
 * in between sees an old rate beside a new one, and no harm done. */
static struct {
    _Atomic double rate[RATES];
    _Atomic double buffer_s;
    double configured[RATES], configured_buffer_s;
    int64_t interval_ns; /* 0: never again */
    _Atomic int64_t due_ns;
    char *path;
} limits;

static bool parse_number(const char *text, double *ret)
{
    char *end;
    *ret = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret) && *ret >= 0;
}

static int read_option(const struct ini *ini, const char *name, double *value, char *problem,
                       size_t problem_len)
{
    const struct ini_section *s = ini_find_section(ini, SECTION);
    const struct ini_option *option = s != NULL ? ini_find(ini, s, name) : NULL;
    char *text;
    if (option == NULL)
        return 0;
    int res = ini_value(ini, s, option, &text, problem, problem_len);
    if (res < 0)
        return res;
    if (!parse_number(text, value)) {
        snprintf(problem, problem_len, "%s:%u: [" SECTION "] %s = %s: expected a number, 0 or more",
                 option->file, option->line, name, text);
        res = -EINVAL;
    }
    free(text);
    return res;
}

static int read_limits(double *rate, double *buffer_s, char *problem, size_t problem_len)
{
    struct ini *ini = ini_new(0);
    int res = ini_read(ini, limits.path, problem, problem_len);
    for (unsigned i = 0; i < RATES && res == 0; i++)
        res = read_option(ini, rates[i].option, &rate[i], problem, problem_len);
    if (res == 0)
        res = read_option(ini, "requests_per_device_rate_buffer", buffer_s, problem, problem_len);
    ini_free(ini);
    return res;
}

/* The file's options over those of the filter. A file that is not there has none. */
static int load(char *problem, size_t problem_len)
{
    double rate[RATES], buffer_s = limits.configured_buffer_s;
    memcpy(rate, limits.configured, sizeof(rate));
    int res = 0;
    if (access(limits.path, F_OK) == 0)
        res = read_limits(rate, &buffer_s, problem, problem_len);
    if (res < 0)
        return res;
    for (unsigned i = 0; i < RATES; i++)
        atomic_store(&limits.rate[i], rate[i]);
    atomic_store(&limits.buffer_s, buffer_s);
    return 0;
}

int ratelimit_open(const struct config *c, char *problem, size_t problem_len)
{
    for (unsigned i = 0; i < RATES; i++)
        memcpy(&limits.configured[i], (const char *)c + rates[i].offset, sizeof(double));
    limits.configured_buffer_s = c->requests_per_device_rate_buffer;
    limits.interval_ns = (int64_t)(c->config_reload_interval * NS_PER_S);
    limits.due_ns = (int64_t)uv_hrtime() + limits.interval_ns;
    free(limits.path);
    limits.path = strdup(c->backend_ratelimit_conf_path);
    if (limits.path == NULL)
        return -ENOMEM;
    return load(problem, problem_len);
}

/* ---- the file again ---- */

static void reload(struct offload_work *work)
{
    char problem[1024] = "";
    if (load(problem, sizeof(problem)) < 0)
        log_line(LOG_LEVEL_ERROR, "%s; the rates stay as they are", problem);
}

static void forget(struct offload_work *work)
{
    free(work);
}

static void reload_if_due(struct loop *l, int64_t now_ns)
{
    int64_t due = atomic_load_explicit(&limits.due_ns, memory_order_relaxed);
    if (limits.interval_ns == 0 || now_ns < due ||
        !atomic_compare_exchange_strong(&limits.due_ns, &due, now_ns + limits.interval_ns))
        return;
    struct offload_work *work = calloc(1, sizeof(*work));
    if (work == NULL)
        return;
    *work = (struct offload_work){.run = reload, .done = forget, .free = forget};
    if (offload_run(l->offload, work) < 0)
        free(work); /* the next interval will do */
}

/* ---- buckets ---- */

struct device_buckets {
    char name[64];
    int64_t used_ns;
    struct bucket bucket[RATES];
};

struct loop_buckets {
    unsigned count;
    struct device_buckets devices[DEVICES_MOST];
};

/* Each is touched by its own loop only, and stays: there are no more of them than workers. */
static struct loop_buckets *tables[LOOPS_MOST];

static struct loop_buckets *table_of(const struct loop *l)
{
    if (l->index >= LOOPS_MOST)
        return NULL;
    if (tables[l->index] == NULL)
        tables[l->index] = calloc(1, sizeof(struct loop_buckets));
    return tables[l->index];
}

static struct device_buckets *device_of(struct loop_buckets *t, struct slice name)
{
    struct device_buckets *oldest = &t->devices[0];
    for (unsigned i = 0; i < t->count; i++) {
        struct device_buckets *d = &t->devices[i];
        if (slice_eq(slice_of(d->name), name))
            return d;
        if (d->used_ns < oldest->used_ns)
            oldest = d;
    }
    struct device_buckets *d = t->count < DEVICES_MOST ? &t->devices[t->count++] : oldest;
    *d = (struct device_buckets){.used_ns = 0};
    memcpy(d->name, name.at, name.len);
    return d;
}

/* ---- requests ---- */

/* "/device/partition..." with a number for a partition; else the limits do not apply. */
static bool find_device(struct slice path, struct slice *ret_device)
{
    if (path.len < 2 || path.at[0] != '/')
        return false;
    const char *slash = memchr(path.at + 1, '/', path.len - 1);
    if (slash == NULL)
        return false;
    *ret_device = (struct slice){path.at + 1, (size_t)(slash - path.at) - 1};
    const char *end = path.at + path.len, *at = slash + 1;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return ret_device->len > 0 && ret_device->len < 64 &&
           memchr(ret_device->at, '\0', ret_device->len) == NULL && at > slash + 1 &&
           (at == end || *at == '/');
}

static unsigned rate_of(struct slice method)
{
    for (unsigned i = RATE_ANY + 1; i < RATES; i++)
        if (slice_eq(method, slice_of(rates[i].method)))
            return i;
    return RATE_ANY;
}

bool ratelimit_allows(struct request *r)
{
    struct slice name;
    int64_t now_ns = (int64_t)uv_hrtime();
    reload_if_due(r->loop, now_ns);
    struct loop_buckets *t = find_device(r->path, &name) ? table_of(r->loop) : NULL;
    if (t == NULL)
        return true;
    struct device_buckets *d = device_of(t, name);
    double buffer_s = atomic_load_explicit(&limits.buffer_s, memory_order_relaxed);
    unsigned own = rate_of(r->method);
    d->used_ns = now_ns;
    bool allowed =
        bucket_take(&d->bucket[RATE_ANY], atomic_load(&limits.rate[RATE_ANY]), buffer_s, now_ns);
    return allowed &&
           (own == RATE_ANY ||
            bucket_take(&d->bucket[own], atomic_load(&limits.rate[own]), buffer_s, now_ns));
}

void ratelimit_answer(struct request *r)
{
    metric_add(r->loop->metrics, METRIC_ratelimited, 1);
    statsd_count("backend.ratelimit");
    reply_default(r, 529);
    request_done(r);
}
