/* SPDX-License-Identifier: Apache-2.0 */
/* orphans.c -- orphans in partitions (orphans.h); those beside them: orphans_device.c. */
#include "tools/audit/orphans.h"
#include "tools/audit/halt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define PATH_BYTES (PATH_MAX + 256)

/* ---- ages ---- */

double orphan_age_limit(const struct settings *s, enum sweep_class c)
{
    switch (c) {
    case SWEEP_EMPTY_HASH:
        return s->sweep_empty_hashes;
    case SWEEP_EMPTY_SUFFIX:
        return s->sweep_empty_suffixes;
    case SWEEP_EMPTY_PARTITION:
        return s->sweep_empty_partitions;
    case SWEEP_TMP:
        return s->sweep_tmp;
    case SWEEP_RSYNC_TMP:
        return s->rsync_temp_age_s;
    case SWEEP_PARTITION_TMP:
        return s->sweep_partition_tmp;
    case SWEEP_TOMBSTONE:
        return s->sweep_tombstones;
    case SWEEP_OBSOLETE:
        return s->sweep_obsolete;
    case SWEEP_META:
        return s->sweep_metas;
    case SWEEP_FRAGMENT:
        return s->sweep_fragments;
    case SWEEP_CLASSES:
        break;
    }
    return AGE_OFF;
}

static bool is_on(const struct worker *w, enum sweep_class c)
{
    const struct settings *s = w->pass->run->settings;
    if (c == SWEEP_RSYNC_TMP) /* every auditor of Swift does it */
        return true;
    return s->sweep && w->pass->type != AUDIT_ZBF && orphan_age_limit(s, c) != AGE_OFF;
}

