/* SPDX-License-Identifier: Apache-2.0 */
/* comma_list.h -- walks the items of a header such as If-Match. Pure. */
#ifndef OBJSRV_COMMA_LIST_H
#define OBJSRV_COMMA_LIST_H

#include "diskfile/slice.h"

static inline struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = (struct slice){s.at + 1, s.len - 1};
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cuts the next item, trimmed and possibly empty, off *rest. False once rest->at is NULL,
 * which is how the end is marked; "" has one, empty, item. */
static inline bool comma_list_next(struct slice *rest, struct slice *ret_item)
{
    if (!rest->at)
        return false;
    const char *comma = memchr(rest->at, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->at) : rest->len;
    *ret_item = slice_trim((struct slice){rest->at, len});
    *rest = comma ? (struct slice){comma + 1, rest->len - len - 1} : (struct slice){NULL, 0};
    return true;
}

#endif
