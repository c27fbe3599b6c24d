/* SPDX-License-Identifier: Apache-2.0 */
/* orphans.h -- removes what aborted writes and crashes leave behind, and nothing else.
 *
 * O1  A directory goes by rmdir(2), so only if it is empty at that moment. Who makes a name
 *     in it at the same time either comes first (ENOTEMPTY here) or finds it gone (ENOENT
 *     there: objsrv and Swift make it again).
 * O2  A file goes only if, under the partition's .lock, it is still what it was taken for: a
 *     loser by the rules of the format (select.h), or a temporary name.
 * O3  Everything has to be old first: by the later of mtime and ctime of the thing itself, and
 *     by a clock that did not jump (halt.h). Writers of Swift make the hash directory before
 *     they open their file in it; the age keeps that moment safe.
 * O4  What is not understood stays, and is reported.
 *
 * A dry run says what would go. Blocking. */
#ifndef OBJSRV_ORPHANS_H
#define OBJSRV_ORPHANS_H

#include "tools/audit/pass.h"

/* What lies in the worker's place: `s` as listed. true: the tombstone has gone. */
bool orphans_in_hash_directory(struct worker *w, const struct selection *s);

/* true: it has gone (dry run: would). A suffix directory in which nothing is left. `before`: as it
 * was before its hash directories were looked at, since removing them has changed its times. */
bool orphans_suffix(struct worker *w, int partition_fd, const char *suffix, const char *path,
                    const struct stat *before);

/* The same of a partition: nothing is in it but what Swift keeps beside the suffixes. */
void orphans_partition(struct worker *w, const char *partition, const char *path,
                       const struct stat *before);

/* tmpXXXXXXXX.tmp in a partition. false: it is none of those. */
bool orphans_partition_file(struct worker *w, int partition_fd, const char *name, const char *path);

/* tmp[-N]/ and async_pending[-N]/ of the worker's device. */
void orphans_of_device(struct worker *w);

/* ---- for all of them ---- */

/* How old a thing of this class must be, in seconds; AGE_OFF: the class is switched off. */
double orphan_age_limit(const struct settings *s, enum sweep_class c);
/* Since when it has lain untouched (O3). */
double orphan_time(enum sweep_class c, const struct stat *st);

/* Old enough for this class? Never if it is switched off. */
bool orphan_is_old(const struct worker *w, enum sweep_class c, const struct stat *st);

/* Counts and reports what was (or, in a dry run, would be) removed. */
void orphan_gone(struct worker *w, enum sweep_class c, const char *path);

#endif
