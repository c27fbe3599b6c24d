/* SPDX-License-Identifier: Apache-2.0 */
/* quarantine.c -- damaged objects are moved aside, never removed (on-disk-format 14). */
#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/quarantine_note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ATTEMPTS_MAX 8
#define PATH_BYTES        (PATH_MAX + 128)

/* <device>/quarantined/objects[-N]; returns its length. */
static int make_target_directory(const struct object_place *p, char path[PATH_BYTES])
{
    char objects[24];
    policy_path_component("objects", p->policy->index, objects);
    int n = snprintf(path, PATH_BYTES, "%.*s/quarantined", (int)p->device_len, p->dir);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    n += snprintf(path + n, PATH_BYTES - (size_t)n, "/%s", objects);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    return n;
}

/* 32 hex digits of a random (version 4) UUID. */
static void random_uuid(char hex[33])
{
    unsigned char b[16];
    (void)getrandom(b, sizeof(b), 0); /* a collision only costs another attempt */
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", b[i]);
}

/* Without replacing: an empty directory or a file that lies there is a find of its own. */
static int move(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL || errno == ENOSYS) /* the file system does not know NOREPLACE */
        return rename(from, to) < 0 ? -errno : 0;
    return -errno;
}

static bool taken(int r)
{
    return r == -EEXIST || r == -ENOTEMPTY || r == -ENOTDIR || r == -EISDIR;
}

/* Without it the object is safe all the same: a disk that is full keeps no note. */
static void leave_note(const struct object_place *p, const char *from, const char *to,
                       const char *reason)
{
    struct quarantine_note note = {.time = df_now()};
    snprintf(note.from, sizeof(note.from), "%s", from + p->device_len + 1);
    snprintf(note.reason, sizeof(note.reason), "%s", reason);
    (void)quarantine_note_write(to, &note);
}

static int move_to_quarantine(const struct object_place *p, const char *from, const char *reason)
{
    char to[PATH_BYTES], uuid[33];
    int n = make_target_directory(p, to);
    if (n < 0)
        return n;
    const char *name = strrchr(from, '/') + 1;
    snprintf(to + n, sizeof(to) - (size_t)n, "/%s", name);
    int r = move(from, to);
    for (int i = 0; taken(r) && i < NAME_ATTEMPTS_MAX; i++) {
        random_uuid(uuid);
        snprintf(to + n, sizeof(to) - (size_t)n, "/%s-%s", name, uuid);
        r = move(from, to);
    }
    if (r == 0)
        leave_note(p, from, to, reason);
    return r;
}

static bool names(const struct selection *s, int chosen, const char *file)
{
    return chosen >= 0 && strcmp(s->entries[chosen].name, file) == 0;
}

/* Erasure coding: what is read depends on the reader's wish, so any fragment or .meta that has
 * not lost may have been the object. */
static bool could_be_read(const struct selection *s, const char *file)
{
    for (unsigned i = 0; i < s->count; i++)
        if (strcmp(s->entries[i].name, file) == 0)
            return s->entries[i].verdict == VERDICT_KEEP ||
                   s->entries[i].verdict == VERDICT_RECLAIM;
    return false;
}

/* Is the bad file still the object, or a part of it? A reader may have had it open for long. */
static int still_current(const struct object_place *p, const char *file, int fd)
{
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0)
        return -ESTALE;
    struct selection s;
    int r = hashdir_select(p, &s, NULL);
    if (r < 0)
        return r == -ENOENT ? -ESTALE : r;
    bool current = names(&s, s.data, file) || names(&s, s.meta, file) || names(&s, s.ctype, file) ||
                   names(&s, s.tombstone, file) ||
                   (p->policy->erasure_coded && could_be_read(&s, file));
    select_release(&s);
    return current ? 0 : -ESTALE;
}

static int quarantine_locked(const struct object_place *p, const char *from, const char *file,
                             int fd, const char *reason)
{
    int r = file ? still_current(p, file, fd) : 0;
    struct object_place locked_place = *p;
    locked_place.locked = true;
    if (r == 0)
        r = hashdir_invalidate(&locked_place);
    if (r == 0)
        r = move_to_quarantine(p, from, reason);
    return r == -ENOENT ? -ESTALE : r; /* somebody else was faster */
}

static int quarantine(const struct object_place *p, const char *from, const char *file, int fd,
                      const char *reason)
{
    if (p->locked)
        return quarantine_locked(p, from, file, fd, reason);
    int lock_fd;
    int r = hashdir_lock(p, &lock_fd);
    if (r < 0)
        return r;
    r = quarantine_locked(p, from, file, fd, reason);
    close(lock_fd);
    return r;
}

int hashdir_quarantine(const struct object_place *p, const char *file, int fd, const char *reason)
{
    int r = quarantine(p, p->dir, file, fd, reason);
    if (r == 0)
        store_event(p->store, DF_EVENT_QUARANTINE, "Quarantined object %s%s%s: %s", p->dir,
                    file ? "/" : "", file ? file : "", reason);
    return r;
}

int hashdir_quarantine_suffix(const struct object_place *p, const char *reason)
{
    char from[PATH_MAX];
    memcpy(from, p->dir, p->suffix_len);
    from[p->suffix_len] = '\0';
    int r = quarantine(p, from, NULL, -1, reason);
    if (r == 0)
        store_event(p->store, DF_EVENT_QUARANTINE, "Quarantined object %s: %s", from, reason);
    return r;
}
