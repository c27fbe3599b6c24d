/* SPDX-License-Identifier: Apache-2.0 */
/* listing.h -- a directory's entries as a stream: one buffer, no list, however many there are.
 *
 *   listing_open -> listing_next* -> listing_close
 *
 * Links are never followed, neither to open a directory nor to tell what an entry is. */
#ifndef OBJSRV_LISTING_H
#define OBJSRV_LISTING_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define LISTING_BUFFER_BYTES 16384

struct listing {
    int fd; /* the directory */
    ssize_t len, at;
    _Alignas(8) char buffer[LISTING_BUFFER_BYTES];
};

enum entry_kind { ENTRY_DIRECTORY, ENTRY_FILE, ENTRY_LINK, ENTRY_OTHER };

struct listing_entry {
    const char *name; /* borrowed until the next call */
    enum entry_kind kind;
};

/* -ENOTDIR, -ELOOP for what is no directory. */
int listing_open(struct listing *l, int parent_fd, const char *name);

/* 1: an entry ("." and ".." are passed over), 0: no more, -errno. */
int listing_next(struct listing *l, struct listing_entry *ret_entry);
void listing_close(struct listing *l);

const char *entry_kind_name(enum entry_kind kind); /* "a symbolic link" */

#endif
