/* SPDX-License-Identifier: Apache-2.0 */
/* range.h -- the Range header and the body that answers several ranges (http-api 11). Pure. */
#ifndef OBJSRV_RANGE_H
#define OBJSRV_RANGE_H

#include "diskfile/slice.h"
#include <stdint.h>

#define RANGE_MAX_OVERLAPS   2 /* pairs that overlap */
#define RANGE_MAX_UNORDERED  8 /* from this many on they must ascend */
#define RANGE_BOUNDARY_LEN   32
#define RANGE_PART_HEAD_ROOM 160 /* room for a part's head besides its content type */

struct byte_range {
    uint64_t start, end; /* half open */
};

struct range_set {
    struct byte_range *items; /* in the order asked for; the caller's, `room` of them */
    unsigned room;            /* more than these in one header are refused */
    unsigned count;
};

enum range_verdict {
    RANGE_IGNORED,       /* malformed, or a suffix of an empty object: the whole object */
    RANGE_SATISFIABLE,   /* at least one */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* `set`: items and room given. */
enum range_verdict range_parse(struct slice header, uint64_t size, struct range_set *set);

/* ---- multipart/byteranges ---- */

struct multipart {
    char boundary[RANGE_BOUNDARY_LEN + 1];
    struct slice content_type; /* the object's */
    uint64_t size;             /* the object's */
};

/* What precedes part `index`'s bytes; index set->count: what ends the body. `text` has room for
 * RANGE_PART_HEAD_ROOM + content_type.len. Returns the length. */
size_t multipart_text(const struct multipart *m, const struct range_set *set, unsigned index,
                      char *text);
uint64_t multipart_length(const struct multipart *m, const struct range_set *set);

#endif
