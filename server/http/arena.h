/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h -- memory that dies with one request: all of it by arena_reset(), nothing alone.
 *
 * Owner: the connection, which resets once the request is done. Under ASan each allocation
 * is its own malloc, so overruns are reported in place. One thread. */
#ifndef OBJSRV_ARENA_H
#define OBJSRV_ARENA_H

#include "diskfile/slice.h"

struct arena;

struct arena *arena_new(size_t limit); /* NULL: no memory */
void arena_free(struct arena *a);
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t size);   /* zeroed; NULL: over the limit, or no memory */
char *arena_text(struct arena *a, struct slice s); /* a copy with a NUL behind it */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
