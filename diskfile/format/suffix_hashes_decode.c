/* SPDX-License-Identifier: Apache-2.0 */
/* suffix_hashes_decode.c -- reads hashes.pkl: a stack machine that knows dicts of text, numbers,
 * truth values and None, and dicts of those. No calls: whatever else occurs is -EBADMSG.
 *
 * An inner dict is complete when it is stored in the outer one, as every pickler writes it. Texts
 * are slices of the input. */
#include "diskfile/format/pickle.h"
#include "diskfile/format/suffix_hashes.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#define PICKLE_BYTES_MAX (32u << 20)
#define SUMS_MAX         128 /* of one suffix: no code has as many fragments */

/* Above what any table of 4096 suffixes comes to, so that a file that is none takes little memory:
 * a pickler stores 1000 items at once, remembers each text, and has a dict for each suffix. */
#define STACK_MAX 65536
#define MEMO_MAX  (1u << 20)
#define INNER_MAX SUFFIXES

enum value_kind {
    VALUE_NOTHING, /* a memo number never put */
    VALUE_MARK,
    VALUE_DICT, /* .integer: which */
    VALUE_TEXT,
    VALUE_INTEGER,
    VALUE_FLOAT,
    VALUE_TRUE,
    VALUE_FALSE,
    VALUE_NONE
};

struct value {
    enum value_kind kind;
    union {
        struct slice text;
        int64_t integer;
        double number;
    };
};

struct values {
    struct value *at;
    unsigned count, room, most;
};

/* An inner dict: what a suffix of an erasure-coded policy has. */
struct inner {
    struct suffix_sum *sums;
    unsigned count, room;
    bool odd; /* holds something else */
};

#define OUTER (-1) /* the dict that is the result */

struct reader {
    struct slice in;
    size_t pos;
    bool stopped;
    bool has_outer;
    struct values stack, memo;
    struct inner *inner;
    unsigned inner_count, inner_room;
    struct suffix_hashes *result;
};

/* ---- growing lists ---- */

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

static int values_reserve(struct values *v, unsigned wanted)
{
    if (wanted > v->most)
        return -EBADMSG;
    return grow((void **)&v->at, &v->room, wanted, sizeof(*v->at));
}

static int push(struct reader *r, struct value value)
{
    int err = values_reserve(&r->stack, r->stack.count + 1);
    if (err == 0)
        r->stack.at[r->stack.count++] = value;
    return err;
}

/* ---- input ---- */

static int take(struct reader *r, uint64_t len, struct slice *ret)
{
    if (r->in.len - r->pos < len)
        return -EBADMSG;
    *ret = (struct slice){r->in.at + r->pos, (size_t)len};
    r->pos += (size_t)len;
    return 0;
}

/* Little-endian, 0 to 8 bytes. */
static int take_uint(struct reader *r, unsigned bytes, uint64_t *ret)
{
    struct slice raw;
    int err = take(r, bytes, &raw);
    if (err < 0)
        return err;
    *ret = 0;
    for (unsigned i = 0; i < bytes; i++)
        *ret |= (uint64_t)(unsigned char)raw.at[i] << 8 * i;
    return 0;
}

/* ---- storing ---- */

