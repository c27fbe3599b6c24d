/* SPDX-License-Identifier: Apache-2.0 */
/* suffix_hash.h -- the hash of one suffix directory (on-disk-format 13).
 *
 * Two nodes have the same objects below a suffix if and only if they have the same hash: it is made
 * of the times and kinds of the files that decide what an object is. Each hash directory is cleaned
 * on the way (section 6); a file in the place of one, or one that cannot be listed, goes to
 * quarantine; a suffix directory that is empty then is removed. */
#ifndef OBJSRV_SUFFIX_HASH_H
#define OBJSRV_SUFFIX_HASH_H

#include "diskfile/engine/hashdir.h"
#include "diskfile/format/suffix_hashes.h"

/* BLOCKING. Of `p` all counts but the hash directory. *ret_value: SUFFIX_ABSENT if there is
 * nothing, else the sums, yours to release. Errors: what the disk said of a hash directory or the
 * suffix. What is reclaimed just now is hashed no more, unlike in Swift, which keeps fragments that
 * it has removed in the hash until the suffix is looked at again. */
int suffix_hash(const struct object_place *p, struct timestamp now, struct suffix_value *ret_value);

#endif
