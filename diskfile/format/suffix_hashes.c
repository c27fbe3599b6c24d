/* SPDX-License-Identifier: Apache-2.0 */
/* suffix_hashes.c -- the table of suffix_hashes.h, and how it is written. */
#include "diskfile/format/suffix_hashes.h"
#include "diskfile/format/pickle.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_ITEMS  1000 /* per SETITEMS */
#define FRAME_BYTES  64   /* PROTO, dict, STOP, `valid` and `updated` */
#define SUFFIX_BYTES 32   /* a key, an empty dict around the sums, its share of the batches */
#define SUM_BYTES    64   /* an index and 32 digits */

/* ---- suffixes ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int suffix_number(struct slice name)
{
    int number = 0;
    if (name.len != SUFFIX_LEN)
        return -1;
    for (size_t i = 0; i < SUFFIX_LEN; i++) {
        int value = digit(name.at[i]);
        if (value < 0)
            return -1;
        number = number << 4 | value;
    }
    return number;
}

void suffix_name(unsigned number, char name[SUFFIX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    assert(number < SUFFIXES);
    name[0] = digits[number >> 8];
    name[1] = digits[number >> 4 & 15];
    name[2] = digits[number & 15];
    name[3] = '\0';
}

/* ---- the table ---- */

struct suffix_hashes *suffix_hashes_new(void)
{
    struct suffix_hashes *h = calloc(1, sizeof(*h));
    if (h)
        h->updated = -1;
    return h;
}

void suffix_hashes_clear(struct suffix_hashes *h)
{
    for (unsigned i = 0; i < SUFFIXES; i++)
        suffix_value_release(&h->of[i]);
    h->valid = false;
    h->updated = -1;
}

void suffix_hashes_free(struct suffix_hashes *h)
{
    if (h)
        suffix_hashes_clear(h);
    free(h);
}

void suffix_value_release(struct suffix_value *v)
{
    free(v->sums);
    *v = (struct suffix_value){.state = SUFFIX_ABSENT};
}

void suffix_hashes_set(struct suffix_hashes *h, unsigned number, struct suffix_value take_value)
{
    assert(number < SUFFIXES);
    suffix_value_release(&h->of[number]);
    h->of[number] = take_value;
}

/* ---- writing ---- */

struct writer {
    char *at;
    uint32_t memo; /* the next number by which Python remembers an object */
};

static void put_byte(struct writer *w, unsigned byte)
{
    *w->at++ = (char)byte;
}

static void put_bytes(struct writer *w, const void *bytes, size_t len)
{
    memcpy(w->at, bytes, len);
    w->at += len;
}

static void put_little(struct writer *w, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        put_byte(w, value >> 8 * i & 0xff);
}

static void put_memo(struct writer *w)
{
    put_byte(w, w->memo < 256 ? OP_BINPUT : OP_LONG_BINPUT);
    put_little(w, w->memo, w->memo < 256 ? 1 : 4);
    w->memo++;
}

static void put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    put_byte(w, OP_BINUNICODE);
    put_little(w, (uint32_t)len, 4);
    put_bytes(w, text, len);
    put_memo(w);
}

static void put_float(struct writer *w, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    bits = __builtin_bswap64(bits);
    put_byte(w, OP_BINFLOAT);
    put_bytes(w, &bits, sizeof(bits));
}

static void put_fragment(struct writer *w, int fragment)
{
    if (fragment == SUFFIX_WHOLE) {
        put_byte(w, OP_NONE);
        return;
    }
    unsigned bytes = fragment < 0x100 ? 1 : fragment < 0x10000 ? 2 : 4;
    put_byte(w, bytes == 1 ? OP_BININT1 : bytes == 2 ? OP_BININT2 : OP_BININT);
    put_little(w, (uint32_t)fragment, bytes);
}

/* Where items of a dict begin and end, which depends on how many there are. */
struct batch {
    unsigned total, done;
};

static void begin_dict(struct writer *w, struct batch *b, unsigned total)
{
    *b = (struct batch){.total = total};
    put_byte(w, OP_EMPTY_DICT);
    put_memo(w);
    if (total > 1)
        put_byte(w, OP_MARK);
}

/* After each item. A full batch is followed by another, be it empty: so does Python. */
static void end_item(struct writer *w, struct batch *b)
{
    b->done++;
    if (b->total == 1) {
        put_byte(w, OP_SETITEM);
        return;
    }
    bool full = b->done % BATCH_ITEMS == 0;
    if (full || b->done == b->total)
        put_byte(w, OP_SETITEMS);
    if (full)
        put_byte(w, OP_MARK);
    if (full && b->done == b->total)
        put_byte(w, OP_SETITEMS);
}

static void put_value(struct writer *w, const struct suffix_value *v)
{
    struct batch b;
    if (v->state == SUFFIX_STALE) {
        put_byte(w, OP_NONE);
    } else if (v->state == SUFFIX_REPLICATED) {
        put_text(w, v->sums[0].hex);
    } else {
        begin_dict(w, &b, v->count);
        for (unsigned i = 0; i < v->count; i++) {
            put_fragment(w, v->sums[i].fragment);
            put_text(w, v->sums[i].hex);
            end_item(w, &b);
        }
    }
}

static bool is_told(const struct suffix_value *v, enum suffix_form form)
{
    return v->state != SUFFIX_ABSENT &&
           (v->state != SUFFIX_STALE || form != SUFFIX_FORM_REPLY_KNOWN_ONLY);
}

static void put_all(struct writer *w, const struct suffix_hashes *h, enum suffix_form form,
                    unsigned told)
{
    char name[SUFFIX_LEN + 1];
    bool cache = form == SUFFIX_FORM_CACHE;
    struct batch b;
    begin_dict(w, &b, told + (cache ? 2 : 0));
    if (cache) {
        put_text(w, "valid");
        put_byte(w, h->valid ? OP_NEWTRUE : OP_NEWFALSE);
        end_item(w, &b);
        put_text(w, "updated");
        put_float(w, h->updated);
        end_item(w, &b);
    }
    for (unsigned i = 0; i < SUFFIXES; i++) {
        if (!is_told(&h->of[i], form))
            continue;
        suffix_name(i, name);
        put_text(w, name);
        put_value(w, &h->of[i]);
        end_item(w, &b);
    }
}

int suffix_hashes_encode(const struct suffix_hashes *h, enum suffix_form form, char **ret_bytes,
                         size_t *ret_len)
{
    unsigned told = 0;
    size_t room = FRAME_BYTES;
    for (unsigned i = 0; i < SUFFIXES; i++) {
        told += is_told(&h->of[i], form);
        room += SUFFIX_BYTES + (size_t)h->of[i].count * SUM_BYTES;
    }
    char *bytes = malloc(room);
    if (!bytes)
        return -ENOMEM;
    struct writer w = {.at = bytes};
    put_byte(&w, OP_PROTO);
    put_byte(&w, PICKLE_PROTOCOL);
    put_all(&w, h, form, told);
    put_byte(&w, OP_STOP);
    assert((size_t)(w.at - bytes) <= room);
    *ret_bytes = bytes;
    *ret_len = (size_t)(w.at - bytes);
    return 0;
}
