/* SPDX-License-Identifier: Apache-2.0 */
/* rounds.c -- see rounds.h. */
#include "tools/audit/rounds.h"
#include "tools/audit/halt.h"
#include "tools/audit/summary.h"

#include <errno.h>
#include <stdlib.h>

struct round {
    struct run *run;
    const struct rounds_options *options;
    struct device **devices; /* the claimed ones */
    unsigned count;
    atomic_uint next; /* device of the next ALL pass */
    atomic_bool all_done;
    struct summary *summary;
    bool skipped; /* a device was not ours to work on */
};

static void one_pass(struct round *r, enum audit_type type, struct device **devices, unsigned count,
                     bool named)
{
    struct pass p;
    if (pass_init(&p, r->run, type, devices, count, named) < 0) {
        report_line(LOG_LEVEL_ERROR, "out of memory");
        r->skipped = true;
        return;
    }
    summary_watch(r->summary, &p);
    pass_run(&p);
    summary_take(r->summary, &p);
    pass_release(&p);
}

/* ---- the passes of a round ---- */

static void *run_zbf(void *arg)
{
    struct round *r = arg;
    for (;;) {
        one_pass(r, AUDIT_ZBF, r->devices, r->count, r->options->named);
        if (r->run->once || r->options->zbf_only || halted() || atomic_load(&r->all_done))
            return NULL;
        halt_sleep(r->run->settings->interval);
        if (halted() || atomic_load(&r->all_done))
            return NULL;
    }
}

static void *run_next_devices(void *arg)
{
    struct round *r = arg;
    for (unsigned i; (i = atomic_fetch_add(&r->next, 1)) < r->count && !halted();)
        one_pass(r, AUDIT_ALL, &r->devices[i], 1, true);
    return NULL;
}

static void run_all(struct round *r)
{
    unsigned wanted = (unsigned)r->run->settings->concurrency, started = 0;
    if (wanted == 1) {
        one_pass(r, AUDIT_ALL, r->devices, r->count, r->options->named);
        return;
    }
    wanted = wanted < r->count ? wanted : r->count;
    pthread_t *threads = calloc(wanted + 1, sizeof(*threads));
    while (threads && started + 1 < wanted &&
           pthread_create(&threads[started], NULL, run_next_devices, r) == 0)
        started++;
    run_next_devices(r);
    while (started > 0)
        pthread_join(threads[--started], NULL);
    free(threads);
}

static void run_passes(struct round *r)
{
    pthread_t zbf;
    if (r->options->sweep_only) {
        one_pass(r, AUDIT_SWEEP, r->devices, r->count, r->options->named);
        return;
    }
    pass_recon_clear(r->run, AUDIT_ALL);
    pass_recon_clear(r->run, AUDIT_ZBF);
    if (r->options->zbf_only) {
        run_zbf(r);
        return;
    }
    bool beside = r->run->settings->zero_byte_files_per_second > 0 &&
                  pthread_create(&zbf, NULL, run_zbf, r) == 0;
    run_all(r);
    atomic_store(&r->all_done, true);
    if (beside)
        pthread_join(zbf, NULL);
}

/* ---- devices ---- */

static void claim(struct round *r, struct device_list *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct device *d = &l->devices[i];
        int res = device_claim(d, r->run->settings, r->run->dry_run);
        d->untouched = res == 0 ? NULL : device_problem(res);
        if (res == 0) {
            r->devices[r->count++] = d;
        } else if (res == -ENODEV && r->run->settings->config->standalone) {
            r->skipped = true;
            report_found(FOUND_DEVICE, d->name, NULL, "no objsrv-identity in %s: mount its disk",
                         d->sd.path);
        } else if (res == -ENODEV) {
            report_line(LOG_LEVEL_DEBUG, "Skipping: %s is not mounted", d->sd.path);
        } else {
            r->skipped = true;
            report_found(FOUND_DEVICE, d->name, NULL, "%s", d->untouched);
        }
    }
}

static void run_round(struct round *r, struct device_list *l)
{
    double jumped_s;
    claim(r, l);
    (void)trusted_now_s(&jumped_s);
    if (jumped_s > 60 || jumped_s < -60)
        report_line(LOG_LEVEL_WARNING,
                    "the clock has jumped by %.0f s since the start: ages are counted without that",
                    jumped_s);
    run_passes(r);
    for (unsigned i = 0; i < r->count; i++)
        device_let_go(r->devices[i]);
}

static enum rounds_result result_of(const struct round *r)
{
    if (summary_fuse_blown(r->summary))
        return ROUNDS_FUSE;
    if (r->skipped || halted() || summary_failed(r->summary))
        return ROUNDS_UNFINISHED;
    return summary_found(r->summary) ? ROUNDS_FOUND : ROUNDS_CLEAN;
}

enum rounds_result rounds_run(struct run *run, struct device_list *devices,
                              const struct rounds_options *options)
{
    enum rounds_result result = ROUNDS_UNFINISHED;
    do {
        struct round r = {.run = run, .options = options};
        r.devices = calloc(devices->count + 1, sizeof(struct device *));
        r.summary = summary_new(options->progress);
        if (!r.devices || !r.summary) {
            report_line(LOG_LEVEL_ERROR, "out of memory");
            summary_free(r.summary);
            free(r.devices);
            return result;
        }
        run_round(&r, devices);
        result = result_of(&r);
        summary_end(r.summary, options->table, devices, result);
        summary_free(r.summary);
        free(r.devices);
        if (!run->once)
            halt_sleep(run->settings->interval);
    } while (!run->once && !halted());
    return run->once ? result : ROUNDS_CLEAN; /* a daemon that was told to end has done so */
}
