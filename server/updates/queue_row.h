/* SPDX-License-Identifier: Apache-2.0 */
/* queue_row.h -- where an expiring object stands in the queue of Swift's expirer (http-api 16).
 *
 * A row is an object of the account ".expiring_objects": "<time>-<account>/<container>/<object>"
 * in a container named by a time too. Pure. */
#ifndef OBJSRV_QUEUE_ROW_H
#define OBJSRV_QUEUE_ROW_H

#include "diskfile/diskfile.h"
#include "server/http/arena.h"

/* Seconds as the queue counts them: 0 to 9999999999. */
int64_t queue_time(int64_t seconds);

/* Of an X-Delete-At as stored or sent; 0: none, or no number. */
int64_t queue_time_of(struct slice x_delete_at);

#define QUEUE_CONTAINER_MAX 24

/* The container that the cluster's options and the object's hash make for this time. */
void queue_container(int64_t delete_at, int64_t divisor, const struct object_hash *hash,
                     char text[QUEUE_CONTAINER_MAX]);

/* X-Delete-At-Container as the proxy says it, in its normal form; false: no number. */
bool queue_container_sent(struct slice sent, char text[QUEUE_CONTAINER_MAX]);

/* Row name in the arena; at == NULL: no memory. */
struct slice queue_object(struct arena *a, int64_t delete_at, const struct df_name *name);

#endif