static bool is_md5(const struct value *v)
{
    if (v->kind != VALUE_TEXT || v->text.len != SUFFIX_MD5_LEN)
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

static int store_inner(struct inner *d, const struct value *key, const struct value *value)
{
    bool index = key->kind == VALUE_INTEGER && key->integer >= 0 && key->integer <= INT_MAX;
    if (d->count == SUMS_MAX || !(index || key->kind == VALUE_NONE) || !is_md5(value)) {
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

static int store_suffix(struct reader *r, unsigned number, const struct value *value)
{
    struct suffix_value v = {.state = SUFFIX_STALE};
    int err = 0;
    if (is_md5(value)) {
        struct suffix_sum sum = sum_of(SUFFIX_WHOLE, value->text);
        v.state = SUFFIX_REPLICATED;
        err = copy_sums(&sum, 1, &v);
    } else if (value->kind == VALUE_DICT && value->integer != OUTER &&
               !r->inner[value->integer].odd) {
        const struct inner *d = &r->inner[value->integer];
        v.state = SUFFIX_CODED;
        err = copy_sums(d->sums, d->count, &v);
    }
    if (err == 0)
        suffix_hashes_set(r->result, number, v);
    return err;
}

static int store_outer(struct reader *r, const struct value *key, const struct value *value)
{
    int number = key->kind == VALUE_TEXT ? suffix_number(key->text) : -1;
    if (number >= 0)
        return store_suffix(r, (unsigned)number, value);
    if (key->kind == VALUE_TEXT && slice_eq(key->text, SLICE("valid"))) {
        r->result->valid =
            value->kind == VALUE_TRUE || (value->kind == VALUE_INTEGER && value->integer != 0);
        return 0;
    }
    if (key->kind == VALUE_TEXT && slice_eq(key->text, SLICE("updated"))) {
        r->result->updated = value->kind == VALUE_FLOAT     ? value->number
                             : value->kind == VALUE_INTEGER ? (double)value->integer
                                                            : -1;
        return 0;
    }
    return -EBADMSG;
}

static int store(struct reader *r, const struct value *dict, const struct value *key,
                 const struct value *value)
{
    if (dict->kind != VALUE_DICT)
        return -EBADMSG;
    return dict->integer == OUTER ? store_outer(r, key, value)
                                  : store_inner(&r->inner[dict->integer], key, value);
}

/* ---- opcodes: each takes its row's argument ---- */

static int op_push(struct reader *r, unsigned kind)
{
    return push(r, (struct value){.kind = kind});
}

static int op_dict(struct reader *r, unsigned unused)
{
    (void)unused;
    if (!r->has_outer) {
        r->has_outer = true;
        return push(r, (struct value){.kind = VALUE_DICT, .integer = OUTER});
    }
    if (r->inner_count == INNER_MAX)
        return -EBADMSG;
    int err = grow((void **)&r->inner, &r->inner_room, r->inner_count + 1, sizeof(*r->inner));
    if (err < 0)
        return err;
    r->inner[r->inner_count] = (struct inner){0};
    return push(r, (struct value){.kind = VALUE_DICT, .integer = r->inner_count++});
}

static int op_text(struct reader *r, unsigned len_bytes)
{
    struct value v = {.kind = VALUE_TEXT};
    uint64_t len;
    int err = take_uint(r, len_bytes, &len);
    if (err == 0)
        err = take(r, len, &v.text);
    return err < 0 ? err : push(r, v);
}

static int op_unsigned(struct reader *r, unsigned bytes)
{
    uint64_t value;
    int err = take_uint(r, bytes, &value);
    return err < 0 ? err
                   : push(r, (struct value){.kind = VALUE_INTEGER, .integer = (int64_t)value});
}

/* Two's complement of 0 to 8 bytes. */
static int op_signed(struct reader *r, unsigned bytes)
{
    uint64_t raw;
    int err = take_uint(r, bytes, &raw);
    if (err < 0)
        return err;
    unsigned unused_bits = 64 - 8 * bytes;
    int64_t value = bytes ? (int64_t)(raw << unused_bits) >> unused_bits : 0;
    return push(r, (struct value){.kind = VALUE_INTEGER, .integer = value});
}

static int op_long(struct reader *r, unsigned len_bytes)
{
    uint64_t bytes;
    int err = take_uint(r, len_bytes, &bytes);
    if (err < 0)
        return err;
    return bytes > 8 ? -EBADMSG : op_signed(r, (unsigned)bytes);
}

static int op_float(struct reader *r, unsigned bytes)
{
    struct value v = {.kind = VALUE_FLOAT};
    uint64_t little;
    int err = take_uint(r, bytes, &little);
    if (err < 0)
        return err;
    uint64_t big = __builtin_bswap64(little);
    memcpy(&v.number, &big, sizeof(v.number));
    return push(r, v);
}

static int op_put(struct reader *r, unsigned number_bytes)
{
    uint64_t number;
    int err = take_uint(r, number_bytes, &number);
    if (err < 0)
        return err;
    if (number >= MEMO_MAX || r->stack.count == 0)
        return -EBADMSG;
    struct value top = r->stack.at[r->stack.count - 1];
    if (top.kind == VALUE_MARK)
        return -EBADMSG;
    err = values_reserve(&r->memo, (unsigned)number + 1);
    if (err < 0)
        return err;
    while (r->memo.count <= number)
        r->memo.at[r->memo.count++] = (struct value){.kind = VALUE_NOTHING};
    r->memo.at[number] = top;
    return 0;
}

static int op_get(struct reader *r, unsigned number_bytes)
{
    uint64_t number;
    int err = take_uint(r, number_bytes, &number);
    if (err < 0)
        return err;
    if (number >= r->memo.count || r->memo.at[number].kind == VALUE_NOTHING)
        return -EBADMSG;
    return push(r, r->memo.at[number]);
}

static int op_set_one(struct reader *r, unsigned unused)
{
    (void)unused;
    if (r->stack.count < 3)
        return -EBADMSG;
    r->stack.count -= 2;
    const struct value *v = r->stack.at + r->stack.count;
    return store(r, &v[-1], &v[0], &v[1]);
}

static int op_set_many(struct reader *r, unsigned unused)
{
    struct values *s = &r->stack;
    unsigned end = s->count, mark = end;
    int err = 0;
    (void)unused;
    while (mark > 0 && s->at[mark - 1].kind != VALUE_MARK)
        mark--;
    /* The mark is at mark - 1, the dict below it. */
    if (mark < 2 || (end - mark) % 2 != 0)
        return -EBADMSG;
    for (unsigned i = mark; err == 0 && i < end; i += 2)
        err = store(r, &s->at[mark - 2], &s->at[i], &s->at[i + 1]);
    s->count = mark - 1;
    return err;
}

static int op_stop(struct reader *r, unsigned unused)
{
    (void)unused;
    r->stopped = true;
    bool outer =
        r->stack.count == 1 && r->stack.at[0].kind == VALUE_DICT && r->stack.at[0].integer == OUTER;
    return outer ? 0 : -EBADMSG;
}

static const struct {
    int (*run)(struct reader *r, unsigned arg);
    unsigned arg;
} opcodes[256] = {
    [OP_STOP] = {op_stop, 0},
    [OP_MARK] = {op_push, VALUE_MARK},
    [OP_EMPTY_DICT] = {op_dict, 0},
    [OP_SETITEM] = {op_set_one, 0},
    [OP_SETITEMS] = {op_set_many, 0},
    [OP_BINPUT] = {op_put, 1},
    [OP_LONG_BINPUT] = {op_put, 4},
    [OP_BINGET] = {op_get, 1},
    [OP_LONG_BINGET] = {op_get, 4},
    [OP_BINUNICODE] = {op_text, 4},
    [OP_SHORT_BINSTRING] = {op_text, 1},
    [OP_BINSTRING] = {op_text, 4},
    [OP_BININT] = {op_signed, 4},
    [OP_BININT1] = {op_unsigned, 1},
    [OP_BININT2] = {op_unsigned, 2},
    [OP_LONG1] = {op_long, 1},
    [OP_BINFLOAT] = {op_float, 8},
    [OP_NONE] = {op_push, VALUE_NONE},
    [OP_NEWTRUE] = {op_push, VALUE_TRUE},
    [OP_NEWFALSE] = {op_push, VALUE_FALSE},
};

static int run(struct reader *r)
{
    struct slice head, op;
    int err = take(r, 2, &head);
    if (err == 0 && !slice_eq(head, SLICE("\x80\x02")))
        err = -EBADMSG;
    while (err == 0 && !r->stopped) {
        err = take(r, 1, &op);
        if (err < 0)
            break;
        unsigned char code = (unsigned char)op.at[0];
        err = opcodes[code].run ? opcodes[code].run(r, opcodes[code].arg) : -EBADMSG;
    }
    return err; /* what comes after the end is nobody's business: Python passes over it */
}

int suffix_hashes_decode(struct slice bytes, struct suffix_hashes *h)
{
    struct reader r = {.in = bytes, .stack.most = STACK_MAX, .memo.most = MEMO_MAX, .result = h};
    h->valid = true; /* files from before there was the word are */
    int err = bytes.len > PICKLE_BYTES_MAX ? -EBADMSG : run(&r);
    for (unsigned i = 0; i < r.inner_count; i++)
        free(r.inner[i].sums);
    free(r.inner);
    free(r.stack.at);
    free(r.memo.at);
    if (err < 0)
        h->valid = false;
    return err;
}
