/* SPDX-License-Identifier: Apache-2.0 */
/* metadata_encode.c -- metadata_encode(): the bytes that Swift's pickle.dumps() would write.
 *
 * Two encodings lie upon each other. On disk a header's byte >= 0x80 is the UTF-8 of that
 * code point (`name` is left alone, on-disk-format 7.2); the pickle then shows each byte on
 * disk as a code point, again in UTF-8. So a byte grows to at most 4.
 *
 * Python remembers objects by identity, and bytes of length 0 and 1 exist only once: the
 * second "0" of a dict is a reference to the first. */
#include "diskfile/format/metadata.h"
#include "diskfile/format/pickle.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BATCH_ITEMS    1000 /* per SETITEMS */
#define FRAME_BYTES    64   /* PROTO, dict, STOP, and what is spelled out only once */
#define BYTES_OVERHEAD 40   /* per key or value, at most */
#define BATCH_OVERHEAD 2

struct writer {
    char *at;
    uint32_t next; /* memo number; 0 is the dict, so 0 below means: not yet written */
    uint32_t encode, latin1, empty;
    uint32_t single[256]; /* bytes objects of length 1 */
};

static void put_byte(struct writer *w, unsigned byte)
{
    *w->at++ = (char)byte;
}

static void put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    memcpy(w->at, text, len);
    w->at += len;
}

static void put_u32(struct writer *w, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8)
        put_byte(w, value >> shift & 0xff);
}

/* Remembers what was just written; returns its number. */
static uint32_t put_memo(struct writer *w)
{
    if (w->next < 256) {
        put_byte(w, OP_BINPUT);
        put_byte(w, w->next);
    } else {
        put_byte(w, OP_LONG_BINPUT);
        put_u32(w, w->next);
    }
    return w->next++;
}

static void put_reference(struct writer *w, uint32_t memo)
{
    if (memo < 256) {
        put_byte(w, OP_BINGET);
        put_byte(w, memo);
    } else {
        put_byte(w, OP_LONG_BINGET);
        put_u32(w, memo);
    }
}

static void put_code_point(struct writer *w, unsigned char latin1)
{
    if (latin1 < 0x80) {
        put_byte(w, latin1);
    } else {
        put_byte(w, 0xc0u | latin1 >> 6);
        put_byte(w, 0x80u | (latin1 & 0x3f));
    }
}

/* `wire` as it is on disk, each byte as a code point. */
static void put_disk_bytes(struct writer *w, struct slice wire, bool is_name)
{
    for (size_t i = 0; i < wire.len; i++) {
        unsigned char byte = (unsigned char)wire.at[i];
        if (byte < 0x80 || is_name) {
            put_code_point(w, byte);
        } else {
            put_code_point(w, (unsigned char)(0xc0 | byte >> 6));
            put_code_point(w, (unsigned char)(0x80 | (byte & 0x3f)));
        }
    }
}

static void put_unicode(struct writer *w, struct slice wire, bool is_name)
{
    put_byte(w, OP_BINUNICODE);
    char *len = w->at;
    put_u32(w, 0);
    char *start = w->at;
    put_disk_bytes(w, wire, is_name);
    char *end = w->at;
    w->at = len;
    put_u32(w, (uint32_t)(end - start));
    w->at = end;
    put_memo(w);
}

static void put_empty(struct writer *w)
{
    if (w->empty) {
        put_reference(w, w->empty);
        return;
    }
    put_byte(w, OP_GLOBAL);
    put_text(w, "__builtin__\nbytes\n");
    put_memo(w);
    put_byte(w, OP_EMPTY_TUPLE);
    put_byte(w, OP_REDUCE);
    w->empty = put_memo(w);
}

/* One call of _codecs.encode(text, "latin1"). */
static uint32_t put_call(struct writer *w, struct slice wire, bool is_name)
{
    if (w->encode) {
        put_reference(w, w->encode);
    } else {
        put_byte(w, OP_GLOBAL);
        put_text(w, PICKLE_ENCODE "\n");
        w->encode = put_memo(w);
    }
    put_unicode(w, wire, is_name);
    if (w->latin1) {
        put_reference(w, w->latin1);
    } else {
        put_unicode(w, SLICE(PICKLE_LATIN1), false);
        w->latin1 = w->next - 1;
    }
    put_byte(w, OP_TUPLE2);
    put_memo(w);
    put_byte(w, OP_REDUCE);
    return put_memo(w);
}

static void put_bytes(struct writer *w, struct slice wire, bool is_name)
{
    unsigned char first = wire.len > 0 ? (unsigned char)wire.at[0] : 0;
    bool single = wire.len == 1 && (first < 0x80 || is_name);

    if (wire.len == 0)
        put_empty(w);
    else if (single && w->single[first])
        put_reference(w, w->single[first]);
    else if (single)
        w->single[first] = put_call(w, wire, is_name);
    else
        put_call(w, wire, is_name);
}

static void put_item(struct writer *w, const struct metadata_item *item)
{
    put_bytes(w, item->key, false);
    put_bytes(w, item->value, slice_eq(item->key, SLICE("name")));
}

static void put_items(struct writer *w, const struct metadata *m)
{
    unsigned i = 0, batch_end;

    if (m->count == 1) {
        put_item(w, &m->items[0]);
        put_byte(w, OP_SETITEM);
        return;
    }
    /* A full batch is followed by another, be it empty: so does Python. */
    for (bool more = m->count > 0; more; more = i == batch_end) {
        batch_end = i + BATCH_ITEMS;
        put_byte(w, OP_MARK);
        for (; i < m->count && i < batch_end; i++)
            put_item(w, &m->items[i]);
        put_byte(w, OP_SETITEMS);
    }
}

/* An upper bound of the pickle's length, so that writing needs no checks; or -E2BIG. */
static int64_t room_for(const struct metadata *m)
{
    uint64_t room = FRAME_BYTES + BATCH_OVERHEAD * (m->count / BATCH_ITEMS + 1);

    for (unsigned i = 0; i < m->count; i++) {
        uint64_t len = (uint64_t)m->items[i].key.len + m->items[i].value.len;
        if (len > UINT32_MAX / 4)
            return -E2BIG;
        room += 4 * len + 2 * BYTES_OVERHEAD;
    }
    return room > UINT32_MAX ? -E2BIG : (int64_t)room;
}

int metadata_encode(const struct metadata *m, char **ret_bytes, size_t *ret_len)
{
    struct writer w = {0};
    int64_t room = room_for(m);

    if (room < 0)
        return (int)room;
    char *bytes = malloc((size_t)room);
    if (!bytes)
        return -ENOMEM;
    w.at = bytes;
    put_byte(&w, OP_PROTO);
    put_byte(&w, PICKLE_PROTOCOL);
    put_byte(&w, OP_EMPTY_DICT);
    put_memo(&w);
    put_items(&w, m);
    put_byte(&w, OP_STOP);
    assert(w.at - bytes <= room);
    *ret_bytes = bytes;
    *ret_len = (size_t)(w.at - bytes);
    return 0;
}
