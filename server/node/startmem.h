/* SPDX-License-Identifier: Apache-2.0 */
/* startmem.h -- memory while the server starts.
 *
 * Nothing serves yet and nothing could be done without it, so where there is none these end
 * the process with a message. Not for anything that runs once requests are served. */
#ifndef OBJSRV_STARTMEM_H
#define OBJSRV_STARTMEM_H

#include "diskfile/slice.h"
#include <stdio.h>
#include <stdlib.h>

static inline void *start_memory(void *p)
{
    if (p == NULL) {
        fputs("objsrv: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* An array that grows to `count` items. */
static inline void *start_grow(void *items, size_t count, size_t item_size)
{
    return start_memory(reallocarray(items, count, item_size));
}

static inline char *start_text(struct slice s)
{
    char *text = start_memory(calloc(1, s.len + 1));
    if (s.len > 0)
        memcpy(text, s.at, s.len);
    return text;
}

#endif
