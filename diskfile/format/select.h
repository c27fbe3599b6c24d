/* SPDX-License-Identifier: Apache-2.0 */
/* select.h -- which files of a hash directory are the object, and which have lost.
 *
 * The rules of on-disk-format 5 over a list of names: no I/O, so that GET, cleanup,
 * suffix hashing and the sweeper cannot disagree. Cleanup (section 6) is select_files()
 * followed by select_reclaim(); neither removes anything itself.
 *
 *   select_init -> select_add* -> select_files [-> select_reclaim] -> select_release
 *
 * Erasure-coded policies: the grammar is parsed, sets are grouped and the durable set is
 * chosen by section 5 step 5 without preferences; fragment preferences are not here yet. */
#ifndef OBJSRV_SELECT_H
#define OBJSRV_SELECT_H

#include "diskfile/format/filename.h"

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
};

void select_init(struct selection *s);
void select_release(struct selection *s);

/* "." and ".." are passed over. 0 or -ENOMEM. */
int select_add(struct selection *s, struct slice name, const struct file_policy *policy);

void select_files(struct selection *s, const struct file_policy *policy);

/* Turns VERDICT_RECLAIM, and a chosen tombstone, into VERDICT_OBSOLETE where older than
 * reclaim_age_s at `now`. Non-durable fragments stay (their commit window needs an mtime: not here
 * yet). */
void select_reclaim(struct selection *s, struct timestamp now, uint64_t reclaim_age_s);

#endif
