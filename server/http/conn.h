/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h -- connections, as the loop sees them. What a verb sees is request.h.
 *
 *   conns_new -> conn_open* ... conns_stop(graceful) -> conns_stop(hard) -> conns_close -> free
 *
 * A connection frees itself when its socket is closed and its request is done. Loop thread. */
#ifndef OBJSRV_CONN_H
#define OBJSRV_CONN_H

#include "server/http/request.h"
#include "server/loop.h"

/* What the connections of one loop share: a read buffer, deadlines, memory of past requests. */
struct conns;

/* emptied(): a connection was freed; loop->conn_count says how many are left. */
struct conns *conns_new(struct loop *loop, void (*freed)(struct loop *loop));
void conns_close(struct conns *s); /* its handles; no connection may be left */
void conns_free(struct conns *s);  /* once the handles are closed */

/* `take_fd`: an accepted socket, given. 0 or -errno. */
int conn_open(struct conns *s, int take_fd);

/* Gracefully: idle connections are closed, others after the reply they owe. Hard: all of them
 * now; verbs are told and wind up. */
void conns_stop(struct conns *s, bool graceful);

/* One log line for every request in flight. */
void conns_dump(struct conns *s);

#endif
