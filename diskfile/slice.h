/* SPDX-License-Identifier: Apache-2.0 */
/* slice.h -- some bytes that lie somewhere else.
 *
 * Object names may hold NUL (Swift's reserved names), header values any byte, so
 * text from outside travels as pointer and length, never as a C string.
 * Ownership: none. A slice is valid as long as what it points into. */
#ifndef OBJSRV_SLICE_H
#define OBJSRV_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *at;
    size_t len;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ASCII case folded. Not strncasecmp(3): that one stops at a NUL. */
static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        unsigned char x = (unsigned char)a.at[i], y = (unsigned char)b.at[i];
        bool letter = (x | 0x20) >= 'a' && (x | 0x20) <= 'z';
        if (x != y && !(letter && (x ^ y) == 0x20))
            return false;
    }
    return true;
}

#endif
