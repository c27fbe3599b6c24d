/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h -- the listening sockets, bound while the server may still be root. */
#ifndef OBJSRV_LISTEN_H
#define OBJSRV_LISTEN_H

#include "server/node/config.h"

/* `count` sockets that share bind_ip and bind_port, one for each worker. Waits up to
 * bind_timeout for an address in use. `address` gets "127.0.0.1:6200", with the real port when
 * bind_port is 0. On error -errno, `problem`, and no socket is open. */
int listen_open(const struct config *c, unsigned count, int *ret_fds, char *address,
                size_t address_len, char *problem, size_t problem_len);

#endif
