/* SPDX-License-Identifier: Apache-2.0 */
/* part_power.c -- while a cluster's partition power grows, what is written is linked into its
 * future partition too (on-disk-format 18). */
#include "diskfile/engine/hashdir.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* The same object's place at another power. The name is borrowed: no place_release(). */
static int place_at(const struct object_place *p, unsigned power, struct object_place *ret)
{
    *ret = *p;
    ret->locked = false;
    size_t room = sizeof(ret->dir) - p->objects_len;
    int n = snprintf(ret->dir + p->objects_len, room, "/%u", hash_partition(&p->hash, power));
    ret->partition_len = p->objects_len + (unsigned)n;
    ret->suffix_len = ret->partition_len + (p->suffix_len - p->partition_len);
    ret->dir_len = ret->suffix_len + (p->dir_len - p->suffix_len);
    if (ret->dir_len >= sizeof(ret->dir))
        return -ENAMETOOLONG;
    memcpy(ret->dir + ret->partition_len, p->dir + p->partition_len,
           p->dir_len - p->partition_len + 1);
    return 0;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

static int link_into(const struct object_place *to, const char *file)
{
    char name[PATH_MAX + 256];
    unsigned existed_len = 0;
    snprintf(name, sizeof(name), "%s/%s", to->dir, strrchr(file, '/') + 1);
    int r = hashdir_make(to, &existed_len);
    if (r < 0)
        return r;
    if (link(file, name) == 0)
        return 0;
    r = -errno;
    bool gone = r == -ENOENT && access(file, F_OK) < 0; /* a newer version was faster */
    return gone || (r == -EEXIST && is_same_file(file, name)) ? 0 : r;
}

/* Where the object will lie at `power`, or, if that is here, where it has lain before. */
static int other_place(const struct object_place *p, unsigned power, struct object_place *ret,
                       bool *ret_here_already)
{
    int r = place_at(p, power, ret);
    *ret_here_already = r == 0 && strcmp(ret->dir, p->dir) == 0;
    return *ret_here_already ? place_at(p, power - 1, ret) : r;
}

static void report(const struct object_place *p, const char *file, unsigned power, int r)
{
    if (r < 0)
        store_event(p->store, DF_EVENT_WARNING, "cannot link %s for partition power %u: %s", file,
                    power, strerror(-r));
}

void hashdir_link_next_power(const struct object_place *p, const char *file, unsigned power)
{
    struct object_place other;
    bool here_already;
    int r = other_place(p, power, &other, &here_already);
    if (r == 0 && !here_already)
        r = link_into(&other, file);
    if (r == 0)
        r = hashdir_clean(&other, df_now());
    report(p, file, power, r);
}

void hashdir_link_pending(const struct object_place *p, const char *file, unsigned power)
{
    struct object_place other;
    bool here_already;
    int r = other_place(p, power, &other, &here_already);
    if (r == 0 && !here_already)
        r = link_into(&other, file);
    report(p, file, power, r);
}

void hashdir_rename_next_power(const struct object_place *p, const char *pending,
                               const char *durable, unsigned power)
{
    struct object_place other;
    bool here_already;
    char from[PATH_MAX + 256], to[PATH_MAX + 256];
    if (other_place(p, power, &other, &here_already) == 0 && !here_already) {
        snprintf(from, sizeof(from), "%s/%s", other.dir, strrchr(pending, '/') + 1);
        snprintf(to, sizeof(to), "%s/%s", other.dir, strrchr(durable, '/') + 1);
        if (rename(from, to) < 0 && errno != ENOENT)
            report(p, durable, power, -errno);
    }
    hashdir_link_next_power(p, durable, power); /* nothing to do if it was renamed */
}
