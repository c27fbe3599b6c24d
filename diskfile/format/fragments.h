/* SPDX-License-Identifier: Apache-2.0 */
/* fragments.h -- what a reader of an erasure-coded object may wish for, and what it is told.
 *
 * A hash directory may hold fragments of several versions. Without a wish the newest
 * durable version is the object; a proxy that gathers fragments from many nodes says more
 * (on-disk-format 5.1). Plain data, borrowed; no functions. */
#ifndef OBJSRV_FRAGMENTS_H
#define OBJSRV_FRAGMENTS_H

#include "diskfile/format/timestamp.h"

struct fragment_preference {
    struct timestamp timestamp;
    const int *excluded; /* indexes the reader has already, or cannot use */
    unsigned excluded_count;
};

struct fragment_wish {
    bool only_index; /* `index` or nothing; preferences that match override it */
    int index;
    bool any; /* preferences were given, maybe none: the version need not be durable */
    const struct fragment_preference *preferences; /* the best first */
    unsigned count;
};

struct fragment {
    struct timestamp timestamp;
    int index;
};

#endif
