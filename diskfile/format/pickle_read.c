/* SPDX-License-Identifier: Apache-2.0 */
/* pickle_read.c -- see pickle_read.h. */
#include "diskfile/format/pickle_read.h"
#include "diskfile/format/pickle.h"
#include <errno.h>
#include <stdlib.h>

#define VALUES_INLINE 48 /* what an ordinary object's metadata needs without malloc */

struct values {
    struct pickle_value *at;
    unsigned count, room, most;
    struct pickle_value first[VALUES_INLINE];
};

struct reader {
    struct slice in;
    size_t pos;
    bool stopped;
    struct values stack;
    struct values memo;
    unsigned dicts, dicts_max;
    pickle_store *store;
    void *arg;
};

/* ---- growing lists ---- */

static void values_init(struct values *v, unsigned most)
{
    v->most = most;
    v->at = v->first;
    v->count = 0;
    v->room = VALUES_INLINE;
}

static void values_release(struct values *v)
{
    if (v->at != v->first)
        free(v->at);
}

static int values_reserve(struct values *v, unsigned room)
{
    if (room > v->most)
        return -EBADMSG;
    if (room <= v->room)
        return 0;
    unsigned doubled = v->room * 2 > room ? v->room * 2 : room;
    struct pickle_value *at = realloc(v->at == v->first ? NULL : v->at, doubled * sizeof(*at));
    if (!at)
        return -ENOMEM;
    if (v->at == v->first)
        memcpy(at, v->first, v->count * sizeof(*at));
    v->at = at;
    v->room = doubled;
    return 0;
}

static int push(struct reader *r, struct pickle_value value)
{
    int err = values_reserve(&r->stack, r->stack.count + 1);
    if (err == 0)
        r->stack.at[r->stack.count++] = value;
    return err;
}

/* Takes the top `count` values off; they stay readable until the next push. */
static struct pickle_value *pop(struct reader *r, unsigned count)
{
    if (r->stack.count < count)
        return NULL;
    r->stack.count -= count;
    return r->stack.at + r->stack.count;
}

/* ---- input ---- */

static int take(struct reader *r, size_t len, struct slice *ret)
{
    if (r->in.len - r->pos < len)
        return -EBADMSG;
    *ret = (struct slice){r->in.at + r->pos, len};
    r->pos += len;
    return 0;
}

/* Little-endian, 1 to 8 bytes. */
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

static int take_line(struct reader *r, struct slice *ret)
{
    const char *start = r->in.at + r->pos;
    const char *end = memchr(start, '\n', r->in.len - r->pos);
    if (!end)
        return -EBADMSG;
    *ret = (struct slice){start, (size_t)(end - start)};
    r->pos += ret->len + 1;
    return 0;
}

/* ---- opcodes: each takes its row's argument ---- */

static int op_push(struct reader *r, unsigned kind)
{
    return push(r, (struct pickle_value){.kind = kind});
}

static int op_dict(struct reader *r, unsigned unused)
{
    (void)unused;
    if (r->dicts == r->dicts_max)
        return -EBADMSG;
    return push(r, (struct pickle_value){.kind = PICKLE_DICT, .integer = r->dicts++});
}

static int op_text(struct reader *r, unsigned kind, unsigned len_bytes)
{
    struct pickle_value v = {.kind = kind};
    uint64_t len;
    int err = take_uint(r, len_bytes, &len);
    if (err == 0)
        err = take(r, len, &v.text);
    return err < 0 ? err : push(r, v);
}

static int op_unicode(struct reader *r, unsigned len_bytes)
{
    return op_text(r, PICKLE_UNICODE, len_bytes);
}

static int op_string(struct reader *r, unsigned len_bytes)
{
    return op_text(r, PICKLE_BYTES, len_bytes);
}

static int op_unsigned(struct reader *r, unsigned bytes)
{
    uint64_t value;
    int err = take_uint(r, bytes, &value);
    return err < 0
               ? err
               : push(r, (struct pickle_value){.kind = PICKLE_INTEGER, .integer = (int64_t)value});
}

