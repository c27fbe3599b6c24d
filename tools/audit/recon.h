/* SPDX-License-Identifier: Apache-2.0 */
/* recon.h -- the numbers that swift-recon shows: <recon_cache_path>/object.recon
 * (on-disk-format 19).
 *
 * All daemons of a node share the file, so it is changed under its lock: read, merge, write
 * anew, rename. Blocking. */
#ifndef OBJSRV_RECON_H
#define OBJSRV_RECON_H

#include <jansson.h>

/* Top-level keys of `update` replace those of `cache`; objects merge one level deep; an empty
 * object removes its key, on both levels. What is merged is shared with `update`. 0 or -ENOMEM. */
int recon_merge(json_t *cache, json_t *update);

/* What cannot be parsed in the file is dropped, as by Swift. -ETIMEDOUT: the lock was not to be
 * had in 2 s; other -errno. */
int recon_dump(const char *file, json_t *update);

#endif
