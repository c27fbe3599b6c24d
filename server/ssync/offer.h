/* SPDX-License-Identifier: Apache-2.0 */
/* offer.h -- one line of the missing check, and what is wanted of what it offers. Pure.
 *
 *   hash SP time [SP item{,item}]      each word may be percent-encoded; further words are ignored
 *   item: m:hex (the metadata's time, from `time`), t:hex (the content type's), durable:bool
 *
 * A delta counts 10 microseconds, may be negative, and may have an offset of its own behind "__",
 * as Swift writes it since 2.32. */
#ifndef OBJSRV_SSYNC_OFFER_H
#define OBJSRV_SSYNC_OFFER_H

#include "diskfile/diskfile.h"

enum { OFFER_HASH_MAX = 256 };

struct offer {
    char word[OFFER_HASH_MAX];   /* the first word, percent-encoded anew: an answer repeats it */
    char hash[HASH_HEX_LEN + 1]; /* it decoded, or empty: it can be no object's */
    struct timestamp data, meta, ctype;
    bool durable;
};

/* NULL, or what is wrong. Static text. */
const char *offer_parse(struct slice line, struct offer *ret);

enum { WANT_DATA = 1, WANT_META = 2 };

/* `local`: what is under the hash; NULL: nothing, or nobody knows. `index`: the fragment that this
 * session is about, or -1. *ret_pending: the very fragment is here, and durable with the sender:
 * make it so and ask again. What is wanted then may be taken if that cannot be done. */
unsigned offer_wants(const struct offer *o, const struct df_info *local, int index,
                     bool *ret_pending);

/* "d", "m", "dm" or "". */
const char *offer_flags(unsigned wants);

#endif
