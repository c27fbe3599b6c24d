/* SPDX-License-Identifier: Apache-2.0 */
/* pass_log.c -- the lines of Swift's auditor, and recon's numbers
 * (replication-and-audit 4.5). */
#include "tools/audit/halt.h"
#include "tools/audit/pass.h"
#include "tools/audit/recon.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define COMPLAIN_EVERY_S 3600.0

static double real_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What Swift counts as passed: everything that was looked at and could be judged. */
static uint64_t passes(const struct tally_sum *s)
{
    return s->examined > s->errors ? s->examined - s->errors : 0;
}

/* ---- recon ---- */

static json_t *numbers(const struct pass *p, const struct tally_sum *since, double audit_s)
{
    const struct tally_sum *was = &p->logged;
    return json_pack("{s:f, s:I, s:I, s:I, s:I, s:f}", "audit_time", audit_s, "bytes_processed",
                     (json_int_t)(since->bytes - was->bytes), "errors",
                     (json_int_t)(since->errors - was->errors), "passes",
                     (json_int_t)(passes(since) - passes(was)), "quarantined",
                     (json_int_t)(since->quarantined - was->quarantined), "start_time",
                     p->logged_from_real_s);
}

static int set_coverage(json_t *v, struct device *d)
{
    char key[32];
    int r = 0;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < sizeof(coverage_days) / sizeof(coverage_days[0]) && r == 0; i++) {
        struct coverage_sum sum;
        coverage_within(&d->coverage, trusted_now_s(NULL), coverage_days[i], &sum);
        snprintf(key, sizeof(key), "verified_%ud", coverage_days[i]);
        r = json_object_set_new(
            v, key,
            json_real(sum.partitions ? (double)sum.fresh_partitions / (double)sum.partitions : 1));
    }
    pthread_mutex_unlock(&d->lock);
    return r;
}

/* {"objsrv_audit": {"sda1": {"fuse_blown": false, "verified_7d": 0.93, ...}}} */
static int add_devices(json_t *update, const struct pass *p)
{
    json_t *all = json_object();
    int r = json_object_set_new(update, "objsrv_audit", all);
    for (unsigned i = 0; i < p->device_count && r == 0; i++) {
        struct device *d = p->devices[i];
        json_t *v = json_pack("{s:f, s:b}", "updated", real_s(), "fuse_blown",
                              d->fuse[0].blown || d->fuse[1].blown);
        r = json_object_set_new_nocheck(all, d->name, v);
        r = r < 0 ? r : set_coverage(v, d);
    }
    return r;
}

static void dump(struct run *run, json_t *update)
{
    if (!run->settings->recon_file)
        return;
    int r = update ? recon_dump(run->settings->recon_file, update) : -ENOMEM;
    double now_s = halt_monotonic_s();
    if (r == 0 || (run->recon_warned_s > 0 && now_s - run->recon_warned_s < COMPLAIN_EVERY_S))
        return;
    run->recon_warned_s = now_s;
    report_line(LOG_LEVEL_ERROR, "Exception dumping recon cache: %s: %s", run->settings->recon_file,
                strerror(-r));
}

static void dump_pass(struct pass *p, const struct tally_sum *sum, double audit_s)
{
    char key[64];
    if (p->run->dry_run || p->type == AUDIT_SWEEP)
        return;
    snprintf(key, sizeof(key), "object_auditor_stats_%s", audit_type_name(p->type));
    json_t *update = json_object(), *at = update;
    const char *name = key;
    int r = 0;
    if (p->named) {
        r = json_object_set_new(update, key, json_object());
        at = json_object_get(update, key);
        name = p->recon_key;
    }
    r = r < 0 ? r : json_object_set_new_nocheck(at, name, numbers(p, sum, audit_s));
    r = r < 0 ? r : add_devices(update, p);
    dump(p->run, r == 0 ? update : NULL);
    json_decref(update);
}

void pass_recon_clear(struct run *run, enum audit_type type)
{
    char key[64];
    if (run->dry_run)
        return;
    snprintf(key, sizeof(key), "object_auditor_stats_%s", audit_type_name(type));
    json_t *update = json_pack("{s:{}}", key);
    dump(run, update);
    json_decref(update);
}

