/* SPDX-License-Identifier: Apache-2.0 */
/* filename.h -- the names of files in a hash directory (on-disk-format 4). Pure. */
#ifndef OBJSRV_FILENAME_H
#define OBJSRV_FILENAME_H

#include "diskfile/format/timestamp.h"

enum file_kind {
    FILE_DATA,      /* T.data, or T#F[#d].data under erasure coding */
    FILE_META,      /* T.meta, or short T with +/-hex delta of the content type's time */
    FILE_TOMBSTONE, /* T.ts */
    FILE_DURABLE,   /* T.durable: legacy, read only */
    FILE_OTHER,     /* any other extension with a timestamp: never chosen, can be obsolete */
    FILE_UNEXPECTED /* not ours: never chosen, never removed */
};

#define FILE_NO_FRAGMENT (-1)
#define FILENAME_MAX_LEN 96 /* the longest name we write, with its NUL */

struct file_name {
    enum file_kind kind;
    struct timestamp timestamp;
    struct timestamp ctype_timestamp; /* FILE_META only */
    bool has_ctype;                   /* FILE_META only: the name carries a delta */
    int fragment;                     /* FILE_NO_FRAGMENT, or its index */
    bool durable;                     /* FILE_DATA: "#d" */
};

/* What reading and choosing must know of a storage policy. */
struct file_policy {
    bool erasure_coded;
    int fragments; /* data + parity; 0: unknown, any index is accepted */
};

/* Never fails: what does not parse is FILE_UNEXPECTED. */
void filename_parse(struct slice name, const struct file_policy *policy, struct file_name *ret);

/* Writes a NUL-terminated name; returns its length. FILE_DATA, _META, _TOMBSTONE only. */
int filename_format(const struct file_name *file, char name[FILENAME_MAX_LEN]);

/* rsync's file in flight: ^\..*\.[a-zA-Z0-9_]{6}$ */
bool filename_is_rsync_temp(struct slice name);

#endif
