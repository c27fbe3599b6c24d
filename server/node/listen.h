/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h -- the listening sockets, bound while the server may still be root.
 *
 *   listen_open | listen_add* -> listen_share for each worker ... listen_add, listen_drop ...
 * listen_close
 *
 * For each port there are as many SO_REUSEPORT sockets as workers; sockets that came from systemd
 * or from the process before (inherit.h) are taken first. The set keeps its own descriptors, so
 * that a successor can be given them; workers get copies.
 * From main() only. On error -errno, `problem`, and nothing of that port is open. */
#ifndef OBJSRV_LISTEN_H
#define OBJSRV_LISTEN_H

#include "server/node/config.h"
#include "server/node/inherit.h"
#include <sys/types.h>

struct listen_port {
    unsigned port;          /* 0: not TCP */
    enum inherit_kind kind; /* INHERIT_ACTIVATED or INHERIT_LISTEN */
    int *fds;
    unsigned count;
};

struct listen_set {
    struct listen_port *ports;
    unsigned count;
    char address[128]; /* of the first: "127.0.0.1:6200", with the real port */
};

/* Sockets of systemd if there are any: they are the listeners, whatever bind_ip and bind_port
 * say; else bind_port. Waits up to bind_timeout for an address in use. */
int listen_open(struct listen_set *set, const struct config *c, struct inheritance *from,
                char *problem, size_t problem_len);

/* One port more. `wait_s`: for an address in use. */
int listen_add(struct listen_set *set, const struct config *c, unsigned port, double wait_s,
               struct inheritance *from, char *problem, size_t problem_len);

/* A port less. */
void listen_drop(struct listen_set *set, unsigned port);

bool listen_has(const struct listen_set *set, unsigned port);

/* Whose sockets these are: he may bind more to the same addresses later. */
void listen_give_to(const struct listen_set *set, uid_t user);

/* The next of those that worker `index` of `workers` accepts from, as a copy to keep; *next starts
 * at 0. -ENOENT: no more. */
int listen_share(const struct listen_port *p, unsigned index, unsigned workers, unsigned *next);

void listen_close(struct listen_set *set);

#endif