static double time_s(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double orphan_time(enum sweep_class c, const struct stat *st)
{
    double changed_s = time_s(st->st_ctim), modified_s = time_s(st->st_mtim);
    return c != SWEEP_RSYNC_TMP && changed_s > modified_s ? changed_s : modified_s;
}

bool orphan_is_old(const struct worker *w, enum sweep_class c, const struct stat *st)
{
    if (!is_on(w, c))
        return false;
    return trusted_now_s(NULL) - orphan_time(c, st) >= orphan_age_limit(w->pass->run->settings, c);
}

void orphan_gone(struct worker *w, enum sweep_class c, const char *path)
{
    bool dry = w->pass->run->dry_run;
    tally_one(dry ? &w->tally->would_sweep[c] : &w->tally->swept[c]);
    /* There may be millions of the first two. */
    bool plenty = c == SWEEP_EMPTY_HASH || c == SWEEP_EMPTY_SUFFIX;
    report_found(dry      ? FOUND_SWEEPABLE
                 : plenty ? FOUND_SWEPT_EMPTY
                          : FOUND_SWEPT,
                 w->device->name, path, "%s", sweep_class_name(c));
}

static void failed(struct worker *w, const char *path, int error, const char *what)
{
    tally_one(&w->tally->errors);
    report_found(FOUND_ERROR, w->device->name, path, "%s: %s", what, strerror(-error));
}

/* ---- files of a hash directory ---- */

static bool is_past_reclaim(const struct worker *w, const struct select_entry *e)
{
    double t = (double)e->file.timestamp.ticks / TIMESTAMP_TICKS_PER_S;
    return trusted_now_s(NULL) - t > (double)w->place.store->options.reclaim_age_s;
}

/* What this file would go as. false: it stays. */
static bool class_of(const struct worker *w, const struct selection *s, unsigned i,
                     enum sweep_class *ret)
{
    const struct select_entry *e = &s->entries[i];
    if (e->verdict == VERDICT_FOREIGN) {
        *ret = SWEEP_RSYNC_TMP;
        return filename_is_rsync_temp(slice_of(e->name));
    }
    if (e->file.kind == FILE_OTHER) /* a time and an extension nobody knows */
        return false;
    if (e->verdict == VERDICT_OBSOLETE) {
        *ret = SWEEP_OBSOLETE;
        return true;
    }
    bool reclaimable = e->verdict == VERDICT_RECLAIM || (int)i == s->tombstone;
    *ret = (int)i == s->tombstone      ? SWEEP_TOMBSTONE
           : e->file.kind == FILE_DATA ? SWEEP_FRAGMENT
                                       : SWEEP_META;
    return reclaimable && is_past_reclaim(w, e);
}

static bool within_commit_window(const struct worker *w, enum sweep_class c, const struct stat *st)
{
    return c == SWEEP_FRAGMENT && trusted_now_s(NULL) - time_s(st->st_mtim) <=
                                      (double)w->place.store->options.commit_window_s;
}

/* May it go, as far as its name and its age say? */
static bool may_go(const struct worker *w, int dirfd, const struct selection *s, unsigned i,
                   enum sweep_class *ret_class)
{
    struct stat st;
    return class_of(w, s, i, ret_class) && is_on(w, *ret_class) &&
           fstatat(dirfd, s->entries[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && orphan_is_old(w, *ret_class, &st) &&
           !within_commit_window(w, *ret_class, &st);
}

static bool any_may_go(const struct worker *w, const struct selection *s)
{
    enum sweep_class c;
    bool any = false;
    for (unsigned i = 0; i < s->count && !any; i++)
        any = class_of(w, s, i, &c) && is_on(w, c);
    if (!any)
        return false;
    int fd = open(w->place.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    any = false;
    for (unsigned i = 0; i < s->count && !any; i++)
        any = may_go(w, fd, s, i, &c);
    close(fd);
    return any;
}

/* true: it is not there any more. */
static bool remove_file(struct worker *w, int dirfd, const char *name, enum sweep_class c)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", w->place.dir, name);
    if (!w->pass->run->dry_run && unlinkat(dirfd, name, 0) < 0) {
        if (errno == ENOENT)
            return true;
        failed(w, path, -errno, "removing");
        return false;
    }
    orphan_gone(w, c, path);
    return true;
}

/* Returns how many names are left. Oldest first, and a tombstone only when nothing else is left:
 * at no moment may an older version come to light again. *ret_marks: something that counts in
 * the suffix's hash went. */
static unsigned remove_files(struct worker *w, int dirfd, const struct selection *s,
                             bool *ret_marks, bool *ret_tombstone)
{
    unsigned left = 0;
    for (unsigned i = s->count; i-- > 0;) {
        enum sweep_class c;
        if ((int)i == s->tombstone || !may_go(w, dirfd, s, i, &c) ||
            !remove_file(w, dirfd, s->entries[i].name, c))
            left++;
        else
            *ret_marks = *ret_marks || c != SWEEP_RSYNC_TMP;
    }
    enum sweep_class c;
    if (left == 1 && s->tombstone >= 0 && may_go(w, dirfd, s, (unsigned)s->tombstone, &c) &&
        remove_file(w, dirfd, s->entries[s->tombstone].name, c)) {
        *ret_marks = *ret_tombstone = true;
        left = 0;
    }
    return left;
}

/* A directory that has just become empty is fresh (O3): a later pass removes it. */
static bool may_follow(const struct worker *w)
{
    return is_on(w, SWEEP_EMPTY_HASH) &&
           orphan_age_limit(w->pass->run->settings, SWEEP_EMPTY_HASH) <= 0;
}

static void remove_locked(struct worker *w, bool *ret_tombstone)
{
    struct selection s;
    int dirfd;
    bool marks = false;
    int r = hashdir_select(&w->place, &s, &dirfd);
    if (r < 0) {
        if (r != -ENOENT)
            failed(w, w->place.dir, r, "looking again");
        return;
    }
    unsigned left = remove_files(w, dirfd, &s, &marks, ret_tombstone);
    if (left == 0 && may_follow(w)) /* O1: not empty is as good */
        w->gone = w->pass->run->dry_run || rmdir(w->place.dir) == 0;
    if (marks && !w->pass->run->dry_run && (r = hashdir_invalidate(&w->place)) < 0)
        failed(w, w->place.dir, r, "marking the suffix");
    select_release(&s);
    close(dirfd);
}

static void remove_empty(struct worker *w)
{
    struct stat st;
    if (!is_on(w, SWEEP_EMPTY_HASH) || lstat(w->place.dir, &st) < 0 || !S_ISDIR(st.st_mode) ||
        !orphan_is_old(w, SWEEP_EMPTY_HASH, &st))
        return;
    w->gone = w->pass->run->dry_run || rmdir(w->place.dir) == 0;
    if (w->gone)
        orphan_gone(w, SWEEP_EMPTY_HASH, w->place.dir);
    else if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
        failed(w, w->place.dir, -errno, "removing");
}

static void report_foreign(struct worker *w, const struct selection *s)
{
    char path[PATH_BYTES];
    for (unsigned i = 0; i < s->count; i++) {
        const struct select_entry *e = &s->entries[i];
        if (e->verdict != VERDICT_FOREIGN || filename_is_rsync_temp(slice_of(e->name)))
            continue;
        snprintf(path, sizeof(path), "%s/%s", w->place.dir, e->name);
        tally_one(&w->tally->foreign);
        report_found(FOUND_FOREIGN, w->device->name, path, "no file of an object; left alone");
    }
}

bool orphans_in_hash_directory(struct worker *w, const struct selection *s)
{
    bool tombstone_gone = false;
    int lock_fd;
    if (s->count == 0) {
        remove_empty(w);
        return false;
    }
    report_foreign(w, s);
    if (!any_may_go(w, s))
        return false;
    if (w->pass->run->dry_run) {
        remove_locked(w, &tombstone_gone);
        return false;
    }
    if (device_has_vanished(w->device))
        return false;
    int r = hashdir_lock(&w->place, &lock_fd);
    if (r < 0) {
        failed(w, w->place.dir, r, "locking the partition");
        return false;
    }
    w->place.locked = true;
    remove_locked(w, &tombstone_gone);
    w->place.locked = false;
    close(lock_fd);
    return tombstone_gone;
}

/* ---- suffixes and partitions ---- */

bool orphans_suffix(struct worker *w, int partition_fd, const char *suffix, const char *path,
                    const struct stat *before)
{
    if (!orphan_is_old(w, SWEEP_EMPTY_SUFFIX, before))
        return false;
    if (w->pass->run->dry_run) {
        orphan_gone(w, SWEEP_EMPTY_SUFFIX, path);
        return true;
    }
    if (device_has_vanished(w->device))
        return false;
    if (unlinkat(partition_fd, suffix, AT_REMOVEDIR) < 0) {
        if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
            failed(w, path, -errno, "removing");
        return false;
    }
    orphan_gone(w, SWEEP_EMPTY_SUFFIX, path);
    /* Its hash may be in hashes.pkl still. The place is one of this suffix. */
    int r = hashdir_invalidate(&w->place);
    if (r < 0)
        failed(w, path, r, "marking the suffix");
    return true;
}

static const char *const kept_in_partitions[] = {"hashes.pkl", "hashes.invalid",
                                                 ".lock-replication", ".lock"};
enum { KEPT = sizeof(kept_in_partitions) / sizeof(kept_in_partitions[0]) };

/* true, if it could be locked or does not exist. */
static bool try_lock(int dirfd, const char *name, int *ret_fd)
{
    *ret_fd = openat(dirfd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0)
        return errno == ENOENT;
    return flock(*ret_fd, LOCK_EX | LOCK_NB) == 0;
}

/* Nothing but the kept files, and those as old as the partition itself must be. */
static bool holds_nothing(const struct worker *w, struct listing *dir)
{
    struct listing_entry e;
    struct stat st;
    int r;
    while ((r = listing_next(dir, &e)) > 0) {
        bool kept = false;
        for (int i = 0; i < KEPT; i++)
            kept = kept || strcmp(e.name, kept_in_partitions[i]) == 0;
        if (!kept || e.kind != ENTRY_FILE ||
            fstatat(dir->fd, e.name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !orphan_is_old(w, SWEEP_EMPTY_PARTITION, &st))
            return false;
    }
    return r == 0;
}

/* The order of the relinker's own clean-up: what is missing in between is made anew by anybody. */
static void remove_partition(struct worker *w, int dirfd, const char *partition, const char *path)
{
    for (int i = 0; i < KEPT; i++)
        if (unlinkat(dirfd, kept_in_partitions[i], 0) < 0 && errno != ENOENT) {
            failed(w, path, -errno, kept_in_partitions[i]);
            return;
        }
    if (unlinkat(w->objects_fd, partition, AT_REMOVEDIR) == 0)
        orphan_gone(w, SWEEP_EMPTY_PARTITION, path);
    else if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
        failed(w, path, -errno, "removing");
}

void orphans_partition(struct worker *w, const char *partition, const char *path,
                       const struct stat *before)
{
    struct listing *dir = &w->levels[0]; /* the walk is through with it */
    int lock_fd = -1, replication_fd = -1;
    if (!orphan_is_old(w, SWEEP_EMPTY_PARTITION, before))
        return;
    if (listing_open(dir, w->objects_fd, partition) < 0)
        return;
    if (w->pass->run->dry_run) {
        if (holds_nothing(w, dir))
            orphan_gone(w, SWEEP_EMPTY_PARTITION, path);
    } else if (try_lock(dir->fd, ".lock-replication", &replication_fd) &&
               try_lock(dir->fd, ".lock", &lock_fd) && holds_nothing(w, dir)) {
        remove_partition(w, dir->fd, partition, path);
    }
    if (lock_fd >= 0)
        close(lock_fd);
    if (replication_fd >= 0)
        close(replication_fd);
    listing_close(dir);
}

/* mkstemp's name in the partition: Swift's "tmp" + 8 characters + ".tmp". */
bool orphans_partition_file(struct worker *w, int partition_fd, const char *name, const char *path)
{
    size_t len = strlen(name);
    struct stat st;
    if (len != 15 || strncmp(name, "tmp", 3) != 0 || strcmp(name + 11, ".tmp") != 0)
        return false;
    if (fstatat(partition_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
        !orphan_is_old(w, SWEEP_PARTITION_TMP, &st))
        return true;
    if (w->pass->run->dry_run || unlinkat(partition_fd, name, 0) == 0)
        orphan_gone(w, SWEEP_PARTITION_TMP, path);
    else if (errno != ENOENT)
        failed(w, path, -errno, "removing");
    return true;
}
