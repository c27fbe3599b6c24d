/* SPDX-License-Identifier: Apache-2.0 */
/* hot.c -- see hot.h. A hash table with a list by last use; nothing of it is shared. */
#include "diskfile/engine/hot.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BUCKETS       4096 /* a power of two */
#define MIN_COST      512  /* of an entry beside its body */
#define SHARE_OF_LIST 16   /* no entry is larger than this part of the limit */

struct hot_table {
    size_t limit, used;
    struct hot_entry by_use; /* head of a ring: newest is by_use.older */
    struct hot_entry *buckets[BUCKETS];
};

static struct hot_entry **bucket_of(struct hot_table *h, const struct object_hash *hash)
{
    unsigned at = (unsigned)hash->md5[14] << 8 | hash->md5[15];
    return &h->buckets[at % BUCKETS];
}

static void list_remove(struct hot_entry *e)
{
    e->newer->older = e->older;
    e->older->newer = e->newer;
}

static void list_add_newest(struct hot_table *h, struct hot_entry *e)
{
    e->newer = &h->by_use;
    e->older = h->by_use.older;
    e->older->newer = e;
    h->by_use.older = e;
}

struct hot_table *hot_new(size_t limit_bytes)
{
    struct hot_table *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->limit = limit_bytes;
    h->by_use.newer = h->by_use.older = &h->by_use;
    return h;
}

void hot_unref(struct hot_entry *e)
{
    if (--e->refs > 0)
        return;
    object_state_release(&e->state);
    free(e->body);
    free(e->dir);
    free(e);
}

static void forget(struct hot_table *h, struct hot_entry *e)
{
    struct hot_entry **at = bucket_of(h, &e->hash);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    list_remove(e);
    h->used -= e->cost;
    hot_unref(e);
}

bool hot_is_empty(const struct hot_table *h)
{
    return h->used == 0;
}

void hot_free(struct hot_table *h)
{
    if (!h)
        return;
    while (h->by_use.older != &h->by_use)
        forget(h, h->by_use.older);
    free(h);
}

static struct hot_entry *find(struct hot_table *h, const struct object_place *p)
{
    for (struct hot_entry *e = *bucket_of(h, &p->hash); e; e = e->chain)
        if (memcmp(e->hash.md5, p->hash.md5, sizeof(e->hash.md5)) == 0 && e->device == p->device &&
            strcmp(e->dir, p->dir) == 0)
            return e;
    return NULL;
}

/* Two names may have one hash; the other one's owner is told so by hashdir_load(). */
static bool is_named(const struct hot_entry *e, const struct object_place *p)
{
    const struct slice *name = metadata_get(e->state.info.metadata, "name");
    return name && slice_eq(*name, (struct slice){p->object_name, p->object_name_len});
}

/* ---- still what it was? ---- */

/* Opened as a path only, from the kernel's caches or not at all: -EAGAIN then. */
static int open_cached(int dirfd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(O_PATH | O_CLOEXEC | O_NOFOLLOW | flags),
        .resolve = RESOLVE_CACHED,
    };
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

static bool is_still(int fd, const struct file_identity *was)
{
    struct stat st;
    struct file_identity is;
    if (fstat(fd, &st) < 0)
        return false;
    file_identity_of(&st, &is);
    return file_identity_eq(&is, was);
}

static bool unchanged(const struct hot_entry *e)
{
    int dirfd = open_cached(AT_FDCWD, e->dir, O_DIRECTORY);
    if (dirfd < 0)
        return false;
    int fd = -1;
    bool same = is_still(dirfd, &e->identity.dir);
    if (same)
        fd = open_cached(dirfd, e->state.file, 0);
    same = fd >= 0 && is_still(fd, &e->identity.file);
    if (fd >= 0)
        close(fd);
    close(dirfd);
    return same;
}

struct hot_entry *hot_look(struct hot_table *h, const struct object_place *p)
{
    struct hot_entry *e = find(h, p);
    if (!e || !is_named(e, p))
        return NULL;
    if (!unchanged(e)) {
        forget(h, e);
        return NULL;
    }
    list_remove(e);
    list_add_newest(h, e);
    e->refs++;
    return e;
}

/* ---- remembering ---- */

static bool is_old(const struct timespec *changed, time_t looked_s)
{
    return changed->tv_sec + HOT_MIN_AGE_S < looked_s;
}

static bool may_keep(const struct hot_table *h, const struct object_state *s, size_t cost,
                     time_t looked_s)
{
    const struct object_identity *id = &s->identity;
    return s->info.state == DF_LIVE && id->sole_file && cost <= h->limit / SHARE_OF_LIST &&
           is_old(&id->dir.mtime, looked_s) && is_old(&id->dir.ctime, looked_s) &&
           is_old(&id->file.mtime, looked_s) && is_old(&id->file.ctime, looked_s) &&
           !metadata_get(s->info.metadata, "X-Delete-At");
}

static size_t cost_of(const struct object_state *s, const struct object_place *p, size_t body_len)
{
    size_t cost = sizeof(struct hot_entry) + MIN_COST + p->dir_len + body_len;
    for (unsigned i = 0; i < s->data.count; i++)
        cost +=
            sizeof(struct metadata_item) + s->data.items[i].key.len + s->data.items[i].value.len;
    return cost;
}

static void make_room(struct hot_table *h, size_t cost)
{
    struct hot_entry *oldest = h->by_use.newer;
    while (oldest != &h->by_use && h->used + cost > h->limit) {
        struct hot_entry *next = oldest->newer;
        forget(h, oldest);
        oldest = next;
    }
}

struct hot_entry *hot_keep(struct hot_table *h, const struct object_place *p,
                           struct object_state *take_state, char *take_body, size_t body_len,
                           time_t looked_s)
{
    size_t cost = cost_of(take_state, p, body_len);
    if (!may_keep(h, take_state, cost, looked_s))
        return NULL;
    struct hot_entry *old = find(h, p);
    if (old)
        forget(h, old);
    make_room(h, cost);
    struct hot_entry *e = calloc(1, sizeof(*e));
    char *dir = strdup(p->dir);
    if (!e || !dir) {
        free(e);
        free(dir);
        return NULL;
    }
    e->hash = p->hash;
    e->device = p->device;
    e->dir = dir;
    e->identity = take_state->identity;
    object_state_move(&e->state, take_state);
    e->body = take_body;
    e->body_len = body_len;
    e->cost = cost;
    e->refs = 2;
    struct hot_entry **bucket = bucket_of(h, &e->hash);
    e->chain = *bucket;
    *bucket = e;
    list_add_newest(h, e);
    h->used += cost;
    return e;
}
