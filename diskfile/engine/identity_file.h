/* SPDX-License-Identifier: Apache-2.0 */
/* identity_file.h -- the text file that makes a directory part of a store (identity.h). */
#ifndef OBJSRV_IDENTITY_FILE_H
#define OBJSRV_IDENTITY_FILE_H

#include "diskfile/engine/identity.h"

#include <stdbool.h>

struct identity_file {
    bool complete;
    unsigned part_power;
    char store[IDENTITY_ID_LEN + 1];
    char self[IDENTITY_ID_LEN + 1];
    char hash_key[IDENTITY_ID_LEN + 1];
    unsigned count;
    char ids[IDENTITY_DIRS_MAX][IDENTITY_ID_LEN + 1]; /* the order of the directories */
};

/* -ENOENT: none. -EBADMSG: not one of ours, or damaged. */
int identity_file_read(int dirfd, struct identity_file *ret);

/* Durable when it returns 0. */
int identity_file_write(int dirfd, const struct identity_file *file);

int identity_random_id(char id[IDENTITY_ID_LEN + 1]);

/* Index of an id in the order, or -1. */
int identity_file_find(const struct identity_file *file, const char *id);

/* Same store, same directories in the same order? */
bool identity_file_agree(const struct identity_file *a, const struct identity_file *b);

#endif
