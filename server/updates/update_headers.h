/* SPDX-License-Identifier: Apache-2.0 */
/* update_headers.h -- what a container server is told about an object (http-api 15, 16).
 *
 * Header lists are struct metadata: title-cased names, values as they go over the wire. Pure. Each
 * function adds to `m`; 0 or -ENOMEM. */
#ifndef OBJSRV_UPDATE_HEADERS_H
#define OBJSRV_UPDATE_HEADERS_H

#include "diskfile/diskfile.h"
#include "server/http/request.h"

/* After a PUT. Overrides come from the request's headers and from `footers` (those of a
 * multipart PUT; NULL: none), which win within the same prefix. */
struct put_facts {
    uint64_t size;
    struct slice content_type;
    struct timestamp timestamp;
    struct slice etag;
    const struct metadata *footers;
};
int headers_of_put(struct metadata *m, const struct request *r, const struct put_facts *facts);

/* After a POST. `stored` is the object's metadata as it was before, with its Content-Length, ETag,
 * sysmeta and stored overrides. */
struct post_facts {
    const struct metadata *stored;
    struct slice content_type; /* the one that holds now, with ";swift_bytes=N" if due */
    struct timestamp data_timestamp, ctype_timestamp, meta_timestamp;
};
int headers_of_post(struct metadata *m, const struct post_facts *facts);

int headers_of_delete(struct metadata *m, struct timestamp timestamp);

/* A row of the queue of expiring objects: with a size and a type when it is PUT. */
int headers_of_queue_row(struct metadata *m, struct timestamp timestamp, bool put);

/* Who says so: X-Trans-Id, Referer, X-Backend-Storage-Policy-Index, User-Agent. To be added last.
 */
int headers_of_sender(struct metadata *m, const struct request *r, const char *listen_address,
                      unsigned policy);

/* False: a value holds CR, LF or NUL and must not be sent. */
bool headers_sendable(const struct metadata *m);

#endif
