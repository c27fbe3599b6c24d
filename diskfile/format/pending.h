/* SPDX-License-Identifier: Apache-2.0 */
/* pending.h -- a container update that waits for Swift's object-updater (on-disk-format 16).
 *
 * The content of an async_pending file: a pickle of protocol 0, a dict of op, account, container,
 * obj, headers and, if need be, container_path. Pure. */
#ifndef OBJSRV_PENDING_H
#define OBJSRV_PENDING_H

#include "diskfile/format/metadata.h"

/* Everything is borrowed. */
struct pending_update {
    struct slice op;                         /* "PUT" or "DELETE" */
    struct slice account, container, object; /* UTF-8 */
    const struct metadata *headers;          /* title-cased names, values as on the wire */
    struct slice container_path;             /* UTF-8 "account/container" of a shard, or empty */
};

/* *ret_bytes is yours to free(3). Names that are no UTF-8 are taken as Latin-1. 0 or -ENOMEM. */
int pending_encode(const struct pending_update *update, char **ret_bytes, size_t *ret_len);

#endif
