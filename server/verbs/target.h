/* SPDX-License-Identifier: Apache-2.0 */
/* target.h -- the object a request is about, once its path has been understood.
 *
 * Lives in the request's arena. In Swift mode the caller names device, partition and time;
 * in stand-alone mode the server does, and X-Backend-*, X-Container-*, X-Delete-At-*
 * and X-Timestamp are never looked at. */
#ifndef OBJSRV_TARGET_H
#define OBJSRV_TARGET_H

#include "diskfile/diskfile.h"
#include "server/http/request.h"

struct target {
    struct df_name name;
    bool plain;        /* stand-alone mode */
    struct slice rest; /* replication: what follows the partition; the name has no object then */
};

/* One per method; each answers the request and ends it with request_done(). */
void put_swift(struct request *r, const struct target *target);
void put_plain(struct request *r, const struct target *target);
void get_start(struct request *r, const struct target *target); /* GET and HEAD, both modes */
void post_swift(struct request *r, const struct target *target);
void post_plain(struct request *r, const struct target *target);
void delete_swift(struct request *r, const struct target *target);
void delete_plain(struct request *r, const struct target *target);
void replicate_start(struct request *r, const struct target *target);
void options_swift(struct request *r);

/* standalone.c: everything but /healthcheck, in stand-alone mode. */
void standalone_dispatch(struct request *r);

#endif
