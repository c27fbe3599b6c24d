/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c -- from a partition down to its hash directories, one entry at a time.
 *
 * What is found where it does not belong is reported and left alone; names that a daemon of
 * Swift puts there are known. */
#include "tools/audit/examine.h"
#include "tools/audit/halt.h"
#include "tools/audit/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PATH_BYTES (PATH_MAX + 512)

static bool is_hex(const char *name, size_t len)
{
    return strlen(name) == len && strspn(name, "0123456789abcdef") == len;
}

static bool is_number(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= 10 && strspn(name, "0123456789") == len;
}

static void foreign(struct worker *w, const char *path, const struct listing_entry *e,
                    const char *where)
{
    tally_one(&w->tally->foreign);
    report_found(FOUND_FOREIGN, w->device->name, path, "%s in place of %s; left alone",
                 entry_kind_name(e->kind), where);
}

/* The run goes on with the next; the pass has not seen everything. */
static void unreadable(struct worker *w, const char *path, int error)
{
    tally_one(&w->tally->errors);
    atomic_store(&w->pass->failed, true);
    report_found(FOUND_ERROR, w->device->name, path, "cannot be listed: %s", strerror(-error));
}

/* false: it stays whatever is in it; a ZBF pass removes no directory. */
static bool state_before(const struct worker *w, const struct listing *dir, struct stat *ret)
{
    return w->pass->type != AUDIT_ZBF && fstat(dir->fd, ret) == 0;
}

static void path_of(const struct worker *w, char path[PATH_BYTES], const char *partition,
                    const char *suffix, const char *name)
{
    char objects[24];
    policy_path_component("objects", w->policy->index, objects);
    snprintf(path, PATH_BYTES, "%s/%s/%s%s%s%s%s", w->device->sd.path, objects, partition,
             suffix ? "/" : "", suffix ? suffix : "", name ? "/" : "", name ? name : "");
}

static int set_place(struct worker *w, const char *partition, const char *suffix, const char *name)
{
    return place_of_directory(&w->pass->run->settings->store, &w->device->sd, w->policy,
                              slice_of(partition), slice_of(suffix), slice_of(name), &w->place);
}

static bool ends(const struct worker *w)
{
    return halted() || atomic_load_explicit(&w->device->vanished, memory_order_relaxed);
}

/* ---- a suffix directory ---- */

/* true: there is something left of it. */
static bool walk_entry(struct worker *w, const char *partition, const char *suffix,
                       const struct listing_entry *e)
{
    char path[PATH_BYTES];
    /* A file where a hash directory should be is damage that Swift's auditor puts away. What has
     * no hash for a name was put there by somebody else, a copy kept by hand perhaps. */
    bool examined = is_hex(e->name, 32) && (e->kind == ENTRY_DIRECTORY || e->kind == ENTRY_FILE);
    if (!examined) {
        path_of(w, path, partition, suffix, e->name);
        foreign(w, path, e, "a hash directory");
        return true;
    }
    int r = set_place(w, partition, suffix, e->name);
    if (r < 0) {
        path_of(w, path, partition, suffix, e->name);
        unreadable(w, path, r);
        return true;
    }
    w->misplaced = strcmp(e->name + 29, suffix) != 0;
    if (w->misplaced) {
        tally_one(&w->tally->foreign);
        report_found(FOUND_FOREIGN, w->device->name, w->place.dir,
                     "no server looks for it here, its suffix is %s; examined, but not swept",
                     e->name + 29);
    }
    examine(w);
    limiter_wait(&w->pass->run->locations[w->pass->type], 1);
    pass_log_tick(w->pass);
    return !w->gone;
}

static void walk_suffix(struct worker *w, const char *partition, const char *suffix, bool *ret_left)
{
    struct listing *dir = &w->levels[1];
    struct listing_entry e;
    struct stat before;
    char path[PATH_BYTES];
    bool left = false;
    path_of(w, path, partition, suffix, NULL);
    int r = listing_open(dir, w->levels[0].fd, suffix);
    if (r < 0) {
        *ret_left = true;
        if (r != -ENOENT)
            unreadable(w, path, r);
        return;
    }
    bool stated = state_before(w, dir, &before);
    while ((r = listing_next(dir, &e)) > 0 && !ends(w))
        left = walk_entry(w, partition, suffix, &e) || left;
    listing_close(dir);
    if (r < 0 && r != -ENOENT) /* removed by somebody else while it was being read */
        unreadable(w, path, r);
    if (r == 0 && !left && stated && set_place(w, partition, suffix, "-") == 0)
        left = !orphans_suffix(w, w->levels[0].fd, suffix, path, &before);
    *ret_left = *ret_left || left || r != 0;
}

/* ---- a partition ---- */

static bool is_kept_file(const char *name)
{
    return strcmp(name, "hashes.pkl") == 0 || strcmp(name, "hashes.invalid") == 0 ||
           strcmp(name, ".lock") == 0 || strcmp(name, ".lock-replication") == 0;
}

static void walk_partition_entry(struct worker *w, const char *partition,
                                 const struct listing_entry *e, bool *ret_left)
{
    char path[PATH_BYTES];
    if (e->kind == ENTRY_DIRECTORY && is_hex(e->name, 3)) {
        if (device_has_vanished(w->device))
            *ret_left = true;
        else
            walk_suffix(w, partition, e->name, ret_left);
        return;
    }
    if (e->kind == ENTRY_FILE && is_kept_file(e->name))
        return;
    path_of(w, path, partition, e->name, NULL);
    if (e->kind == ENTRY_FILE && orphans_partition_file(w, w->levels[0].fd, e->name, path))
        return;
    *ret_left = true;
    foreign(w, path, e, "a suffix directory");
}

static bool is_status_file(const char *name)
{
    return strncmp(name, "auditor_status_", 15) == 0;
}

static void walk_open_partition(struct worker *w, const char *partition, const char *path)
{
    struct listing *dir = &w->levels[0];
    struct listing_entry e;
    struct stat before;
    bool left = false, stated = state_before(w, dir, &before);
    int r;
    while ((r = listing_next(dir, &e)) > 0 && !ends(w))
        walk_partition_entry(w, partition, &e, &left);
    listing_close(dir);
    if (r < 0 && r != -ENOENT)
        unreadable(w, path, r);
    if (r == 0 && !left && stated)
        orphans_partition(w, partition, path, &before);
}

void walk_partition(struct worker *w, const char *partition)
{
    char path[PATH_BYTES];
    struct listing_entry e = {.name = partition, .kind = ENTRY_FILE};
    struct stat st;
    path_of(w, path, partition, NULL, NULL);
    int r = listing_open(&w->levels[0], w->objects_fd, partition);
    if (r == 0 && !is_number(partition)) {
        listing_close(&w->levels[0]);
        e.kind = ENTRY_DIRECTORY;
        foreign(w, path, &e, "a partition");
    } else if (r == 0) {
        walk_open_partition(w, partition, path);
    } else if (r == -ENOTDIR || r == -ELOOP) {
        if (fstatat(w->objects_fd, partition, &st, AT_SYMLINK_NOFOLLOW) == 0)
            e.kind = S_ISLNK(st.st_mode)   ? ENTRY_LINK
                     : S_ISREG(st.st_mode) ? ENTRY_FILE
                                           : ENTRY_OTHER;
        if (!is_status_file(partition))
            foreign(w, path, &e, "a partition");
    } else if (r != -ENOENT) {
        unreadable(w, path, r);
    }
}
