/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h -- which data directories belong together (stand-alone mode).
 *
 * Keys are spread over the directories by hash, so the set must be the same at every start.
 * Each directory holds a small text file that names the store, the directory itself and all
 * its fellows in order. The order is theirs, not that of the configuration; a set with one
 * missing, foreign, additional or twice is refused in words.
 *
 * First start, safe to be interrupted anywhere:
 *   1. each directory (empty) gets its file with "complete = no", durably
 *   2. when all have theirs, each is rewritten with "complete = yes"
 * As long as no file says yes, nothing was ever stored, and missing files are made up for.
 *
 * One process at a time: each directory is locked (flock) until identity_close(). A successor may
 * share the lock: it belongs to the open file, which descriptors that were inherited or sent
 * share. */
#ifndef OBJSRV_IDENTITY_H
#define OBJSRV_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#define IDENTITY_FILE     "objsrv-identity"
#define IDENTITY_DIRS_MAX 256
#define IDENTITY_ID_LEN   32 /* hex digits */

struct identity;

/* Creates missing directories (with parents, 0755) at the first start only. On error
 * `problem` names the directory, what is wrong and the remedy.
 * `locks`: those of a process that still runs and of which this one takes over; lent, may be none.
 */
int identity_open(const char *const *dirs, unsigned count, const int *locks, unsigned lock_count,
                  struct identity **ret_identity, char *problem, size_t problem_len);

/* Copies of the locks, yours to close, at most `most`; returns how many. */
unsigned identity_locks(struct identity *identity, int *ret_fds, unsigned most);

void identity_close(struct identity *identity);

/* identity_open() has made it: no key was ever stored in it. */
bool identity_is_new(const struct identity *identity);

unsigned identity_part_power(const struct identity *identity);
const char *identity_hash_key(const struct identity *identity);
const char *identity_path(const struct identity *identity, unsigned index); /* in its order */

/* Is this directory still (or again) the one it was? 0 or -ENODEV: after an unmount the bare
 * mount point must not be written to. Blocking. Threads: any. */
int identity_check(struct identity *identity, unsigned index);

#endif
