/* SPDX-License-Identifier: Apache-2.0 */
/* hot.h -- small objects that were just read and verified, kept in memory by each thread.
 *
 * A GET of such an object needs no pool thread: the loop itself looks whether the hash
 * directory and the file are still the very ones, by system calls that answer from the
 * kernel's caches or not at all (openat2 with RESOLVE_CACHED), so a slow disk cannot stop it.
 * That takes six calls; from then on the directory is watched (watch.h), which takes one.
 *
 * H1  An entry is what was verified whole: size, checksum, metadata checksum.
 * H2  It is given out only while device, inode, size, mtime and ctime of the directory and of
 *     the file are what they were before the object was read. Whoever adds, replaces, changes
 *     or moves a file of the object changes one of them.
 * H3  Nothing is kept that was younger than HOT_MIN_AGE_MS when it was looked at: within the
 *     grain of the file system's clock a second change would not show (git calls this "racy").
 * H4  Only objects of one file and without an expiry time: what they are is no matter of when.
 * H5  What a watch says is read before an entry is given out; a watch is believed for
 *     HOT_BELIEF_MS, then the entry is looked at as in H2, since a watch does not see a directory
 *     moved that lies above. Without a watch (the kernel has no more of them) each time.
 *
 * Ownership: entries are counted; the table holds one reference. Loop thread only. */
#ifndef OBJSRV_HOT_H
#define OBJSRV_HOT_H

#include "diskfile/engine/hashdir.h"
#include <time.h>

#define HOT_MIN_AGE_MS       100  /* the kernel's coarse clock goes on every 10 ms at the least */
#define HOT_MIN_AGE_WHOLE_MS 2000 /* of a time without a fraction: small inodes count seconds */
#define HOT_BELIEF_MS        1000

struct hot_table;

struct hot_entry {
    struct object_hash hash;
    const struct store_device *device;
    struct object_identity identity;
    struct object_state state; /* info points into it */
    char *body;
    size_t body_len;
    size_t cost; /* bytes of memory, about */
    char *dir;   /* place.dir: the partition belongs to it */
    unsigned refs;
    int watch;                       /* its number; -1: none */
    uint64_t looked_ms;              /* when it was last seen unchanged, CLOCK_MONOTONIC */
    struct hot_entry *chain;         /* of the same bucket */
    struct hot_entry *watch_chain;   /* of the same bucket by watch */
    struct hot_entry *newer, *older; /* by last use */
};

/* limit 0: a table that keeps nothing. NULL: no memory. */
struct hot_table *hot_new(size_t limit_bytes);
void hot_free(struct hot_table *h);
bool hot_is_empty(const struct hot_table *h);

/* The object at `p` if it is here and still what it was; yours until hot_unref(). Or NULL. */
struct hot_entry *hot_look(struct hot_table *h, const struct object_place *p);
void hot_unref(struct hot_entry *e);

/* Remembers what was read if H1 to H4 allow it. On success it takes over state's metadata and
 * the body, and returns an entry that is yours until hot_unref(); else NULL, nothing taken.
 * `looked` is when, by the clock of the files' times, before they were looked at: what took
 * long to read may have changed since. */
struct hot_entry *hot_keep(struct hot_table *h, const struct object_place *p,
                           struct object_state *take_state, char *take_body, size_t body_len,
                           struct timespec looked);

#endif
