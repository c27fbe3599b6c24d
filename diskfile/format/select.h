/* SPDX-License-Identifier: Apache-2.0 */
/* select.h -- which files of a hash directory are the object, and which have lost.
 *
 * The rules of on-disk-format 5 over a list of names: no I/O, so that GET, cleanup,
 * suffix hashing and the sweeper cannot disagree. Cleanup (section 6) is select_files()
 * followed by select_reclaim(); neither removes anything itself.
 *
 *   select_init -> select_add* -> select_files [-> select_reclaim] -> select_release
 *
 * Erasure-coded policies: fragments of one time are a set. The durable set is the newest with
 * a "#d" fragment or a legacy .durable; older sets have lost. Without a wish the durable set
 * is the object; with one it may be another (5.1). */
#ifndef OBJSRV_SELECT_H
#define OBJSRV_SELECT_H

#include "diskfile/format/filename.h"
#include "diskfile/format/fragments.h"

enum file_verdict {
    VERDICT_KEEP,     /* chosen, or neither chosen nor in the way */
    VERDICT_OBSOLETE, /* a newer file has replaced it: unlink */
    VERDICT_RECLAIM,  /* obsolete once it is old enough (section 6 step 3) */
    VERDICT_FOREIGN   /* not ours (FILE_UNEXPECTED) */
};

struct select_entry {
    char *name;            /* owned by the selection */
    struct file_name file; /* .durable: also by the company it keeps, after select_files */
    enum file_verdict verdict;
    bool hidden;     /* a .meta that says nothing about the chosen fragment; it stays */
    int64_t mtime_s; /* for select_reclaim(): of a fragment that select_needs_mtime() */
};

struct selection {
    struct select_entry *entries; /* after select_files: newest first */
    unsigned count;
    unsigned room;
    /* Indexes into entries, or -1. */
    int data;
    int meta;      /* newest .meta that applies */
    int ctype;     /* .meta whose content type applies, if newer than the data */
    int tombstone; /* only when there is no data */
    int durable;   /* erasure coding: a fragment of the durable set */
};

void select_init(struct selection *s);
void select_release(struct selection *s);

/* "." and ".." are passed over. 0 or -ENOMEM. */
int select_add(struct selection *s, struct slice name, const struct file_policy *policy);

/* `wish`: NULL for none; ignored under replication. */
void select_files(struct selection *s, const struct file_policy *policy,
                  const struct fragment_wish *wish);

/* A fragment that is to be reported to who asks for it: of the durable set or newer. */
static inline bool select_is_listed(const struct select_entry *e)
{
    return e->file.kind == FILE_DATA && e->verdict != VERDICT_OBSOLETE &&
           e->verdict != VERDICT_FOREIGN;
}

/* Turns VERDICT_RECLAIM, and a chosen tombstone, into VERDICT_OBSOLETE where older than
 * reclaim_age_s at `now`. A fragment that was never made durable must also have been left alone
 * for commit_window_s, since its upload may be waiting for its commit: the caller fills in
 * mtime_s of those for which select_needs_mtime() is true. */
struct reclaim {
    struct timestamp now;
    uint64_t age_s;
    uint64_t commit_window_s;
};

void select_reclaim(struct selection *s, const struct reclaim *limits);
bool select_needs_mtime(const struct select_entry *e, const struct reclaim *limits);

#endif