/* Two's complement of 0 to 8 bytes. */
static int push_signed(struct reader *r, unsigned bytes)
{
    uint64_t raw;
    int err = take_uint(r, bytes, &raw);
    if (err < 0)
        return err;
    unsigned unused_bits = 64 - 8 * bytes;
    int64_t value = bytes ? (int64_t)(raw << unused_bits) >> unused_bits : 0;
    return push(r, (struct pickle_value){.kind = PICKLE_INTEGER, .integer = value});
}

static int op_long(struct reader *r, unsigned len_bytes)
{
    uint64_t bytes;
    int err = take_uint(r, len_bytes, &bytes);
    if (err < 0)
        return err;
    return bytes > 8 ? -EBADMSG : push_signed(r, (unsigned)bytes);
}

static int op_float(struct reader *r, unsigned bytes)
{
    struct pickle_value v = {.kind = PICKLE_FLOAT};
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
    /* Numbers are given in order, each costing at least a byte. */
    if (number > r->in.len || r->stack.count == 0)
        return -EBADMSG;
    struct pickle_value top = r->stack.at[r->stack.count - 1];
    if (top.kind == PICKLE_MARK)
        return -EBADMSG;
    err = values_reserve(&r->memo, (unsigned)number + 1);
    if (err < 0)
        return err;
    while (r->memo.count <= number)
        r->memo.at[r->memo.count++] = (struct pickle_value){.kind = PICKLE_NOTHING};
    r->memo.at[number] = top;
    return 0;
}

static int op_get(struct reader *r, unsigned number_bytes)
{
    uint64_t number;
    int err = take_uint(r, number_bytes, &number);
    if (err < 0)
        return err;
    if (number >= r->memo.count || r->memo.at[number].kind == PICKLE_NOTHING)
        return -EBADMSG;
    return push(r, r->memo.at[number]);
}

static int op_global(struct reader *r, unsigned unused)
{
    struct slice module, name;
    (void)unused;
    int err = take_line(r, &module);
    if (err == 0)
        err = take_line(r, &name);
    if (err < 0)
        return err;
    if (slice_eq(module, SLICE("_codecs")) && slice_eq(name, SLICE("encode")))
        return op_push(r, PICKLE_ENCODE_FN);
    bool builtin = slice_eq(module, SLICE("__builtin__")) || slice_eq(module, SLICE("builtins"));
    if (builtin && slice_eq(name, SLICE("bytes")))
        return op_push(r, PICKLE_BYTES_FN);
    return -EBADMSG;
}

static int op_tuple1(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct pickle_value *v = pop(r, 1);
    if (!v || v->kind != PICKLE_BYTES)
        return -EBADMSG;
    return push(r, (struct pickle_value){.kind = PICKLE_ONE_ARG, .text = v->text});
}

static int op_tuple2(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct pickle_value *v = pop(r, 2);
    if (!v || v[0].kind != PICKLE_UNICODE)
        return -EBADMSG;
    if (!(v[1].kind == PICKLE_UNICODE || v[1].kind == PICKLE_BYTES) ||
        !slice_eq(v[1].text, SLICE(PICKLE_LATIN1)))
        return -EBADMSG;
    return push(r, (struct pickle_value){.kind = PICKLE_ENCODE_ARGS, .text = v[0].text});
}

static int op_reduce(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct pickle_value *v = pop(r, 2);
    if (!v)
        return -EBADMSG;
    struct pickle_value result = {.kind = PICKLE_NOTHING, .text = {"", 0}};
    if (v[0].kind == PICKLE_ENCODE_FN && v[1].kind == PICKLE_ENCODE_ARGS)
        result = (struct pickle_value){.kind = PICKLE_BYTES_LATIN1, .text = v[1].text};
    else if (v[0].kind == PICKLE_BYTES_FN && v[1].kind == PICKLE_NO_ARGS)
        result.kind = PICKLE_BYTES;
    else if (v[0].kind == PICKLE_BYTES_FN && v[1].kind == PICKLE_ONE_ARG)
        result = (struct pickle_value){.kind = PICKLE_BYTES, .text = v[1].text};
    return result.kind == PICKLE_NOTHING ? -EBADMSG : push(r, result);
}

