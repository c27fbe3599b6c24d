/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.c -- the list of metadata.h. Its form on disk is in metadata_encode.c and
 * metadata_decode.c.
 *
 * Each item is one allocation: the key's bytes, then the value's; item.key.at leads it. */
#include "diskfile/format/metadata.h"
#include <errno.h>
#include <stdlib.h>

void metadata_release(struct metadata *m)
{
    for (unsigned i = 0; i < m->count; i++)
        free((char *)m->items[i].key.at);
    free(m->items);
    *m = (struct metadata){0};
}

static struct metadata_item *find(const struct metadata *m, struct slice key)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (slice_eq(m->items[i].key, key))
            return &m->items[i];
    }
    return NULL;
}

static int make_room(struct metadata *m)
{
    if (m->count < m->room)
        return 0;
    if (m->count >= METADATA_ITEMS_MAX)
        return -E2BIG;
    unsigned room = m->room ? m->room * 2 : 16;
    struct metadata_item *items = realloc(m->items, room * sizeof(*items));
    if (!items)
        return -ENOMEM;
    m->items = items;
    m->room = room;
    return 0;
}

static int make_item(struct slice key, struct slice value, struct metadata_item *ret_item)
{
    char *bytes = malloc(key.len + value.len + 1); /* never of 0 bytes */
    if (!bytes)
        return -ENOMEM;
    if (key.len > 0)
        memcpy(bytes, key.at, key.len);
    if (value.len > 0)
        memcpy(bytes + key.len, value.at, value.len);
    ret_item->key = (struct slice){bytes, key.len};
    ret_item->value = (struct slice){bytes + key.len, value.len};
    return 0;
}

int metadata_set(struct metadata *m, struct slice key, struct slice value)
{
    struct metadata_item item, *old = find(m, key);

    int r = old ? 0 : make_room(m);
    if (r == 0)
        r = make_item(key, value, &item); /* before the old goes: it may be what is copied */
    if (r < 0)
        return r;
    if (old) {
        free((char *)old->key.at);
        *old = item;
    } else {
        m->items[m->count++] = item;
    }
    return 0;
}

int metadata_set_text(struct metadata *m, const char *key, const char *value)
{
    return metadata_set(m, slice_of(key), slice_of(value));
}

void metadata_remove(struct metadata *m, struct slice key)
{
    struct metadata_item *item = find(m, key);
    if (!item)
        return;
    free((char *)item->key.at);
    m->count--;
    memmove(item, item + 1, (size_t)(m->items + m->count - item) * sizeof(*item));
}

int metadata_copy(struct metadata *to, const struct metadata *from)
{
    struct metadata copy = {0};
    int r = 0;

    for (unsigned i = 0; r == 0 && i < from->count; i++) {
        r = make_room(&copy);
        if (r == 0)
            r = make_item(from->items[i].key, from->items[i].value, &copy.items[i]);
        if (r == 0)
            copy.count++;
    }
    if (r < 0) {
        metadata_release(&copy);
        return r;
    }
    metadata_release(to); /* empty, but it may have room */
    *to = copy;
    return 0;
}

const struct slice *metadata_get(const struct metadata *m, const char *key)
{
    const struct metadata_item *item = find(m, slice_of(key));
    return item ? &item->value : NULL;
}

const struct slice *metadata_get_nocase(const struct metadata *m, struct slice key)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (slice_eq_nocase(m->items[i].key, key))
            return &m->items[i].value;
    }
    return NULL;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void metadata_title_key(struct slice name, char *key)
{
    if (slice_eq_nocase(name, SLICE("etag"))) {
        memcpy(key, "ETag", 4);
        return;
    }
    bool in_word = false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (is_letter(c))
            c = (char)(in_word ? c | 0x20 : c & ~0x20);
        in_word = is_letter(c);
        key[i] = c == '_' ? '-' : c;
    }
}
