/* SPDX-License-Identifier: Apache-2.0 */
/* suffix_hashes_decode.c -- reads hashes.pkl: a dict of texts, numbers, truth values and None, and
 * of dicts of those.
 *
 * An inner dict is complete when it is stored in the outer one, as every pickler writes it. */
#include "diskfile/format/pickle_read.h"
#include "diskfile/format/suffix_hashes.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#define PICKLE_BYTES_MAX (32u << 20)
#define SUMS_MAX         128 /* of one suffix: no code has as many fragments */

/* Above what any table of 4096 suffixes comes to, so that a file that is none takes little memory:
 * a pickler stores 1000 items at once, remembers each text, and has a dict for each suffix. */
static const struct pickle_limits limits = {
    .dicts = 1 + SUFFIXES, .stack = 65536, .memo = 1u << 20};

/* An inner dict: what a suffix of an erasure-coded policy has. */
struct inner {
    struct suffix_sum *sums;
    unsigned count, room;
    bool odd; /* holds something else */
};

struct reader {
    struct inner *inner; /* number n is dict n + 1; those that nothing was put in may lack */
    unsigned inner_count, inner_room;
    struct suffix_hashes *result;
};

static int grow(void **at, unsigned *room, unsigned wanted, size_t item_bytes)
{
    if (wanted <= *room)
        return 0;
    unsigned doubled = *room * 2 > wanted ? *room * 2 : wanted + 8;
    void *more = realloc(*at, (size_t)doubled * item_bytes);
    if (!more)
        return -ENOMEM;
    *at = more;
    *room = doubled;
    return 0;
}

static bool is_text(const struct pickle_value *v)
{
    return v->kind == PICKLE_UNICODE || v->kind == PICKLE_BYTES;
}

static bool is_md5(const struct pickle_value *v)
{
    if (!is_text(v) || v->text.len != SUFFIX_MD5_LEN)
        return false;
    for (size_t i = 0; i < SUFFIX_MD5_LEN; i++)
        if (!memchr("0123456789abcdef", v->text.at[i], 16))
            return false;
    return true;
}

static struct suffix_sum sum_of(int fragment, struct slice hex)
{
    struct suffix_sum sum = {.fragment = fragment};
    memcpy(sum.hex, hex.at, SUFFIX_MD5_LEN);
    return sum;
}

static int inner_of(struct reader *r, int64_t dict, struct inner **ret)
{
    int err = grow((void **)&r->inner, &r->inner_room, (unsigned)dict, sizeof(*r->inner));
    if (err < 0)
        return err;
    while (r->inner_count < dict)
        r->inner[r->inner_count++] = (struct inner){0};
    *ret = &r->inner[dict - 1];
    return 0;
}

static int store_inner(struct inner *d, const struct pickle_value *key,
                       const struct pickle_value *value)
{
    bool index = key->kind == PICKLE_INTEGER && key->integer >= 0 && key->integer <= INT_MAX;
    if (d->count == SUMS_MAX || !(index || key->kind == PICKLE_NONE) || !is_md5(value)) {
        d->odd = true;
        return 0;
    }
    int fragment = index ? (int)key->integer : SUFFIX_WHOLE;
    for (unsigned i = 0; i < d->count; i++)
        d->odd |= d->sums[i].fragment == fragment;
    int err = grow((void **)&d->sums, &d->room, d->count + 1, sizeof(*d->sums));
    if (err == 0)
        d->sums[d->count++] = sum_of(fragment, value->text);
    return err;
}

static int copy_sums(const struct suffix_sum *sums, unsigned count, struct suffix_value *ret)
{
    ret->sums = malloc((count + 1) * sizeof(*sums));
    if (!ret->sums)
        return -ENOMEM;
    if (count > 0)
        memcpy(ret->sums, sums, count * sizeof(*sums));
    ret->count = count;
    return 0;
}

static int store_coded(struct reader *r, int64_t dict, struct suffix_value *v)
{
    struct inner *d;
    int err = inner_of(r, dict, &d);
    if (err < 0 || d->odd)
        return err;
    v->state = SUFFIX_CODED;
    return copy_sums(d->sums, d->count, v);
}

static int store_suffix(struct reader *r, unsigned number, const struct pickle_value *value)
{
    struct suffix_value v = {.state = SUFFIX_STALE};
    int err = 0;
    if (is_md5(value)) {
        struct suffix_sum sum = sum_of(SUFFIX_WHOLE, value->text);
        v.state = SUFFIX_REPLICATED;
        err = copy_sums(&sum, 1, &v);
    } else if (value->kind == PICKLE_DICT && value->integer > 0) {
        err = store_coded(r, value->integer, &v);
    }
    if (err == 0)
        suffix_hashes_set(r->result, number, v);
    return err;
}

static int store_outer(struct reader *r, const struct pickle_value *key,
                       const struct pickle_value *value)
{
    int number = is_text(key) ? suffix_number(key->text) : -1;
    if (number >= 0)
        return store_suffix(r, (unsigned)number, value);
    if (is_text(key) && slice_eq(key->text, SLICE("valid"))) {
        r->result->valid =
            value->kind == PICKLE_TRUE || (value->kind == PICKLE_INTEGER && value->integer != 0);
        return 0;
    }
    if (is_text(key) && slice_eq(key->text, SLICE("updated"))) {
        r->result->updated = value->kind == PICKLE_FLOAT     ? value->number
                             : value->kind == PICKLE_INTEGER ? (double)value->integer
                                                             : -1;
        return 0;
    }
    return -EBADMSG;
}

static int store(void *reader, int64_t dict, const struct pickle_value *key,
                 const struct pickle_value *value)
{
    struct inner *d;
    if (dict == 0)
        return store_outer(reader, key, value);
    int err = inner_of(reader, dict, &d);
    return err < 0 ? err : store_inner(d, key, value);
}

int suffix_hashes_decode(struct slice bytes, struct suffix_hashes *h)
{
    struct reader r = {.result = h};
    size_t len;      /* what comes after the end is nobody's business: Python passes over it */
    h->valid = true; /* files from before there was the word are */
    int err =
        bytes.len > PICKLE_BYTES_MAX ? -EBADMSG : pickle_read(bytes, &limits, store, &r, &len);
    for (unsigned i = 0; i < r.inner_count; i++)
        free(r.inner[i].sums);
    free(r.inner);
    if (err < 0)
        h->valid = false;
    return err;
}
