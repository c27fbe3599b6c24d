/* SPDX-License-Identifier: Apache-2.0 */
/* pass.h -- one pass over some devices: ALL, ZBF, or a sweep alone.
 *
 *   run     the program's: settings, limits shared by everybody
 *   pass    one report: its devices one after the other
 *   worker  a thread; the workers of a device take its partitions in turn, so each object is
 *           examined by one of them and nobody keeps a list (status.h has the partitions)
 *
 *   partition -> suffix -> hash directory -> examine.h -> orphans.h
 */
#ifndef OBJSRV_PASS_H
#define OBJSRV_PASS_H

#include "diskfile/engine/hashdir.h"
#include "tools/audit/device.h"
#include "tools/audit/limiter.h"
#include "tools/audit/listing.h"
#include "tools/audit/report.h"
#include "tools/audit/status.h"
#include "tools/audit/verify.h"

enum audit_type { AUDIT_ALL, AUDIT_ZBF, AUDIT_SWEEP };
const char *audit_type_name(enum audit_type t); /* "ALL" */

struct run {
    struct settings *settings;
    bool once, dry_run;
    struct limiter locations[3]; /* by type */
    struct limiter bytes;
    double recon_warned_s; /* the last complaint that recon cannot be written */
};

struct pass {
    struct run *run;
    enum audit_type type;
    struct device **devices;
    unsigned device_count;
    bool named; /* its report is kept by device: recon's nested form, "- parallel, sda1" */
    struct tally *tallies; /* one for each device */
    char description[512];
    char recon_key[512];
    double begin_s;       /* monotonic */
    atomic_ullong *sizes; /* object_size_stats: one more than there are bounds */
    pthread_mutex_t log_lock;
    struct tally_sum logged;   /* at the last line in the log */
    double logged_from_s;      /* monotonic */
    double logged_from_real_s; /* for people, and for recon */
    _Atomic double next_log_s;
    atomic_bool failed; /* something could not be finished */
};

struct worker {
    struct pass *pass;
    struct device *device;
    struct tally *tally;
    const struct df_policy *policy;
    int objects_fd;
    struct verifier *verifier;
    struct object_place place;
    struct listing levels[3];
    uint64_t examined, bytes; /* by this worker, for the coverage */
    bool misplaced;           /* the hash directory lies in a suffix that is not its own */
    bool handled;             /* the damage just met was quarantined or reported */
    bool gone;                /* nothing is left of the hash directory (dry run: would be) */
};

int pass_init(struct pass *p, struct run *run, enum audit_type type, struct device **devices,
              unsigned count, bool named);
void pass_release(struct pass *p);

/* Walks everything; reports its begin and its end. */
void pass_run(struct pass *p);

struct tally_sum pass_sum(const struct pass *p);

/* pass_log.c: what Swift's auditor logs, and recon's numbers. */
void pass_log_begin(struct pass *p);
void pass_log_tick(struct pass *p); /* after each object: a line when it is time */
void pass_log_end(struct pass *p);
void pass_recon_clear(struct run *run, enum audit_type type);

/* walk.c: one partition, whole unless halted. */
void walk_partition(struct worker *w, const char *partition);

#endif
