/* SPDX-License-Identifier: Apache-2.0 */
/* pickle_decode.c -- metadata_decode(): a reader of the few pickles that are metadata.
 *
 * A pickle is a program for a stack machine. This one knows one dict of scalars and two
 * calls, _codecs.encode(text, "latin1") and bytes(); a call is folded into its result, so
 * no value contains another and nothing here recurses. Whatever else occurs is -EBADMSG.
 * Values are slices of the input; memory is linear in its length (BUDGET_FACTOR bounds
 * what references to one long text can multiply). */
#include "diskfile/format/metadata.h"
#include "diskfile/format/pickle.h"
#include "diskfile/format/wiretext.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUES_INLINE    48 /* what an ordinary object needs without malloc */
#define NUMBER_TEXT_MAX  40
#define BUDGET_FACTOR    16
#define BUDGET_BASE      1024
#define PICKLE_BYTES_MAX (64u << 20)

enum value_kind {
    VALUE_NOTHING, /* a memo number never put */
    VALUE_MARK,
    VALUE_DICT,
    VALUE_ENCODE_FN,    /* _codecs.encode */
    VALUE_BYTES_FN,     /* __builtin__.bytes */
    VALUE_NO_ARGS,      /* () */
    VALUE_ONE_ARG,      /* (bytes,) in .text */
    VALUE_ENCODE_ARGS,  /* (text, "latin1") in .text */
    VALUE_UNICODE,      /* .text is its UTF-8 */
    VALUE_BYTES,        /* .text */
    VALUE_BYTES_LATIN1, /* bytes; .text is the UTF-8 of each as a code point */
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
    unsigned count, room;
    struct value first[VALUES_INLINE];
};

struct reader {
    struct slice in;
    size_t pos;
    bool by_python3; /* the double encoding of on-disk-format 7.2 is to be undone */
    bool stopped;
    struct values stack;
    struct values memo;
    size_t budget; /* bytes of keys and values still allowed */
    char *scratch; /* one key and one value */
    struct metadata result;
};

/* ---- growing lists ---- */

static void values_init(struct values *v)
{
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
    if (room <= v->room)
        return 0;
    unsigned doubled = v->room * 2 > room ? v->room * 2 : room;
    struct value *at = realloc(v->at == v->first ? NULL : v->at, doubled * sizeof(*at));
    if (!at)
        return -ENOMEM;
    if (v->at == v->first)
        memcpy(at, v->first, v->count * sizeof(*at));
    v->at = at;
    v->room = doubled;
    return 0;
}

static int push(struct reader *r, struct value value)
{
    int err = values_reserve(&r->stack, r->stack.count + 1);
    if (err == 0)
        r->stack.at[r->stack.count++] = value;
    return err;
}

/* Takes the top `count` values off; they stay readable until the next push. */
static struct value *pop(struct reader *r, unsigned count)
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

/* ---- keys and values ---- */

/* The shortest digits that read back the same, as Python's repr(). */
static size_t float_text(double number, char *out)
{
    int len = 0;
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(out, NUMBER_TEXT_MAX, "%.*g", digits, number);
        if (strtod(out, NULL) == number)
            break;
    }
    if (strspn(out, "-0123456789") == (size_t)len) {
        memcpy(out + len, ".0", 2);
        len += 2;
    }
    return (size_t)len;
}

static size_t put_literal(char *out, struct slice text)
{
    memcpy(out, text.at, text.len);
    return text.len;
}

/* A key or a value as wire bytes. `out` has room for the input's length, at least
 * NUMBER_TEXT_MAX. */
static int to_wire(const struct reader *r, const struct value *v, bool is_name, char *out,
                   size_t *ret_len)
{
    int err = 0;

    switch (v->kind) {
    case VALUE_BYTES_LATIN1:
        err = wiretext_latin1(v->text, out, ret_len);
        break;
    case VALUE_UNICODE:
        err = wiretext_check(v->text);
        *ret_len = put_literal(out, v->text);
        break;
    case VALUE_BYTES:
        *ret_len = put_literal(out, v->text);
        break;
    case VALUE_INTEGER:
        *ret_len = (size_t)snprintf(out, NUMBER_TEXT_MAX, "%lld", (long long)v->integer);
        return 0;
    case VALUE_FLOAT:
        *ret_len = float_text(v->number, out);
        return 0;
    case VALUE_TRUE:
        *ret_len = put_literal(out, SLICE("True"));
        return 0;
    case VALUE_FALSE:
        *ret_len = put_literal(out, SLICE("False"));
        return 0;
    case VALUE_NONE:
        *ret_len = put_literal(out, SLICE("None"));
        return 0;
    default:
        return -EBADMSG;
    }
    if (err == 0 && r->by_python3 && !is_name)
        *ret_len = wiretext_undouble(out, *ret_len);
    return err;
}

static bool is_text(const struct value *v)
{
    return v->kind == VALUE_UNICODE || v->kind == VALUE_BYTES || v->kind == VALUE_BYTES_LATIN1;
}

static int store(struct reader *r, const struct value *key, const struct value *value)
{
    struct slice k = {r->scratch, 0}, v;

    if (!is_text(key))
        return -EBADMSG;
    int err = to_wire(r, key, false, r->scratch, &k.len);
    if (err < 0)
        return err;
    v = (struct slice){r->scratch + k.len, 0};
    err = to_wire(r, value, slice_eq(k, SLICE("name")), r->scratch + k.len, &v.len);
    if (err < 0)
        return err;
    if (k.len + v.len > r->budget)
        return -EBADMSG;
    r->budget -= k.len + v.len;
    err = metadata_set(&r->result, k, v);
    return err == -E2BIG ? -EBADMSG : err;
}

