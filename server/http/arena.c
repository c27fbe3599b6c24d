/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c -- see arena.h. A first block that is kept, further ones while a request needs them. */
#include "server/http/arena.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ONE_MALLOC_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_MALLOC_EACH 1
#endif
#endif
#ifndef ONE_MALLOC_EACH
#define ONE_MALLOC_EACH 0
#endif

enum { BLOCK_SIZE = 8192, ALIGNMENT = 16 };

struct block {
    struct block *next;
    size_t size; /* of bytes[] */
    _Alignas(ALIGNMENT) char bytes[];
};

struct arena {
    size_t limit;
    size_t total;         /* given out since the last reset */
    size_t used;          /* of blocks->bytes */
    struct block *blocks; /* newest first; the last one is kept by arena_reset() */
};

struct arena *arena_new(size_t limit)
{
    struct arena *a = calloc(1, sizeof(*a));
    if (a != NULL)
        a->limit = limit;
    return a;
}

static void free_blocks(struct arena *a, bool keep_first)
{
    while (a->blocks != NULL && !(keep_first && a->blocks->next == NULL)) {
        struct block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    free_blocks(a, false);
    free(a);
}

void arena_reset(struct arena *a)
{
    free_blocks(a, !ONE_MALLOC_EACH);
    if (a->blocks != NULL && a->blocks->size > BLOCK_SIZE)
        free_blocks(a, false); /* one that was made for a single big piece */
    a->total = 0;
    a->used = 0;
}

static bool add_block(struct arena *a, size_t size)
{
    if (!ONE_MALLOC_EACH && size < BLOCK_SIZE)
        size = BLOCK_SIZE;
    struct block *b = malloc(sizeof(*b) + size);
    if (b == NULL)
        return false;
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    a->used = 0;
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t room = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (room < size || room > a->limit - a->total)
        return NULL;
    size_t taken = ONE_MALLOC_EACH ? size : room;
    if (ONE_MALLOC_EACH || a->blocks == NULL || taken > a->blocks->size - a->used)
        if (!add_block(a, taken))
            return NULL;
    void *p = a->blocks->bytes + a->used;
    a->used += taken;
    a->total += room;
    return memset(p, 0, size);
}

char *arena_text(struct arena *a, struct slice s)
{
    char *text = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (text != NULL && s.len > 0)
        memcpy(text, s.at, s.len);
    return text;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)len + 1, format, again); /* fits: just measured */
    va_end(again);
    va_end(args);
    return text;
}