/* ---- the log ---- */

static const char *mode(const struct pass *p)
{
    return p->run->once ? "once" : "forever";
}

void pass_log_begin(struct pass *p)
{
    p->begin_s = p->logged_from_s = halt_monotonic_s();
    p->logged_from_real_s = real_s();
    atomic_store(&p->next_log_s, 0.0);
    report_line(LOG_LEVEL_INFO, "Begin object audit \"%s\" mode (%s%s)", mode(p),
                audit_type_name(p->type), p->description);
}

static void log_progress(struct pass *p, double now_s, const struct tally_sum *sum)
{
    char since[32];
    time_t from = (time_t)p->logged_from_real_s;
    struct tm tm;
    const struct tally_sum *was = &p->logged;
    double span_s = now_s - p->logged_from_s, total_s = now_s - p->begin_s;
    span_s = span_s > 0 ? span_s : 1e-6;
    localtime_r(&from, &tm);
    strftime(since, sizeof(since), "%a %b %e %H:%M:%S %Y", &tm);
    uint64_t passed = passes(sum) - passes(was);
    report_line(LOG_LEVEL_INFO,
                "Object audit (%s%s). Since %s: Locally: %llu passed, %llu quarantined, %llu "
                "errors, files/sec: %.2f, bytes/sec: %.2f, Total time: %.2f, Auditing time: %.2f, "
                "Rate: %.2f",
                audit_type_name(p->type), p->description, since, (unsigned long long)passed,
                (unsigned long long)(sum->quarantined - was->quarantined),
                (unsigned long long)(sum->errors - was->errors), (double)passed / span_s,
                (double)(sum->bytes - was->bytes) / span_s, total_s, total_s, 1.0);
}

/* The first one comes with the first object and resets nothing, so that recon shows at once that
 * an auditor is at work; Swift's resets there, and so loses that object. */
void pass_log_tick(struct pass *p)
{
    double mono_s = halt_monotonic_s();
    double next_s = atomic_load_explicit(&p->next_log_s, memory_order_relaxed);
    if (mono_s < next_s || pthread_mutex_trylock(&p->log_lock) != 0)
        return;
    if (atomic_load(&p->next_log_s) == next_s) {
        atomic_store(&p->next_log_s, mono_s + p->run->settings->log_time);
        struct tally_sum sum = pass_sum(p);
        log_progress(p, mono_s, &sum);
        dump_pass(p, &sum, mono_s - p->begin_s);
        if (next_s > 0) {
            p->logged = sum;
            p->logged_from_s = mono_s;
            p->logged_from_real_s = real_s();
        }
    }
    pthread_mutex_unlock(&p->log_lock);
}

static void log_sizes(const struct pass *p)
{
    const struct text_list *bounds = &p->run->settings->sizes;
    char text[1024];
    size_t len = 0;
    for (unsigned i = 0; i <= bounds->count && len < sizeof(text); i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"%s\": %llu", i ? ", " : "",
                                i < bounds->count ? bounds->items[i] : "OVER",
                                (unsigned long long)p->sizes[i]);
    if (bounds->count > 0)
        report_line(LOG_LEVEL_INFO, "Object audit stats: {%s}", text);
}

void pass_log_end(struct pass *p)
{
    struct tally_sum sum = pass_sum(p);
    double elapsed_s = halt_monotonic_s() - p->begin_s;
    elapsed_s = elapsed_s > 0 ? elapsed_s : 1e-6;
    report_line(LOG_LEVEL_INFO,
                "Object audit (%s%s) \"%s\" mode %s: %.2fs. Total quarantined: %llu, Total errors: "
                "%llu, Total files/sec: %.2f, Total bytes/sec: %.2f, Auditing time: %.2f, Rate: "
                "%.2f",
                audit_type_name(p->type), p->description, mode(p),
                halted() ? "stopped" : "completed", elapsed_s, (unsigned long long)sum.quarantined,
                (unsigned long long)sum.errors, (double)sum.examined / elapsed_s,
                (double)sum.bytes / elapsed_s, elapsed_s, 1.0);
    log_sizes(p);
    dump_pass(p, &sum, elapsed_s);
}
