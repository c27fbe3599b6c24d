/* SPDX-License-Identifier: Apache-2.0 */
/* hashes_file.h -- hashes.pkl and hashes.invalid of a partition (on-disk-format 12).
 *
 * hashes.pkl is what was known of the partition when it was written; hashes.invalid names the
 * suffixes that changed since, one on a line. Writers of objects only append to the second. Whoever
 * wants to know hashes takes over the second into the first, computes what is not known, and writes
 * it back, if nobody else was faster. Swift's daemons do the same in the same files.
 *
 * All BLOCKING, and under hashdir_lock() but for hashes_file_read(). Of a place nothing below its
 * partition counts. 0 or -errno. */
#ifndef OBJSRV_HASHES_FILE_H
#define OBJSRV_HASHES_FILE_H

#include "diskfile/engine/hashdir.h"
#include "diskfile/format/suffix_hashes.h"

/* hashes.pkl as it was: who wrote it since can be told by the bytes, which hold the time. */
struct hashes_image {
    char *bytes; /* owned; NULL: none, or it cannot be read */
    size_t len;
};

void hashes_image_release(struct hashes_image *image);
bool hashes_image_eq(const struct hashes_image *a, const struct hashes_image *b);

/* -ENOENT: there is none. *ret_image is without bytes after an error. */
int hashes_file_read(const struct object_place *p, struct hashes_image *ret_image);

/* Reads both files and takes over the second: suffixes that it names are stale in `h`, which is
 * new. A hashes.pkl that is absent or makes no sense leaves h->valid false, and that is no error.
 * Lines that are no suffix are passed over; Swift 2.30.1 would distrust the whole file because of
 * them. *ret_image: what hashes.pkl is now. */
int hashes_file_consolidate(const struct object_place *p, struct suffix_hashes *h,
                            struct hashes_image *ret_image);

/* Replaces hashes.pkl, durably, and sets h->updated. *ret_image as above; may be NULL. */
int hashes_file_write(const struct object_place *p, struct suffix_hashes *h,
                      struct hashes_image *ret_image);

/* Appends to hashes.invalid. `lines`: suffixes, each with its newline. */
int hashes_file_invalidate(const struct object_place *p, struct slice lines);

#endif
