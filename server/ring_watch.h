/* SPDX-License-Identifier: Apache-2.0 */
/* ring_watch.h -- servers_per_port: the ports that the rings name, listened on while they do.
 *
 * Not here: what a ring says (node/ring.h), how a loop listens (listeners.h). */
#ifndef OBJSRV_RING_WATCH_H
#define OBJSRV_RING_WATCH_H

#include "server/server.h"

/* Reads the rings that have changed; opens ports that they name now, closes those that none names
 * any more. A ring that cannot be read is logged, and its ports stay. Main thread. */
void ring_watch_check(struct server *s);

#endif
