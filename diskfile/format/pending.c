/* SPDX-License-Identifier: Apache-2.0 */
/* pending.c -- see pending.h. The bytes are those that Python 3's pickle.dumps(x, protocol=0)
 * writes: text as raw-unicode-escape, every object remembered by a number. */
#include "diskfile/format/pending.h"
#include "diskfile/format/wiretext.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTE_GROWTH     6  /* "\u000a" */
#define STRING_OVERHEAD 32 /* V, newline, its number, the opcode that stores it */
#define FRAME_BYTES     512

/* How a dict with HeaderKeyDict's behaviour is made again. */
#define RECONSTRUCTOR "copy_reg\n_reconstructor\n"
#define HEADER_DICT   "swift.common.header_key_dict\nHeaderKeyDict\n"
#define BUILTIN_DICT  "__builtin__\ndict\n"

struct writer {
    char *at;
    unsigned next; /* memo number */
};

static void put(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    memcpy(w->at, text, len);
    w->at += len;
}

/* Remembers what was just written. */
static void put_memo(struct writer *w)
{
    w->at += sprintf(w->at, "p%u\n", w->next++);
}

static void put_code_point(struct writer *w, uint32_t code)
{
    bool special = code == '\\' || code == 0 || code == '\n' || code == '\r' || code == 0x1a;
    if (code > 0xffff)
        w->at += sprintf(w->at, "\\U%08x", code);
    else if (special || code > 0xff)
        w->at += sprintf(w->at, "\\u%04x", code);
    else
        *w->at++ = (char)code;
}

/* One code point per byte. */
static void put_wire(struct writer *w, struct slice bytes)
{
    *w->at++ = 'V';
    for (size_t i = 0; i < bytes.len; i++)
        put_code_point(w, (unsigned char)bytes.at[i]);
    *w->at++ = '\n';
    put_memo(w);
}

static uint32_t next_code_point(const unsigned char **at)
{
    uint32_t code = *(*at)++;
    if (code < 0x80)
        return code;
    unsigned more = code < 0xe0 ? 1 : code < 0xf0 ? 2 : 3;
    code &= 0x3fu >> more;
    while (more-- > 0)
        code = code << 6 | (*(*at)++ & 0x3f);
    return code;
}

static void put_text(struct writer *w, struct slice text)
{
    if (wiretext_check(text) < 0) {
        put_wire(w, text);
        return;
    }
    const unsigned char *at = (const unsigned char *)text.at, *end = at + text.len;
    *w->at++ = 'V';
    while (at < end)
        put_code_point(w, next_code_point(&at));
    *w->at++ = '\n';
    put_memo(w);
}

static void put_item(struct writer *w, const char *key, struct slice value)
{
    put_text(w, slice_of(key));
    put_text(w, value);
    put(w, "s");
}

static void put_headers(struct writer *w, const struct metadata *headers)
{
    put_text(w, SLICE("headers"));
    put(w, "c" RECONSTRUCTOR);
    put_memo(w);
    put(w, "(c" HEADER_DICT);
    put_memo(w);
    put(w, "c" BUILTIN_DICT);
    put_memo(w);
    put(w, "(d");
    put_memo(w);
    for (unsigned i = 0; i < headers->count; i++) {
        put_wire(w, headers->items[i].key);
        put_wire(w, headers->items[i].value);
        put(w, "s");
    }
    put(w, "t");
    put_memo(w);
    put(w, "R");
    put_memo(w);
    put(w, "s");
}

static size_t room_for(const struct pending_update *u)
{
    size_t bytes =
        u->op.len + u->account.len + u->container.len + u->object.len + u->container_path.len;
    for (unsigned i = 0; i < u->headers->count; i++)
        bytes += u->headers->items[i].key.len + u->headers->items[i].value.len;
    return BYTE_GROWTH * bytes + 2 * STRING_OVERHEAD * (size_t)(u->headers->count + 6) +
           FRAME_BYTES;
}

int pending_encode(const struct pending_update *update, char **ret_bytes, size_t *ret_len)
{
    char *bytes = malloc(room_for(update));
    if (!bytes)
        return -ENOMEM;
    struct writer w = {.at = bytes};
    put(&w, "(d");
    put_memo(&w);
    put_item(&w, "op", update->op);
    put_item(&w, "account", update->account);
    put_item(&w, "container", update->container);
    put_item(&w, "obj", update->object);
    put_headers(&w, update->headers);
    if (update->container_path.len > 0)
        put_item(&w, "container_path", update->container_path);
    put(&w, ".");
    *ret_bytes = bytes;
    *ret_len = (size_t)(w.at - bytes);
    return 0;
}
