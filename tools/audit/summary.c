/* SPDX-License-Identifier: Apache-2.0 */
/* summary.c -- see summary.h. */
#include "tools/audit/summary.h"
#include "server/node/python_json.h"
#include "tools/audit/halt.h"
#include "tools/audit/rounds.h"

#include <stdlib.h>
#include <string.h>

#define WATCHED_MAX 256
#define BAR_EVERY_S 0.5
#define BAR_CELLS   12

struct summary {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool progress, over;
    pthread_t thread;
    const struct pass *watched[WATCHED_MAX];
    unsigned watched_count;
    double begin_s;
    struct {
        struct tally_sum sum;
        unsigned passes;
        double elapsed_s;
    } types[3];
    struct device_findings *devices; /* in no order */
    unsigned device_count;
    bool failed, fuse_blown;
};

struct device_findings {
    const struct device *device;
    struct tally_sum sum;
};

/* ---- the bar ---- */

/* Up to four figures, and a unit: "42", "1033", "16.4 MB", "2.1 k/s". */
static void human(double n, const char *unit, char text[32])
{
    static const char prefixes[] = " kMGTPE";
    unsigned i = 0;
    while (n >= 10000 && prefixes[i + 1]) {
        n /= 1000;
        i++;
    }
    bool fraction = n < 100 && (i > 0 || strchr(unit, '/')) && n > 0;
    snprintf(text, 32, "%.*f%s%.*s%s", fraction, n, unit[0] == 'B' || i ? " " : "", i ? 1 : 0,
             prefixes + i, unit);
}

static void time_left(double s, char text[32])
{
    unsigned long rest = (unsigned long)(s + 0.5);
    if (rest < 60)
        snprintf(text, 32, "%lu s", rest);
    else if (rest < 86400)
        snprintf(text, 32, "%lu:%02lu:%02lu", rest / 3600, rest / 60 % 60, rest % 60);
    else
        snprintf(text, 32, "%.1f days", s / 86400);
}

/* Of each device where something was found; of the only device without its name. */
static void add_findings(const struct pass *const *passes, unsigned count, char *text, size_t room)
{
    size_t at = strlen(text);
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < passes[i]->device_count && at < room; j++) {
            struct tally_sum t = {0};
            tally_add(&t, &passes[i]->tallies[j]);
            uint64_t bad = t.quarantined + t.would_quarantine,
                     swept = t.swept_all + t.would_sweep_all;
            if (bad + t.errors + t.foreign + swept == 0)
                continue;
            at += (size_t)snprintf(text + at, room - at, " | %s:", passes[i]->devices[j]->name);
            const struct {
                uint64_t n;
                const char *what;
            } parts[] = {
                {bad, "bad"}, {t.errors, "errors"}, {t.foreign, "foreign"}, {swept, "swept"}};
            for (int k = 0; k < 4 && at < room; k++)
                if (parts[k].n)
                    at += (size_t)snprintf(text + at, room - at, " %llu %s",
                                           (unsigned long long)parts[k].n, parts[k].what);
        }
}

static void draw(struct summary *s)
{
    struct tally_sum sum = {0};
    char bar[BAR_CELLS + 1], text[480], findings[400] = "", left[40] = "";
    char objects[32], rate[32], bytes[32], speed[32];
    pthread_mutex_lock(&s->lock);
    unsigned watched = s->watched_count;
    for (unsigned i = 0; i < watched; i++) {
        struct tally_sum one = pass_sum(s->watched[i]);
        sum.examined += one.examined;
        sum.bytes += one.bytes;
        sum.partitions += one.partitions;
        sum.partitions_done += one.partitions_done;
    }
    add_findings(s->watched, watched, findings, sizeof(findings));
    pthread_mutex_unlock(&s->lock);
    double elapsed_s = halt_monotonic_s() - s->begin_s;
    double share = sum.partitions ? (double)sum.partitions_done / sum.partitions : 0;
    for (int i = 0; i < BAR_CELLS; i++)
        bar[i] = i < (int)(share * BAR_CELLS) ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    human((double)sum.examined, "", objects);
    human((double)sum.examined / elapsed_s, "/s", rate);
    human((double)sum.bytes, "B", bytes);
    human((double)sum.bytes / elapsed_s, "B/s", speed);
    if (share > 0.01 && share < 1) {
        char time[32];
        time_left(elapsed_s / share - elapsed_s, time);
        snprintf(left, sizeof(left), ", %s left", time);
    }
    snprintf(text, sizeof(text), "[%s] %.0f %%%s, %s objects %s, %s %s%s", bar, share * 100, left,
             objects, rate, bytes, speed, findings);
    report_bar(watched ? text : NULL);
}

