/* SPDX-License-Identifier: Apache-2.0 */
/* report.c -- see report.h. */
#include "tools/audit/report.h"
#include "server/node/python_json.h"
#include "tools/audit/halt.h"

#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    pthread_mutex_t lock;
    bool json, bar, verbose, bar_shown;
    char bar_text[512];
} report = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *sweep_class_name(enum sweep_class c)
{
    static const char *const names[SWEEP_CLASSES] = {
        [SWEEP_EMPTY_HASH] = "empty hash directory",
        [SWEEP_EMPTY_SUFFIX] = "empty suffix directory",
        [SWEEP_EMPTY_PARTITION] = "empty partition",
        [SWEEP_TMP] = "temporary file",
        [SWEEP_RSYNC_TMP] = "rsync's temporary file",
        [SWEEP_PARTITION_TMP] = "temporary hashes.pkl",
        [SWEEP_TOMBSTONE] = "tombstone past reclaim_age",
        [SWEEP_OBSOLETE] = "obsolete file",
        [SWEEP_META] = "metadata without object",
        [SWEEP_FRAGMENT] = "non-durable fragment",
    };
    return names[c];
}

void tally_add(struct tally_sum *sum, const struct tally *t)
{
    sum->examined += t->examined;
    sum->bytes += t->bytes;
    sum->quarantined += t->quarantined;
    sum->would_quarantine += t->would_quarantine;
    sum->errors += t->errors;
    sum->foreign += t->foreign;
    sum->tombstones += t->tombstones;
    sum->expired += t->expired;
    sum->empty += t->empty;
    sum->async_pending += t->async_pending;
    sum->async_stale += t->async_stale;
    sum->partitions_done += t->partitions_done;
    sum->partitions += t->partitions;
    for (int i = 0; i < SWEEP_CLASSES; i++) {
        sum->swept[i] += t->swept[i];
        sum->would_sweep[i] += t->would_sweep[i];
        sum->swept_all += t->swept[i];
        sum->would_sweep_all += t->would_sweep[i];
    }
}

void report_init(bool json, bool bar, bool verbose)
{
    report.json = json;
    report.bar = bar;
    report.verbose = verbose;
}

bool report_wants_objects(void)
{
    return report.verbose && report.json;
}

/* ---- lines ---- */

static const struct {
    const char *event;
    enum log_level level;
    const char *log; /* how the line begins; NULL: no line */
} kinds[] = {
    [FOUND_QUARANTINED] = {"quarantined", LOG_LEVEL_ERROR, "ERROR Object"},
    [FOUND_DAMAGED] = {"damaged", LOG_LEVEL_ERROR, "ERROR Object"},
    [FOUND_ERROR] = {"error", LOG_LEVEL_ERROR, "ERROR Trying to audit"},
    [FOUND_FOREIGN] = {"foreign", LOG_LEVEL_WARNING, "Unexpected"},
    [FOUND_SWEPT] = {"swept", LOG_LEVEL_INFO, "Removed"},
    [FOUND_SWEPT_EMPTY] = {"swept", LOG_LEVEL_DEBUG, "Removed"},
    [FOUND_SWEEPABLE] = {"sweepable", LOG_LEVEL_INFO, "Would remove"},
    [FOUND_ASYNC] = {"async_pending", LOG_LEVEL_WARNING, "Pending update"},
    [FOUND_FUSE] = {"fuse", LOG_LEVEL_ERROR, "QUARANTINE FUSE BLOWN on"},
    [FOUND_DEVICE] = {"device", LOG_LEVEL_WARNING, "Device"},
    [FOUND_OBJECT] = {"object", LOG_LEVEL_DEBUG, NULL},
};

static void hide_bar(void)
{
    if (report.bar_shown)
        fputs("\r\033[K", stderr);
}

static void show_bar(void)
{
    if (report.bar_shown)
        fprintf(stderr, "\r%s\033[K", report.bar_text);
}

static void log_text(enum log_level level, const char *text)
{
    if (!log_wants(level))
        return;
    pthread_mutex_lock(&report.lock);
    hide_bar();
    log_line(level, "%s", text);
    show_bar();
    pthread_mutex_unlock(&report.lock);
}

static void member(FILE *out, const char *key, const char *value)
{
    if (!value)
        return;
    fprintf(out, ", \"%s\": ", key);
    python_json_print_text(slice_of(value), out);
}

/* One write per event: whole lines also when several programs share the pipe. */
static void write_event(enum finding kind, const char *device, const char *path, const char *detail)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    fprintf(out, "{\"event\": \"%s\", \"time\": %.5f", kinds[kind].event, trusted_now_s(NULL));
    member(out, "device", device);
    member(out, "path", path);
    member(out, "detail", detail);
    fputs("}\n", out);
    if (fclose(out) == 0) {
        pthread_mutex_lock(&report.lock);
        fwrite(text, 1, len, stdout);
        fflush(stdout);
        pthread_mutex_unlock(&report.lock);
    }
    free(text);
}

void report_found(enum finding kind, const char *device, const char *path, const char *format, ...)
{
    char detail[PATH_MAX], line[2 * PATH_MAX + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    if (kinds[kind].log && log_wants(kinds[kind].level)) {
        const char *what = path ? path : device;
        bool verdict = kind == FOUND_QUARANTINED || kind == FOUND_DAMAGED;
        snprintf(line, sizeof(line), "%s %s%s%s", kinds[kind].log, what, verdict ? " " : ": ",
                 detail);
        log_text(kinds[kind].level, line);
    }
    if (report.json)
        write_event(kind, device, path, detail);
}

void report_pass_end(const char *type, const struct tally_sum *t, double elapsed_s, int result)
{
    if (!report.json)
        return;
    pthread_mutex_lock(&report.lock);
    printf("{\"event\": \"end\", \"time\": %.5f, \"pass\": \"%s\", \"elapsed_s\": %.3f, "
           "\"examined\": %llu, \"bytes\": %llu, \"quarantined\": %llu, \"damaged\": %llu, "
           "\"errors\": %llu, \"foreign\": %llu, \"tombstones\": %llu, \"expired\": %llu, "
           "\"empty\": %llu, \"async_pending\": %llu, \"async_stale\": %llu, \"result\": %d",
           trusted_now_s(NULL), type, elapsed_s, (unsigned long long)t->examined,
           (unsigned long long)t->bytes, (unsigned long long)t->quarantined,
           (unsigned long long)t->would_quarantine, (unsigned long long)t->errors,
           (unsigned long long)t->foreign, (unsigned long long)t->tombstones,
           (unsigned long long)t->expired, (unsigned long long)t->empty,
           (unsigned long long)t->async_pending, (unsigned long long)t->async_stale, result);
    fputs(", \"swept\": {", stdout);
    for (int i = 0; i < SWEEP_CLASSES; i++)
        printf("%s\"%s\": %llu", i ? ", " : "", sweep_class_name((enum sweep_class)i),
               (unsigned long long)t->swept[i] + t->would_sweep[i]);
    fputs("}}\n", stdout);
    fflush(stdout);
    pthread_mutex_unlock(&report.lock);
}

void report_line(enum log_level level, const char *format, ...)
{
    char text[2 * PATH_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_text(level, text);
}

void report_bar(const char *text)
{
    if (!report.bar)
        return;
    pthread_mutex_lock(&report.lock);
    if (text) {
        snprintf(report.bar_text, sizeof(report.bar_text), "%s", text);
        report.bar_shown = true;
        show_bar();
    } else {
        hide_bar();
        report.bar_shown = false;
    }
    fflush(stderr);
    pthread_mutex_unlock(&report.lock);
}
