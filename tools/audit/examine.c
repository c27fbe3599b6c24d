/* SPDX-License-Identifier: Apache-2.0 */
/* examine.c -- see examine.h. */
#include "tools/audit/examine.h"
#include "tools/audit/body.h"
#include "tools/audit/halt.h"
#include "tools/audit/orphans.h"

#include <errno.h>
#include <stdlib.h>

/* ---- damage ---- */

static void fuse_blew(const struct worker *w, const struct fuse *f)
{
    report_found(FOUND_FUSE, w->device->name, NULL,
                 "%.1f %% of what was examined would be quarantined (limit %g %%): nothing more is "
                 "quarantined on this device. Is the hash prefix or suffix in swift.conf right? "
                 "After the cause is gone: objsrv-audit --reset-fuse, or wait for a good pass",
                 fuse_share(f) * 100, w->pass->run->settings->quarantine_fuse);
}

static int report_only(struct worker *w, const struct object_place *p, const char *reason,
                       const char *why)
{
    tally_one(&w->tally->would_quarantine);
    report_found(FOUND_DAMAGED, w->device->name, p->dir,
                 "failed audit and was not quarantined (%s): %s", why, reason);
    w->handled = true;
    return 0;
}

/* struct load_spec's damaged(). */
static int on_damaged(void *arg, const struct object_place *p, const char *file, int fd,
                      const char *reason)
{
    struct worker *w = arg;
    struct fuse *f = &w->device->fuse[w->pass->type == AUDIT_ZBF];
    bool just_blown;
    if (w->pass->run->dry_run)
        return report_only(w, p, reason, "dry run");
    bool allowed = fuse_allows(f, &just_blown);
    if (just_blown)
        fuse_blew(w, f);
    if (!allowed)
        return report_only(w, p, reason, "fuse");
    if (device_has_vanished(w->device))
        return -ENODEV;
    int r = hashdir_quarantine(p, file, fd, reason);
    if (r < 0)
        return r;
    tally_one(&w->tally->quarantined);
    report_found(FOUND_QUARANTINED, w->device->name, p->dir, "failed audit and was quarantined: %s",
                 reason);
    w->handled = w->gone = true;
    return 0;
}

static void cannot(struct worker *w, const char *path, int error, const char *what)
{
    tally_one(&w->tally->errors);
    report_found(FOUND_ERROR, w->device->name, path, "%s: %s", what, strerror(-error));
}

static void damaged_body(struct worker *w, const struct object_state *s, const char *reason)
{
    int r = on_damaged(w, &w->place, s->file, s->fd, reason);
    if (r < 0 && r != -ESTALE) /* a newer version has come: the next pass will see it */
        cannot(w, w->place.dir, r, "damaged, but it could not be quarantined");
}

/* ---- the body ---- */

static void examine_body(struct worker *w, const struct object_state *s)
{
    struct verify_result found = {0};
    char reason[REASON_MAX];
    int r = body_judge(w->verifier, s, w->policy, &found, reason);
    atomic_fetch_add_explicit(&w->tally->bytes, found.bytes, memory_order_relaxed);
    w->bytes += found.bytes;
    if (r == -EBADMSG)
        damaged_body(w, s, reason);
    else if (r < 0 && r != -ECANCELED)
        cannot(w, w->place.dir, r, r == -EINVAL ? "no ETag in metadata" : "reading");
}

static void count_size(struct worker *w, uint64_t size)
{
    const struct text_list *bounds = &w->pass->run->settings->sizes;
    unsigned i = 0;
    while (i < bounds->count && size > strtoull(bounds->items[i], NULL, 10))
        i++;
    atomic_fetch_add(&w->pass->sizes[i], 1);
}

/* ---- the whole ---- */

static void judge(struct worker *w, const struct object_state *s)
{
    switch (s->info.state) {
    case DF_LIVE:
        if (w->pass->run->settings->sizes.count > 0)
            count_size(w, s->info.size);
        if (s->info.size > 0 && w->pass->type == AUDIT_ALL)
            examine_body(w, s);
        if (!w->handled && report_wants_objects())
            report_found(FOUND_OBJECT, w->device->name, w->place.dir, "%s", s->file);
        break;
    case DF_EXPIRED:
        tally_one(&w->tally->expired);
        break;
    case DF_DELETED:
        tally_one(&w->tally->tombstones);
        break;
    case DF_ABSENT:
        break;
    }
}

/* As Swift's auditor does: the replicator will look at this suffix and clean it up. */
static void mark_old_tombstone(struct worker *w, const struct selection *s)
{
    if (w->pass->type != AUDIT_ALL || w->pass->run->dry_run || s->tombstone < 0)
        return;
    double time_s = (double)s->entries[s->tombstone].file.timestamp.ticks / TIMESTAMP_TICKS_PER_S;
    if (trusted_now_s(NULL) - time_s <= (double)w->place.store->options.reclaim_age_s ||
        device_has_vanished(w->device))
        return;
    int r = hashdir_invalidate(&w->place);
    if (r < 0)
        cannot(w, w->place.dir, r, "marking the suffix of an old tombstone");
}

static int list_only(struct worker *w, struct selection *s)
{
    int r = hashdir_select(&w->place, s, NULL);
    if (r == -ENOENT) {
        select_init(s);
        r = 0;
    }
    return r;
}

static int load(struct worker *w, struct selection *s)
{
    struct object_state state;
    struct load_spec spec = {
        .now = trusted_now(),
        .keep_fd = w->pass->type == AUDIT_ALL,
        .by_directory = true,
        .add_checksum = !w->pass->run->dry_run,
        .suffix_fd = &w->levels[1].fd,
        .damaged = on_damaged,
        .damaged_arg = w,
        .ret_selection = s,
    };
    double begin_s = halt_monotonic_s();
    int r = hashdir_load(&w->place, &spec, &state);
    pace_read(&w->device->pace, halt_monotonic_s() - begin_s);
    if (r < 0)
        return r;
    judge(w, &state);
    object_state_release(&state);
    return 0;
}

static void report_failure(struct worker *w, int r)
{
    if (r == -EINVAL)
        report_found(FOUND_ERROR, w->device->name, w->place.dir, "metadata without name");
    else
        report_found(FOUND_ERROR, w->device->name, w->place.dir, "%s", strerror(-r));
    tally_one(&w->tally->errors);
}

void examine(struct worker *w)
{
    struct selection s;
    w->handled = w->gone = false;
    fuse_examined(&w->device->fuse[w->pass->type == AUDIT_ZBF]);
    int r = w->pass->type == AUDIT_SWEEP ? list_only(w, &s) : load(w, &s);
    if (r < 0) {
        report_failure(w, r);
    } else {
        if (s.count == 0 && !w->handled)
            tally_one(&w->tally->empty);
        if (!w->handled && !w->misplaced) {
            bool gone = orphans_in_hash_directory(w, &s);
            if (!gone)
                mark_old_tombstone(w, &s);
        }
        select_release(&s);
    }
    tally_one(&w->tally->examined);
    w->examined++;
}
