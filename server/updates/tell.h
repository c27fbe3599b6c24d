/* SPDX-License-Identifier: Apache-2.0 */
/* tell.h -- what others are told of a PUT, POST or DELETE in Swift mode (http-api 15, 16).
 *
 *   PUT      stored -> tell_put() -> told() -> 201
 *   POST     judged -> tell_post_queue() -> told() -> .meta is written
 *                   -> tell_post() -> told() -> 202
 *   DELETE   tombstone, or refused -> tell_delete() -> told() -> the reply
 *
 * Order: the row for the new expiry is PUT into the queue of expiring objects and waited
 * for, the one of the old expiry is left on the disk as a DELETE, then the containers are told
 * and waited for at most container_update_timeout.
 *
 * told() comes once; at once, from inside, if nobody is to be told: call these last. Nothing
 * here changes the status of the reply. While it waits, request.handler is this room's; told()
 * comes also when the client has gone. In stand-alone mode none of this is called. */
#ifndef OBJSRV_TELL_H
#define OBJSRV_TELL_H

#include "server/updates/update_headers.h"
#include "server/verbs/target.h"

struct tell {
    struct request *request;
    const struct target *target; /* lent until told() */
    struct timestamp timestamp;  /* of the request */
    void (*told)(void *arg);
    void *arg;
};

/* Expiries: the X-Delete-At in seconds that an object had and has; 0: none. */
void tell_put(const struct tell *tell, int64_t old_expiry, int64_t new_expiry,
              const struct put_facts *facts);
void tell_post_queue(const struct tell *tell, int64_t old_expiry, int64_t new_expiry);
void tell_post(const struct tell *tell, const struct post_facts *facts);
/* `deleted`: a tombstone was written. */
void tell_delete(const struct tell *tell, int64_t old_expiry, bool deleted);

#endif
