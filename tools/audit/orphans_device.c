/* SPDX-License-Identifier: Apache-2.0 */
/* orphans_device.c -- beside the objects: tmp[-N]/, and async_pending[-N]/ which is looked at
 * only (orphans.h). */
#include "tools/audit/halt.h"
#include "tools/audit/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define PATH_BYTES      (PATH_MAX + 256)
#define NAMED_ASYNC_MAX 20 /* paths that are reported one by one, for each device */

/* "tmp", "tmp-3": *ret_policy is the number. */
static bool is_of_policy(const char *name, const char *base, unsigned *ret_policy)
{
    size_t len = strlen(base);
    unsigned long n = 0;
    if (strncmp(name, base, len) != 0)
        return false;
    name += len;
    if (name[0] != '\0') {
        if (name[0] != '-' || name[1] < '1' || name[1] > '9' || strlen(name) > 9 ||
            strspn(name + 1, "0123456789") != strlen(name + 1))
            return false;
        n = strtoul(name + 1, NULL, 10);
    }
    *ret_policy = (unsigned)n;
    return true;
}

/* ---- tmp ---- */

/* A living upload of objsrv without O_TMPFILE holds its file locked. */
static bool is_held(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return true;
    bool held = flock(fd, LOCK_EX | LOCK_NB) < 0;
    close(fd);
    return held;
}

static void sweep_tmp_file(struct worker *w, int dirfd, const char *name, const char *path)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
        !orphan_is_old(w, SWEEP_TMP, &st) || is_held(dirfd, name))
        return;
    if (w->pass->run->dry_run || unlinkat(dirfd, name, 0) == 0) {
        orphan_gone(w, SWEEP_TMP, path);
    } else if (errno != ENOENT) {
        tally_one(&w->tally->errors);
        report_found(FOUND_ERROR, w->device->name, path, "removing: %s", strerror(errno));
    }
}

static void sweep_tmp(struct worker *w, const char *directory)
{
    struct listing *dir = &w->levels[1];
    struct listing_entry e;
    char path[PATH_BYTES];
    if (listing_open(dir, w->device->root_fd, directory) < 0)
        return;
    while (listing_next(dir, &e) > 0 && !halted()) {
        snprintf(path, sizeof(path), "%s/%s/%s", w->device->sd.path, directory, e.name);
        if (e.kind == ENTRY_FILE) {
            sweep_tmp_file(w, dir->fd, e.name, path);
            continue;
        }
        tally_one(&w->tally->foreign);
        report_found(FOUND_FOREIGN, w->device->name, path, "%s among temporary files; left alone",
                     entry_kind_name(e.kind));
    }
    listing_close(dir);
}

/* ---- async_pending ---- */

struct async_count {
    uint64_t stale;
    double oldest_s;
    unsigned named;
};

static void name_async(struct worker *w, struct async_count *count, const char *path,
                       const char *why)
{
    if (count->named++ < NAMED_ASYNC_MAX)
        report_found(FOUND_ASYNC, w->device->name, path, "%s; left alone", why);
    tally_one(&w->tally->async_stale);
}

/* <32 hex>-<timestamp> */
static void look_at_async(struct worker *w, struct async_count *count, const char *path)
{
    const char *name = strrchr(path, '/') + 1, *dash = strchr(name, '-');
    struct timestamp ts;
    double limit_s = w->pass->run->settings->report_async_pending;
    tally_one(&w->tally->async_pending);
    if (!dash || dash - name != HASH_HEX_LEN || strchr(dash + 1, '-') ||
        timestamp_parse(slice_of(dash + 1), &ts) < 0) {
        name_async(w, count, path, "no name of an update");
        return;
    }
    double t = (double)ts.ticks / TIMESTAMP_TICKS_PER_S;
    if (limit_s == AGE_OFF || trusted_now_s(NULL) - t < limit_s)
        return;
    tally_one(&w->tally->async_stale);
    if (count->stale++ == 0 || t < count->oldest_s)
        count->oldest_s = t;
}

static void look_in_async_suffix(struct worker *w, struct async_count *count, const char *directory,
                                 const char *suffix)
{
    struct listing *dir = &w->levels[2];
    struct listing_entry e;
    char path[PATH_BYTES];
    if (listing_open(dir, w->levels[1].fd, suffix) < 0)
        return;
    while (listing_next(dir, &e) > 0 && !halted()) {
        snprintf(path, sizeof(path), "%s/%s/%s/%s", w->device->sd.path, directory, suffix, e.name);
        if (e.kind == ENTRY_FILE)
            look_at_async(w, count, path);
        else
            name_async(w, count, path, entry_kind_name(e.kind));
    }
    listing_close(dir);
}

static void look_at_asyncs(struct worker *w, const char *directory, bool has_policy)
{
    struct listing *dir = &w->levels[1];
    struct listing_entry e;
    struct async_count count = {0};
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", w->device->sd.path, directory);
    if (!has_policy)
        name_async(w, &count, path, "no policy of this number: nobody delivers what is in it");
    if (listing_open(dir, w->device->root_fd, directory) < 0)
        return;
    while (listing_next(dir, &e) > 0 && !halted())
        if (e.kind == ENTRY_DIRECTORY)
            look_in_async_suffix(w, &count, directory, e.name);
    listing_close(dir);
    if (count.stale > 0)
        report_found(FOUND_ASYNC, w->device->name, path,
                     "%llu updates older than %.0f s, the oldest of %.5f: is the updater at work?",
                     (unsigned long long)count.stale, w->pass->run->settings->report_async_pending,
                     count.oldest_s);
}

/* ---- */

void orphans_of_device(struct worker *w)
{
    struct listing *dir = &w->levels[0];
    struct listing_entry e;
    unsigned policy;
    if (!w->pass->run->settings->sweep || w->pass->type == AUDIT_ZBF ||
        listing_open(dir, w->device->root_fd, ".") < 0)
        return;
    while (listing_next(dir, &e) > 0 && !halted()) {
        if (e.kind != ENTRY_DIRECTORY)
            continue;
        if (is_of_policy(e.name, "tmp", &policy))
            sweep_tmp(w, e.name);
        else if (is_of_policy(e.name, "async_pending", &policy))
            look_at_asyncs(w, e.name, store_policy(&w->pass->run->settings->store, policy) != NULL);
    }
    listing_close(dir);
}
