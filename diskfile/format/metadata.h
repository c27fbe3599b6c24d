/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.h -- an object's metadata: an ordered list of key and value.
 *
 * In memory keys and values are the bytes as they travel on the wire; the double
 * encoding of on-disk-format 7.2 exists only inside metadata_encode()/_decode().
 * Keys are stored as given (metadata_title_key() makes Swift's form).
 *
 * Ownership: a struct metadata owns its items; metadata_release() frees all, also of a
 * zeroed or half-filled one. Slices returned are borrowed until the next change.
 * Threads: none of its own; one thread at a time.
 * Errors: 0 or -errno; -EBADMSG for bytes that are not metadata (quarantine),
 * -ENOMEM, -E2BIG over the limits. Nothing changes on error. */
#ifndef OBJSRV_METADATA_H
#define OBJSRV_METADATA_H

#include "diskfile/slice.h"
#include <stdint.h>

/* More items than headers of 64 KiB can hold: lists are searched from the front. */
#define METADATA_ITEMS_MAX 8192

struct metadata_item {
    struct slice key;
    struct slice value;
};

struct metadata {
    struct metadata_item *items; /* in the order they were set */
    unsigned count;
    unsigned room;
};

void metadata_release(struct metadata *m);

/* Adds, or replaces the value of the same key in its place. Copies both. */
int metadata_set(struct metadata *m, struct slice key, struct slice value);
int metadata_set_text(struct metadata *m, const char *key, const char *value);
void metadata_remove(struct metadata *m, struct slice key);
int metadata_copy(struct metadata *to, const struct metadata *from); /* `to` is empty or zeroed */

/* NULL when absent. By exact key; the second ignores ASCII case. */
const struct slice *metadata_get(const struct metadata *m, const char *key);
const struct slice *metadata_get_nocase(const struct metadata *m, struct slice key);

/* Swift's spelling of a header name as a key (on-disk-format 8): each letter run lower
 * case with its first letter upper case, '_' becomes '-'; "etag" becomes "ETag".
 * Writes name.len bytes to `key`. */
void metadata_title_key(struct slice name, char *key);

/* The pickle of on-disk-format 7.1, protocol 2, as Swift's Python 3 writes it.
 * *ret_bytes is yours to free(3). */
int metadata_encode(const struct metadata *m, char **ret_bytes, size_t *ret_len);

/* Strict reader of the opcodes of 7.1, Python 2 era pickles included. `ret` must be
 * zeroed. Trailing bytes, other globals, non-dicts, too many items: -EBADMSG. Integers become
 * decimal text; floats, True, False and None what Python prints. */
int metadata_decode(struct slice bytes, struct metadata *ret);

#endif