/* ---- opcodes: each takes its row's argument ---- */

static int op_push(struct reader *r, unsigned kind)
{
    return push(r, (struct value){.kind = kind});
}

static int op_dict(struct reader *r, unsigned unused)
{
    (void)unused;
    return r->stack.count > 0 ? -EBADMSG : op_push(r, VALUE_DICT);
}

static int op_text(struct reader *r, unsigned kind, unsigned len_bytes)
{
    struct value v = {.kind = kind};
    uint64_t len;
    int err = take_uint(r, len_bytes, &len);
    if (err == 0)
        err = take(r, len, &v.text);
    return err < 0 ? err : push(r, v);
}

static int op_unicode(struct reader *r, unsigned len_bytes)
{
    return op_text(r, VALUE_UNICODE, len_bytes);
}

static int op_string(struct reader *r, unsigned len_bytes)
{
    return op_text(r, VALUE_BYTES, len_bytes);
}

static int op_unsigned(struct reader *r, unsigned bytes)
{
    uint64_t value;
    int err = take_uint(r, bytes, &value);
    return err < 0 ? err
                   : push(r, (struct value){.kind = VALUE_INTEGER, .integer = (int64_t)value});
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
    return push(r, (struct value){.kind = VALUE_INTEGER, .integer = value});
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
    /* Numbers are given in order, each costing at least a byte. */
    if (number > r->in.len || r->stack.count == 0)
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
        return op_push(r, VALUE_ENCODE_FN);
    bool builtin = slice_eq(module, SLICE("__builtin__")) || slice_eq(module, SLICE("builtins"));
    if (builtin && slice_eq(name, SLICE("bytes")))
        return op_push(r, VALUE_BYTES_FN);
    return -EBADMSG;
}

static int op_tuple1(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct value *v = pop(r, 1);
    if (!v || v->kind != VALUE_BYTES)
        return -EBADMSG;
    return push(r, (struct value){.kind = VALUE_ONE_ARG, .text = v->text});
}

static int op_tuple2(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct value *v = pop(r, 2);
    if (!v || v[0].kind != VALUE_UNICODE)
        return -EBADMSG;
    if (!(v[1].kind == VALUE_UNICODE || v[1].kind == VALUE_BYTES) ||
        !slice_eq(v[1].text, SLICE(PICKLE_LATIN1)))
        return -EBADMSG;
    return push(r, (struct value){.kind = VALUE_ENCODE_ARGS, .text = v[0].text});
}

static int op_reduce(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct value *v = pop(r, 2);
    if (!v)
        return -EBADMSG;
    struct value result = {.kind = VALUE_NOTHING, .text = {"", 0}};
    if (v[0].kind == VALUE_ENCODE_FN && v[1].kind == VALUE_ENCODE_ARGS)
        result = (struct value){.kind = VALUE_BYTES_LATIN1, .text = v[1].text};
    else if (v[0].kind == VALUE_BYTES_FN && v[1].kind == VALUE_NO_ARGS)
        result.kind = VALUE_BYTES;
    else if (v[0].kind == VALUE_BYTES_FN && v[1].kind == VALUE_ONE_ARG)
        result = (struct value){.kind = VALUE_BYTES, .text = v[1].text};
    return result.kind == VALUE_NOTHING ? -EBADMSG : push(r, result);
}

static int op_set_one(struct reader *r, unsigned unused)
{
    (void)unused;
    const struct value *v = pop(r, 2);
    if (!v || r->stack.count == 0 || v[-1].kind != VALUE_DICT)
        return -EBADMSG;
    return store(r, &v[0], &v[1]);
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
    if (mark < 2 || s->at[mark - 2].kind != VALUE_DICT || (end - mark) % 2 != 0)
        return -EBADMSG;
    for (unsigned i = mark; err == 0 && i < end; i += 2)
        err = store(r, &s->at[i], &s->at[i + 1]);
    s->count = mark - 1;
    return err;
}

static int op_stop(struct reader *r, unsigned unused)
{
    (void)unused;
    r->stopped = true;
    return r->stack.count == 1 && r->stack.at[0].kind == VALUE_DICT ? 0 : -EBADMSG;
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
    [OP_GLOBAL] = {op_global, 0},
    [OP_REDUCE] = {op_reduce, 0},
    [OP_EMPTY_TUPLE] = {op_push, VALUE_NO_ARGS},
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
    return err == 0 && r->pos != r->in.len ? -EBADMSG : err;
}

static bool written_by_python3(struct slice bytes)
{
    size_t span = bytes.len < PICKLE_MARKER_SPAN ? bytes.len : PICKLE_MARKER_SPAN;
    return span > 0 && memmem(bytes.at, span, PICKLE_ENCODE, sizeof(PICKLE_ENCODE) - 1) != NULL;
}

int metadata_decode(struct slice bytes, struct metadata *ret)
{
    struct reader r;

    if (bytes.len > PICKLE_BYTES_MAX)
        return -EBADMSG;
    r.in = bytes;
    r.pos = 0;
    r.by_python3 = written_by_python3(bytes);
    r.stopped = false;
    r.budget = BUDGET_BASE + BUDGET_FACTOR * bytes.len;
    r.result = (struct metadata){0};
    r.scratch = malloc(2 * (bytes.len + NUMBER_TEXT_MAX));
    if (!r.scratch)
        return -ENOMEM;
    values_init(&r.stack);
    values_init(&r.memo);
    int err = run(&r);
    values_release(&r.stack);
    values_release(&r.memo);
    free(r.scratch);
    if (err < 0)
        metadata_release(&r.result);
    else
        *ret = r.result;
    return err;
}
