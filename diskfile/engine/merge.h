/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h -- one object's metadata from its .data and its .meta files (on-disk-format 8). Pure. */
#ifndef OBJSRV_MERGE_H
#define OBJSRV_MERGE_H

#include "diskfile/format/metadata.h"
#include "diskfile/format/timestamp.h"

/* The time in this item; zero when absent or no time. */
struct timestamp metadata_time(const struct metadata *m, const char *key);

/* Lays the content type of a second, older .meta over the newest one, where it is newer than
 * that one's and than the data. */
int merge_content_type(struct metadata *meta, const struct metadata *ctype,
                       struct timestamp data_timestamp);

/* The newest .meta's items, overlaid by what only the data file may say. `ret` is zeroed.
 * *ret_ctype_from_meta: whose Content-Type it became. */
int merge_metadata(const struct metadata *data, const struct metadata *meta,
                   struct timestamp data_timestamp, struct metadata *ret,
                   bool *ret_ctype_from_meta);

#endif
