/* SPDX-License-Identifier: Apache-2.0 */
/* hashdir_change.c -- making, syncing, cleaning and removing the directories of an object. */
#include "diskfile/engine/directory.h"
#include "diskfile/engine/hashdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A sweeper may remove an empty directory as soon as we have made it. Against one that does
 * nothing else, 16 attempts have failed once in some thousand uploads. */
#define MAKE_ATTEMPTS_MAX 200

/* The directories of the path, from the device down. */
enum { LEVELS = 5 };

static void levels_of(const struct object_place *p, unsigned len[LEVELS])
{
    len[0] = p->device_len;
    len[1] = p->objects_len;
    len[2] = p->partition_len;
    len[3] = p->suffix_len;
    len[4] = p->dir_len;
}

/* The path cut at a level; `path` is a copy of p->dir. */
static const char *cut(const struct object_place *p, char path[PATH_MAX], unsigned len)
{
    memcpy(path, p->dir, len);
    path[len] = '\0';
    return path;
}

unsigned hashdir_existing(const struct object_place *p)
{
    char path[PATH_MAX];
    unsigned len[LEVELS];
    levels_of(p, len);
    int level = LEVELS - 1;
    while (level > 0 && access(cut(p, path, len[level]), F_OK) < 0)
        level--;
    return len[level];
}

/* One way up to the first directory that exists, one way down again. */
static int make_once(const struct object_place *p, const unsigned len[LEVELS], unsigned *ret_len)
{
    char path[PATH_MAX];
    int level = LEVELS - 1;
    while (mkdir(cut(p, path, len[level]), 0755) < 0) {
        if (errno == EEXIST) {
            *ret_len = len[level];
            break;
        }
        if (errno != ENOENT)
            return -errno;
        if (--level == 0)
            return -ENODEV;
        *ret_len = len[level - 1];
    }
    for (level++; level < LEVELS; level++)
        if (mkdir(cut(p, path, len[level]), 0755) < 0 && errno != EEXIST)
            return -errno;
    return 0;
}

int hashdir_make(const struct object_place *p, unsigned *ret_existed_len)
{
    unsigned len[LEVELS];
    levels_of(p, len);
    unsigned existed_len = len[LEVELS - 1];
    for (int attempt = 0;; attempt++) {
        unsigned this_time = len[LEVELS - 2];
        int r = make_once(p, len, &this_time);
        if (this_time < existed_len)
            existed_len = this_time;
        if (r == -ENOENT && attempt < MAKE_ATTEMPTS_MAX)
            continue;
        if (r == 0)
            *ret_existed_len = existed_len;
        return r;
    }
}

int hashdir_sync(const struct object_place *p, unsigned existed_len)
{
    char path[PATH_MAX];
    unsigned len[LEVELS];
    levels_of(p, len);
    for (int level = LEVELS - 1; level >= 0 && len[level] >= existed_len; level--) {
        int r = directory_sync(cut(p, path, len[level]));
        if (r < 0)
            return r;
    }
    return 0;
}

/* Marked before, for a crash may come right after the rename; and after, for a rehash in between
 * takes the mark and sees the old name. */
static int rename_durable(const struct object_place *p, const char *from, const char *to)
{
    int r = hashdir_invalidate(p);
    if (r < 0)
        return r;
    int dirfd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return -errno;
    r = renameat(dirfd, from, dirfd, to) < 0 || fsync(dirfd) < 0 ? -errno : 0;
    close(dirfd);
    return r == 0 ? hashdir_invalidate(p) : r;
}

int hashdir_make_durable(const struct object_place *p, struct timestamp ts, int index)
{
    struct file_name file = {.kind = FILE_DATA, .timestamp = ts, .fragment = index};
    char from[FILENAME_MAX_LEN], to[FILENAME_MAX_LEN];
    filename_format(&file, from);
    file.durable = true;
    filename_format(&file, to);
    int r = rename_durable(p, from, to);
    return r < 0 ? r : hashdir_clean(p, df_now());
}

/* Oldest first, and a tombstone only when all that it hides is gone: at no moment, not even after
 * a power cut, may an older version come to light again. Returns how many files are left. */
static unsigned unlink_obsolete(int dirfd, const struct selection *s, int tombstone)
{
    unsigned left = 0;
    bool hides = false;
    for (unsigned i = s->count; i-- > 0;) {
        bool obsolete = s->entries[i].verdict == VERDICT_OBSOLETE && (int)i != tombstone;
        if (obsolete && (unlinkat(dirfd, s->entries[i].name, 0) == 0 || errno == ENOENT))
            continue;
        hides |= obsolete;
        left++;
    }
    if (tombstone >= 0 && s->entries[tombstone].verdict == VERDICT_OBSOLETE && !hides &&
        (unlinkat(dirfd, s->entries[tombstone].name, 0) == 0 || errno == ENOENT))
        left--;
    return left;
}

/* A fragment whose age cannot be told stays, as if it had just been written. */
static void note_mtimes(int dirfd, struct selection *s, const struct reclaim *limits)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct select_entry *e = &s->entries[i];
        struct stat st;
        if (!select_needs_mtime(e, limits))
            continue;
        bool told = fstatat(dirfd, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        e->mtime_s = told ? st.st_mtim.tv_sec : INT64_MAX;
    }
}

int hashdir_clean_select(const struct object_place *p, struct timestamp now,
                         struct selection *ret_selection)
{
    const struct df_options *o = &p->store->options;
    const struct reclaim limits = {now, o->reclaim_age_s, o->commit_window_s};
    int dirfd;
    int r = hashdir_select(p, ret_selection, &dirfd);
    if (r < 0)
        return r;
    int tombstone = ret_selection->tombstone; /* which a reclaimed one is no more */
    note_mtimes(dirfd, ret_selection, &limits);
    select_reclaim(ret_selection, &limits);
    if (unlink_obsolete(dirfd, ret_selection, tombstone) == 0)
        (void)rmdir(p->dir); /* not empty: somebody has just written to it */
    close(dirfd);
    return 0;
}

int hashdir_clean(const struct object_place *p, struct timestamp now)
{
    struct selection left;
    int r = hashdir_clean_select(p, now, &left);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    select_release(&left);
    return 0;
}

int hashdir_is_overtaken(const struct object_place *p, struct timestamp ts)
{
    struct selection s;
    int r = hashdir_select(p, &s, NULL);
    if (r < 0)
        return r;
    bool deleted = s.tombstone >= 0 && timestamp_cmp(s.entries[s.tombstone].file.timestamp, ts) > 0;
    bool durable = s.durable >= 0 && timestamp_cmp(s.entries[s.durable].file.timestamp, ts) >= 0;
    select_release(&s);
    return deleted || durable ? 0 : -ENOENT;
}

void hashdir_unmake(const struct object_place *p, unsigned existed_len)
{
    char path[PATH_MAX];
    unsigned len[LEVELS];
    levels_of(p, len);
    for (int level = LEVELS - 1; level > 0 && len[level] > existed_len; level--)
        if (rmdir(cut(p, path, len[level])) < 0 && errno != ENOENT)
            return; /* in use: so are all above it */
}