static void *draw_all_the_time(void *arg)
{
    struct summary *s = arg;
    while (!halted()) {
        pthread_mutex_lock(&s->lock);
        bool over = s->over;
        pthread_mutex_unlock(&s->lock);
        if (over)
            break;
        draw(s);
        halt_sleep(BAR_EVERY_S);
    }
    return NULL;
}

struct summary *summary_new(bool progress)
{
    struct summary *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->begin_s = halt_monotonic_s();
    s->progress = progress && pthread_create(&s->thread, NULL, draw_all_the_time, s) == 0;
    return s;
}

static void stop_bar(struct summary *s)
{
    if (!s->progress)
        return;
    pthread_mutex_lock(&s->lock);
    s->over = true;
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    s->progress = false;
    report_bar(NULL);
}

void summary_free(struct summary *s)
{
    if (!s)
        return;
    stop_bar(s);
    pthread_mutex_destroy(&s->lock);
    free(s->devices);
    free(s);
}

void summary_watch(struct summary *s, const struct pass *p)
{
    pthread_mutex_lock(&s->lock);
    if (s->watched_count < WATCHED_MAX)
        s->watched[s->watched_count++] = p;
    pthread_mutex_unlock(&s->lock);
}

/* ---- what was found ---- */

/* Without memory a device is missing from the table, no more. */
static void add_to_device(struct summary *s, const struct device *d, const struct tally *t)
{
    unsigned i = 0;
    while (i < s->device_count && s->devices[i].device != d)
        i++;
    if (i == s->device_count) {
        struct device_findings *grown = realloc(s->devices, (i + 1) * sizeof(*grown));
        if (!grown)
            return;
        s->devices = grown;
        grown[s->device_count++] = (struct device_findings){.device = d};
    }
    tally_add(&s->devices[i].sum, t);
}

void summary_take(struct summary *s, const struct pass *p)
{
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->watched_count; i++)
        if (s->watched[i] == p)
            s->watched[i--] = s->watched[--s->watched_count];
    for (unsigned i = 0; i < p->device_count; i++) {
        tally_add(&s->types[p->type].sum, &p->tallies[i]);
        add_to_device(s, p->devices[i], &p->tallies[i]);
        s->fuse_blown =
            s->fuse_blown || p->devices[i]->fuse[0].blown || p->devices[i]->fuse[1].blown;
    }
    s->types[p->type].passes++;
    s->types[p->type].elapsed_s = halt_monotonic_s() - s->begin_s;
    s->failed = s->failed || p->failed;
    pthread_mutex_unlock(&s->lock);
}

bool summary_found(const struct summary *s)
{
    for (int i = 0; i < 3; i++) {
        const struct tally_sum *t = &s->types[i].sum;
        if (t->quarantined || t->would_quarantine || t->swept_all || t->would_sweep_all ||
            t->foreign || t->async_stale)
            return true;
    }
    return false;
}

bool summary_failed(const struct summary *s)
{
    bool errors = false;
    for (int i = 0; i < 3; i++)
        errors = errors || s->types[i].sum.errors > 0;
    return s->failed || errors;
}

bool summary_fuse_blown(const struct summary *s)
{
    return s->fuse_blown;
}

/* ---- the end ---- */

static void print_row(const char *what, const struct tally_sum *t, double elapsed_s, FILE *out)
{
    char objects[32], rate[32], bytes[32], speed[32];
    elapsed_s = elapsed_s > 0 ? elapsed_s : 1e-6;
    human((double)t->examined, "", objects);
    human((double)t->examined / elapsed_s, "/s", rate);
    human((double)t->bytes, "B", bytes);
    human((double)t->bytes / elapsed_s, "B/s", speed);
    fprintf(out, "%-16s %9s %9s %9s %10s %8llu %7llu %8llu %7llu %8.1f s\n", what, objects, rate,
            bytes, speed, (unsigned long long)t->quarantined + t->would_quarantine,
            (unsigned long long)t->errors, (unsigned long long)t->foreign,
            (unsigned long long)t->swept_all + t->would_sweep_all, elapsed_s);
}

static void print_classes(const struct summary *s, FILE *out)
{
    for (int c = 0; c < SWEEP_CLASSES; c++) {
        uint64_t gone = 0, would = 0;
        for (int i = 0; i < 3; i++) {
            gone += s->types[i].sum.swept[c];
            would += s->types[i].sum.would_sweep[c];
        }
        if (gone)
            fprintf(out, "  removed:      %8llu %s\n", (unsigned long long)gone,
                    sweep_class_name(c));
        if (would)
            fprintf(out, "  would remove: %8llu %s\n", (unsigned long long)would,
                    sweep_class_name(c));
    }
    uint64_t async = 0, stale = 0;
    for (int i = 0; i < 3; i++) {
        async += s->types[i].sum.async_pending;
        stale += s->types[i].sum.async_stale;
    }
    if (async)
        fprintf(out, "  pending container updates: %llu, %llu of them stale\n",
                (unsigned long long)async, (unsigned long long)stale);
}

