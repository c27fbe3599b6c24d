/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h -- which ports of this machine the object rings name (servers_per_port).
 *
 * Only the head of a ring file is read: its list of devices. A ring that is not there has no
 * ports: not every node has every policy. What belongs to this machine is decided as Swift does:
 * ring_ip (else bind_ip) itself, or every address of the machine if that is 0.0.0.0 or ::.
 *
 * From main() only; blocking. Errors are -errno and `problem`. */
#ifndef OBJSRV_RING_H
#define OBJSRV_RING_H

#include "server/node/config.h"

struct ring_ports;

struct ring_ports *ring_ports_new(const struct config *c);
void ring_ports_free(struct ring_ports *r);

/* Looks at the files, reads those that changed. A ring that cannot be read keeps the ports it had
 * before, and is the error; the others are up to date all the same. */
int ring_ports_update(struct ring_ports *r, char *problem, size_t problem_len);

/* All of them, each once, ascending. Borrowed until the next update. */
const unsigned *ring_ports(const struct ring_ports *r, unsigned *ret_count);

#endif
