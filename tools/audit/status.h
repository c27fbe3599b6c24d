/* SPDX-License-Identifier: Apache-2.0 */
/* status.h -- where a pass is: auditor_status_{ALL,ZBF}.json in a device's objects[-N]/.
 *
 * {"partitions": ["10", "7"]}: what is still to do, in order. Swift's auditor and this program
 * go on where the other stopped (on-disk-format 19). One struct partition_list is one policy
 * of one device in one pass; its names lie in one block of memory.
 *
 * Threads: several workers take partitions; what is written is from the oldest unfinished on.
 * Not thread-safe: the caller (device.c) has the lock. */
#ifndef OBJSRV_STATUS_H
#define OBJSRV_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_MIN_AGE_S 60 /* written no more often, but for the end */

struct partition_list {
    char *names; /* one after the other, each with its NUL */
    size_t names_len, names_room;
    uint32_t *at; /* offset of each; the top bit: finished */
    unsigned count, room;
    unsigned next;       /* to be taken */
    unsigned unfinished; /* the oldest of those taken; == count: all done */
    bool resumed;        /* from a status file, not from the directory */
};

/* From the status file, if there is a good one, else the directory's entries. `objects_dir`:
 * an open descriptor of objects[-N]/. *ret_bad_file: there was one that could not be read or
 * parsed (-errno, -EBADMSG), else 0. */
int partition_list_load(struct partition_list *l, int objects_dir, const char *type,
                        int *ret_bad_file);
void partition_list_release(struct partition_list *l);
int partition_list_add(struct partition_list *l, const char *name);

const char *partition_list_name(const struct partition_list *l, unsigned i);
void partition_list_finished(struct partition_list *l, unsigned i);

/* The JSON of what is unfinished, without newline; yours to free. NULL: no memory. */
char *partition_list_text(const struct partition_list *l, size_t *ret_len);

/* Unless it was written a moment ago (then 0); `end` writes anyway. The new file is made in
 * `tmp_dir` of the same file system and renamed, so a crash leaves the old one or the new. */
int status_write(const struct partition_list *l, int objects_dir, int tmp_dir, const char *type,
                 bool end);
int status_clear(int objects_dir, const char *type);

#endif
