/* SPDX-License-Identifier: Apache-2.0 */
/* report.h -- all that the auditor says: log lines, JSON events, a table at the end.
 *
 * Every finding is one line in the log (server/node/log.h) and, with --json, one object on one
 * line of stdout. On a terminal it is said in few words, and the progress bar steps aside for
 * it. Threads: any. */
#ifndef OBJSRV_REPORT_H
#define OBJSRV_REPORT_H

#include "server/node/log.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What is swept, each a class with a switch and an age of its own. */
enum sweep_class {
    SWEEP_EMPTY_HASH,
    SWEEP_EMPTY_SUFFIX,
    SWEEP_EMPTY_PARTITION,
    SWEEP_TMP,
    SWEEP_RSYNC_TMP,
    SWEEP_PARTITION_TMP,
    SWEEP_TOMBSTONE,
    SWEEP_OBSOLETE,
    SWEEP_META,
    SWEEP_FRAGMENT,
    SWEEP_CLASSES
};
const char *sweep_class_name(enum sweep_class c); /* "empty hash directory" */

/* Counts of one pass over one device; the sum of them is a pass's. */
struct tally {
    atomic_ullong examined, bytes;
    atomic_ullong quarantined, would_quarantine;
    atomic_ullong errors;  /* could not be examined, or not be handled */
    atomic_ullong foreign; /* not understood, left alone */
    atomic_ullong tombstones, expired, empty;
    atomic_ullong swept[SWEEP_CLASSES], would_sweep[SWEEP_CLASSES];
    atomic_ullong async_pending, async_stale;
    atomic_uint partitions_done, partitions;
};

struct tally_sum {
    uint64_t examined, bytes, quarantined, would_quarantine, errors, foreign, tombstones, expired,
        empty, swept[SWEEP_CLASSES], would_sweep[SWEEP_CLASSES], swept_all, would_sweep_all,
        async_pending, async_stale;
    unsigned partitions_done, partitions;
};
void tally_add(struct tally_sum *sum, const struct tally *t);

static inline void tally_one(atomic_ullong *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

enum finding {
    FOUND_QUARANTINED,
    FOUND_DAMAGED, /* report-only: dry run or blown fuse */
    FOUND_ERROR,
    FOUND_FOREIGN,
    FOUND_SWEPT,
    FOUND_SWEPT_EMPTY, /* an empty directory: logged at DEBUG */
    FOUND_SWEEPABLE,   /* dry run */
    FOUND_ASYNC,
    FOUND_FUSE,
    FOUND_DEVICE, /* something about a whole device */
    FOUND_OBJECT  /* verbose: one that is good */
};

/* `json`: events on stdout. `bar`: there is a terminal with a progress bar on stderr. */
void report_init(bool json, bool bar, bool verbose);
bool report_wants_objects(void);

/* false: this is a terminal without syslog, where findings and the bar are all there is. */
bool report_is_log_shown(void);

/* `path` may be NULL. The text is the log line (without path), and "detail" of the event. */
void report_found(enum finding kind, const char *device, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_line(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* With --json the last event of a pass, with all its counts. `rested_s`: pace.h, of all passes. */
void report_pass_end(const char *type, const struct tally_sum *t, double elapsed_s, double rested_s,
                     int result);

/* The bar's text, or NULL to take it away. */
void report_bar(const char *text);

#endif