static int op_set_one(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct pickle_value *v = pop(r, 2);
    if (!v || r->stack.count == 0 || v[-1].kind != PICKLE_DICT)
        return -EBADMSG;
    return r->store(r->arg, v[-1].integer, &v[0], &v[1]);
}

static int op_set_many(struct reader *r, unsigned unused)
{
    struct values *s = &r->stack;
    unsigned end = s->count, mark = end;
    int err = 0;

    (void)unused;
    while (mark > 0 && s->at[mark - 1].kind != PICKLE_MARK)
        mark--;
    /* The mark is at mark - 1, the dict below it. */
    if (mark < 2 || s->at[mark - 2].kind != PICKLE_DICT || (end - mark) % 2 != 0)
        return -EBADMSG;
    for (unsigned i = mark; err == 0 && i < end; i += 2)
        err = r->store(r->arg, s->at[mark - 2].integer, &s->at[i], &s->at[i + 1]);
    s->count = mark - 1;
    return err;
}

static int op_stop(struct reader *r, unsigned unused)
{
    (void)unused;
    r->stopped = true;
    const struct pickle_value *result = r->stack.at;
    bool is_first = r->stack.count == 1 && result->kind == PICKLE_DICT && result->integer == 0;
    return is_first ? 0 : -EBADMSG;
}

static const struct {
    int (*run)(struct reader *r, unsigned arg);
    unsigned arg;
} opcodes[256] = {
    [OP_STOP] = {op_stop, 0},
    [OP_MARK] = {op_push, PICKLE_MARK},
    [OP_EMPTY_DICT] = {op_dict, 0},
    [OP_SETITEM] = {op_set_one, 0},
    [OP_SETITEMS] = {op_set_many, 0},
    [OP_BINPUT] = {op_put, 1},
    [OP_LONG_BINPUT] = {op_put, 4},
    [OP_BINGET] = {op_get, 1},
    [OP_LONG_BINGET] = {op_get, 4},
    [OP_GLOBAL] = {op_global, 0},
    [OP_REDUCE] = {op_reduce, 0},
    [OP_EMPTY_TUPLE] = {op_push, PICKLE_NO_ARGS},
    [OP_TUPLE1] = {op_tuple1, 0},
    [OP_TUPLE2] = {op_tuple2, 0},
    [OP_BINUNICODE] = {op_unicode, 4},
    [OP_SHORT_BINSTRING] = {op_string, 1},
    [OP_BINSTRING] = {op_string, 4},
    [OP_BININT] = {push_signed, 4},
    [OP_BININT1] = {op_unsigned, 1},
    [OP_BININT2] = {op_unsigned, 2},
    [OP_LONG1] = {op_long, 1},
    [OP_BINFLOAT] = {op_float, 8},
    [OP_NONE] = {op_push, PICKLE_NONE},
    [OP_NEWTRUE] = {op_push, PICKLE_TRUE},
    [OP_NEWFALSE] = {op_push, PICKLE_FALSE},
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
    return err;
}

int pickle_read(struct slice bytes, const struct pickle_limits *limits, pickle_store *store,
                void *arg, size_t *ret_len)
{
    struct reader r;
    r.in = bytes;
    r.pos = 0;
    r.stopped = false;
    r.dicts = 0;
    r.dicts_max = limits->dicts;
    r.store = store;
    r.arg = arg;
    values_init(&r.stack, limits->stack);
    values_init(&r.memo, limits->memo);
    int err = run(&r);
    values_release(&r.stack);
    values_release(&r.memo);
    *ret_len = r.pos;
    return err;
}
