/* SPDX-License-Identifier: Apache-2.0 */
/* hashpath.h -- from a name to the hash that places it (on-disk-format 2). Pure. */
#ifndef OBJSRV_HASHPATH_H
#define OBJSRV_HASHPATH_H

#include "diskfile/slice.h"
#include <stdint.h>

#define HASH_HEX_LEN 32

/* What makes a cluster's hashes its own: [swift-hash] of swift.conf. Raw bytes. */
struct hash_key {
    struct slice prefix;
    struct slice suffix;
};

struct object_hash {
    unsigned char md5[16];
    char hex[HASH_HEX_LEN + 1]; /* lower case; the suffix is the last 3 digits */
};

/* md5(prefix "/" account "/" container "/" object suffix). Cannot fail: needs that
 * md5_algorithm() (md5.h) is not NULL, which a program checks once at start. */
void hash_path(const struct hash_key *key, struct slice account, struct slice container,
               struct slice object, struct object_hash *ret_hash);

static inline const char *hash_suffix(const struct object_hash *hash)
{
    return hash->hex + HASH_HEX_LEN - 3;
}

/* Top 32 bits of the digest, shifted right by 32 - part_power. */
uint32_t hash_partition(const struct object_hash *hash, unsigned part_power);

#endif
