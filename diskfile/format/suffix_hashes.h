/* SPDX-License-Identifier: Apache-2.0 */
/* suffix_hashes.h -- what is in a partition, as replication compares it: a hash for each suffix.
 *
 * This is what hashes.pkl keeps and what REPLICATE answers (on-disk-format 12): pickles of
 * protocol 2. A suffix is one of 4096, three lower-case hex digits; other names cannot be said
 * here. Under replication it has one MD5; under erasure coding one for each fragment index that
 * occurs, and one (SUFFIX_WHOLE) for what is no fragment.
 *
 *   suffix_hashes_new -> suffix_hashes_set*, or suffix_hashes_decode -> suffix_hashes_encode
 *   -> suffix_hashes_free
 *
 * Ownership: the table owns its sums. Pure: no I/O, no clock. */
#ifndef OBJSRV_SUFFIX_HASHES_H
#define OBJSRV_SUFFIX_HASHES_H

#include "diskfile/slice.h"
#include <stdbool.h>

#define SUFFIXES       4096
#define SUFFIX_LEN     3
#define SUFFIX_WHOLE   (-1)
#define SUFFIX_MD5_LEN 32

enum suffix_state {
    SUFFIX_ABSENT,
    SUFFIX_STALE,      /* there, but its hash is not known: to be computed */
    SUFFIX_REPLICATED, /* one sum, of SUFFIX_WHOLE */
    SUFFIX_CODED       /* any number of sums, each fragment once */
};

struct suffix_sum {
    int fragment; /* or SUFFIX_WHOLE */
    char hex[SUFFIX_MD5_LEN + 1];
};

struct suffix_value {
    enum suffix_state state;
    unsigned count;
    struct suffix_sum *sums;
};

struct suffix_hashes {
    bool valid;     /* false: nothing is known, not even which suffixes there are */
    double updated; /* seconds since 1970; -1: nobody said */
    struct suffix_value of[SUFFIXES];
};

/* 0 to 4095, or -1: no suffix. */
int suffix_number(struct slice name);
void suffix_name(unsigned number, char name[SUFFIX_LEN + 1]);

struct suffix_hashes *suffix_hashes_new(void); /* all absent, not valid, never updated; or NULL */
void suffix_hashes_free(struct suffix_hashes *h);
void suffix_hashes_clear(struct suffix_hashes *h); /* as if new */

/* `take_value`: its sums are given. */
void suffix_hashes_set(struct suffix_hashes *h, unsigned number, struct suffix_value take_value);
void suffix_value_release(struct suffix_value *v);

enum suffix_form {
    SUFFIX_FORM_CACHE,           /* hashes.pkl: with `valid` and `updated` */
    SUFFIX_FORM_REPLY,           /* what REPLICATE answers */
    SUFFIX_FORM_REPLY_KNOWN_ONLY /* the same without stale ones: Swift's reconstructor stumbles
                                  * over a None */
};

/* What pickle.dumps() of that dict in ascending order would be. *ret_bytes: free() it. -ENOMEM. */
int suffix_hashes_encode(const struct suffix_hashes *h, enum suffix_form form, char **ret_bytes,
                         size_t *ret_len);

/* `h` is new. A suffix whose value is of no known shape is stale. -EBADMSG: no pickled dict, or a
 * key that does not belong there, which condemns the whole; `h` is then not valid, and may hold
 * anything. */
int suffix_hashes_decode(struct slice bytes, struct suffix_hashes *h);

#endif