void summary_print_coverage(struct device_list *devices, FILE *out)
{
    fprintf(out, "%-16s %10s", "verified within", "partitions");
    for (size_t i = 0; i < 4; i++)
        fprintf(out, "  %4u d", coverage_days[i]);
    fputs("  fuse\n", out);
    for (unsigned i = 0; i < devices->count; i++) {
        struct device *d = &devices->devices[i];
        struct coverage_sum sum;
        coverage_within(&d->coverage, trusted_now_s(NULL), 1, &sum);
        if (d->untouched || sum.partitions == 0) {
            fprintf(out, "%-16s %s\n", d->name,
                    d->untouched ? d->untouched : "nothing to verify yet");
            continue;
        }
        fprintf(out, "%-16s %10llu", d->name, (unsigned long long)sum.partitions);
        for (size_t j = 0; j < 4; j++) {
            coverage_within(&d->coverage, trusted_now_s(NULL), coverage_days[j], &sum);
            fprintf(out, " %5.1f %%",
                    sum.partitions ? 100.0 * (double)sum.fresh_partitions / (double)sum.partitions
                                   : 100.0);
        }
        bool blown = d->coverage.fuse_blown[0] || d->coverage.fuse_blown[1];
        fprintf(out, "  %s\n", blown ? "BLOWN" : "ok");
    }
}

void summary_print_coverage_json(struct device_list *devices, FILE *out)
{
    for (unsigned i = 0; i < devices->count; i++) {
        const struct device *d = &devices->devices[i];
        struct coverage_sum sum;
        coverage_within(&d->coverage, trusted_now_s(NULL), 1, &sum);
        fputs("{\"event\": \"status\", \"device\": ", out);
        python_json_print_text(slice_of(d->name), out);
        fprintf(out, ", \"partitions\": %llu", (unsigned long long)sum.partitions);
        for (size_t j = 0; j < sizeof(coverage_days) / sizeof(coverage_days[0]); j++) {
            coverage_within(&d->coverage, trusted_now_s(NULL), coverage_days[j], &sum);
            fprintf(out, ", \"verified_%ud\": %.4f", coverage_days[j],
                    sum.partitions ? (double)sum.fresh_partitions / (double)sum.partitions : 1.0);
        }
        fprintf(out, ", \"fuse_blown\": %s}\n",
                d->coverage.fuse_blown[0] || d->coverage.fuse_blown[1] ? "true" : "false");
    }
}

static double rested_s(const struct device_list *devices)
{
    double s = 0;
    for (unsigned i = 0; i < devices->count; i++)
        s += (double)atomic_load(&devices->devices[i].pace.rested_us) / 1e6;
    return s;
}

static const char *result_in_words(int result)
{
    switch (result) {
    case ROUNDS_CLEAN:
        return "clean";
    case ROUNDS_FOUND:
        return "something was found, and handled or reported";
    case ROUNDS_FUSE:
        return "QUARANTINE FUSE BLOWN: damage is only reported until the cause is gone, and then "
               "until "
               "--reset-fuse or a good pass";
    default:
        return "not finished, or something could not be examined";
    }
}

static void print_table(const struct summary *s, struct device_list *devices, int result, FILE *out)
{
    double elapsed_s = 0, gave_way_s = rested_s(devices);
    fprintf(out, "%-16s %9s %9s %9s %10s %8s %7s %8s %7s %10s\n", "pass", "objects", "", "bytes",
            "", "damaged", "errors", "foreign", "swept", "time");
    for (int i = 0; i < 3; i++) {
        if (!s->types[i].passes)
            continue;
        elapsed_s = elapsed_s > s->types[i].elapsed_s ? elapsed_s : s->types[i].elapsed_s;
        print_row(audit_type_name((enum audit_type)i), &s->types[i].sum, s->types[i].elapsed_s,
                  out);
    }
    for (unsigned i = 0; i < s->device_count && devices->count > 1; i++)
        print_row(s->devices[i].device->name, &s->devices[i].sum, elapsed_s, out);
    print_classes(s, out);
    if (gave_way_s >= 0.1)
        fprintf(out, "  gave way to clients for %.1f s\n", gave_way_s);
    fputc('\n', out);
    summary_print_coverage(devices, out);
    fprintf(out, "\n%s (exit status %d)\n", result_in_words(result), result);
    fflush(out);
}

void summary_end(struct summary *s, bool table, struct device_list *devices, int result)
{
    stop_bar(s);
    for (int i = 0; i < 3; i++) {
        const struct tally_sum *t = &s->types[i].sum;
        if (s->types[i].passes)
            report_pass_end(audit_type_name((enum audit_type)i), t, s->types[i].elapsed_s,
                            rested_s(devices), result);
    }
    if (table)
        print_table(s, devices, result, stdout);
}
