/* SPDX-License-Identifier: Apache-2.0 */
/* metadata_decode.c -- metadata_decode(): what a pickle's dict says, as wire bytes.
 *
 * Memory is linear in the input's length (BUDGET_FACTOR bounds what references to one long text
 * can multiply). */
#include "diskfile/format/metadata.h"
#include "diskfile/format/pickle.h"
#include "diskfile/format/pickle_read.h"
#include "diskfile/format/wiretext.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_TEXT_MAX  40
#define BUDGET_FACTOR    16
#define BUDGET_BASE      1024
#define PICKLE_BYTES_MAX (64u << 20)

/* The rest is bounded by the bytes: each value takes one. */
static const struct pickle_limits limits = {.dicts = 1, .stack = UINT_MAX, .memo = UINT_MAX};

struct reader {
    bool by_python3; /* the double encoding of on-disk-format 7.2 is to be undone */
    size_t budget;   /* bytes of keys and values still allowed */
    char *scratch;   /* one key and one value */
    struct metadata result;
};

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
static int to_wire(const struct reader *r, const struct pickle_value *v, bool is_name, char *out,
                   size_t *ret_len)
{
    int err = 0;

    switch (v->kind) {
    case PICKLE_BYTES_LATIN1:
        err = wiretext_latin1(v->text, out, ret_len);
        break;
    case PICKLE_UNICODE:
        err = wiretext_check(v->text);
        *ret_len = put_literal(out, v->text);
        break;
    case PICKLE_BYTES:
        *ret_len = put_literal(out, v->text);
        break;
    case PICKLE_INTEGER:
        *ret_len = (size_t)snprintf(out, NUMBER_TEXT_MAX, "%lld", (long long)v->integer);
        return 0;
    case PICKLE_FLOAT:
        *ret_len = float_text(v->number, out);
        return 0;
    case PICKLE_TRUE:
        *ret_len = put_literal(out, SLICE("True"));
        return 0;
    case PICKLE_FALSE:
        *ret_len = put_literal(out, SLICE("False"));
        return 0;
    case PICKLE_NONE:
        *ret_len = put_literal(out, SLICE("None"));
        return 0;
    default:
        return -EBADMSG;
    }
    if (err == 0 && r->by_python3 && !is_name)
        *ret_len = wiretext_undouble(out, *ret_len);
    return err;
}

static bool is_text(const struct pickle_value *v)
{
    return v->kind == PICKLE_UNICODE || v->kind == PICKLE_BYTES || v->kind == PICKLE_BYTES_LATIN1;
}

static int store(void *reader, int64_t dict, const struct pickle_value *key,
                 const struct pickle_value *value)
{
    struct reader *r = reader;
    struct slice k = {r->scratch, 0}, v;
    (void)dict; /* there is only one */

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

static bool written_by_python3(struct slice bytes)
{
    size_t span = bytes.len < PICKLE_MARKER_SPAN ? bytes.len : PICKLE_MARKER_SPAN;
    return span > 0 && memmem(bytes.at, span, PICKLE_ENCODE, sizeof(PICKLE_ENCODE) - 1) != NULL;
}

int metadata_decode(struct slice bytes, struct metadata *ret)
{
    struct reader r = {.by_python3 = written_by_python3(bytes),
                       .budget = BUDGET_BASE + BUDGET_FACTOR * bytes.len};
    size_t len;
    if (bytes.len > PICKLE_BYTES_MAX)
        return -EBADMSG;
    r.scratch = malloc(2 * (bytes.len + NUMBER_TEXT_MAX));
    if (!r.scratch)
        return -ENOMEM;
    int err = pickle_read(bytes, &limits, store, &r, &len);
    if (err == 0 && len != bytes.len)
        err = -EBADMSG;
    free(r.scratch);
    if (err < 0)
        metadata_release(&r.result);
    else
        *ret = r.result;
    return err;
}
