/* SPDX-License-Identifier: Apache-2.0 */
/* hot.c -- see hot.h. A hash table with a list by last use; nothing of it is shared. */
#include "diskfile/engine/hot.h"
#include "diskfile/engine/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS       4096 /* a power of two */
#define MIN_COST      512  /* of an entry beside its body */
#define SHARE_OF_LIST 16   /* no entry is larger than this part of the limit */

struct hot_table {
    size_t limit, used;
    int watches;             /* the set; -1: there is none */
    struct hot_entry by_use; /* head of a ring: newest is by_use.older */
    struct hot_entry *buckets[BUCKETS];
    struct hot_entry *by_watch[BUCKETS];
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
    h->watches = limit_bytes > 0 ? watch_open() : -1;
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

static struct hot_entry **watch_bucket_of(struct hot_table *h, int number)
{
    return &h->by_watch[(unsigned)number % BUCKETS];
}

static struct hot_entry *find_watched(struct hot_table *h, int number)
{
    struct hot_entry *e = *watch_bucket_of(h, number);
    while (e && e->watch != number)
        e = e->watch_chain;
    return e;
}

static void watch_stop(struct hot_table *h, struct hot_entry *e)
{
    if (e->watch < 0)
        return;
    struct hot_entry **at = watch_bucket_of(h, e->watch);
    while (*at != e)
        at = &(*at)->watch_chain;
    *at = e->watch_chain;
    watch_remove(h->watches, e->watch);
    e->watch = -1;
}

/* One directory has one number. Mounted twice, it has two names and so two entries: the second
 * one does without. */
static void watch_start(struct hot_table *h, struct hot_entry *e, int dirfd)
{
    int number = h->watches < 0 ? -ENOSPC : watch_add(h->watches, dirfd);
    if (number < 0 || find_watched(h, number))
        return;
    struct hot_entry **bucket = watch_bucket_of(h, number);
    e->watch = number;
    e->watch_chain = *bucket;
    *bucket = e;
}

static void forget(struct hot_table *h, struct hot_entry *e)
{
    struct hot_entry **at = bucket_of(h, &e->hash);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    watch_stop(h, e);
    list_remove(e);
    h->used -= e->cost;
    hot_unref(e);
}

static void forget_all(struct hot_table *h)
{
    while (h->by_use.older != &h->by_use)
        forget(h, h->by_use.older);
}

bool hot_is_empty(const struct hot_table *h)
{
    return h->used == 0;
}

void hot_free(struct hot_table *h)
{
    if (!h)
        return;
    forget_all(h);
    if (h->watches >= 0)
        close(h->watches);
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

static bool file_is_still(int dirfd, const struct hot_entry *e)
{
    int fd = open_cached(dirfd, e->state.file, 0);
    if (fd < 0)
        return false;
    bool same = is_still(fd, &e->identity.file);
    close(fd);
    return same;
}

/* The watch begins before the look: no change falls between. */
static bool unchanged(struct hot_table *h, struct hot_entry *e)
{
    int dirfd = open_cached(AT_FDCWD, e->dir, O_DIRECTORY);
    if (dirfd < 0)
        return false;
    if (e->watch < 0)
        watch_start(h, e, dirfd);
    bool same = is_still(dirfd, &e->identity.dir) && file_is_still(dirfd, e);
    close(dirfd);
    return same;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_change(void *table, int number)
{
    struct hot_table *h = table;
    if (number == WATCH_EVERYTHING) {
        forget_all(h);
        return;
    }
    struct hot_entry *e = find_watched(h, number);
    if (e)
        forget(h, e);
}

struct hot_entry *hot_look(struct hot_table *h, const struct object_place *p)
{
    if (h->watches >= 0)
        watch_read(h->watches, on_change, h); /* H5 */
    struct hot_entry *e = find(h, p);
    if (!e || !is_named(e, p))
        return NULL;
    uint64_t now = now_ms();
    if (e->watch < 0 || now - e->looked_ms >= HOT_BELIEF_MS) {
        if (!unchanged(h, e)) {
            forget(h, e);
            return NULL;
        }
        e->looked_ms = now;
    }
    list_remove(e);
    list_add_newest(h, e);
    e->refs++;
    return e;
}

/* ---- remembering ---- */

static bool is_old(const struct timespec *changed, struct timespec looked)
{
    int64_t age_ms = (looked.tv_sec - changed->tv_sec) * INT64_C(1000) +
                     (looked.tv_nsec - changed->tv_nsec) / 1000000;
    return age_ms > (changed->tv_nsec != 0 ? HOT_MIN_AGE_MS : HOT_MIN_AGE_WHOLE_MS);
}

static bool may_keep(const struct hot_table *h, const struct object_state *s, size_t cost,
                     struct timespec looked)
{
    const struct object_identity *id = &s->identity;
    return s->info.state == DF_LIVE && id->sole_file && cost <= h->limit / SHARE_OF_LIST &&
           is_old(&id->dir.mtime, looked) && is_old(&id->dir.ctime, looked) &&
           is_old(&id->file.mtime, looked) && is_old(&id->file.ctime, looked) &&
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
                           struct timespec looked)
{
    size_t cost = cost_of(take_state, p, body_len);
    if (!may_keep(h, take_state, cost, looked))
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
    e->watch = -1;
    e->refs = 2;
    struct hot_entry **bucket = bucket_of(h, &e->hash);
    e->chain = *bucket;
    *bucket = e;
    list_add_newest(h, e);
    h->used += cost;
    return e;
}
