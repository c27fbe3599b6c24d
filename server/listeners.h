/* SPDX-License-Identifier: Apache-2.0 */
/* listeners.h -- the listening sockets of one loop, and how connections are taken from them.
 *
 *   listeners_new -> listeners_add* -> listeners_open -> add, drop, resume ... -> listeners_close
 *     -> listeners_end -> the loop has run out -> listeners_free
 *
 * No more are taken while max_clients are open (listeners_resume() says that one has gone), and for
 * a moment when descriptors or memory run out; who comes meanwhile waits in the backlog.
 * Sockets are given; each is closed here. Up to listeners_open() any thread, then the loop's.
 * Not here: what happens to a connection (http/conn.h), which process listens where
 * (node/listen.h). */
#ifndef OBJSRV_LISTENERS_H
#define OBJSRV_LISTENERS_H

#include <stdbool.h>

struct listeners;
struct loop;

/* `take` gets each connection: 0, or -errno and the socket is closed. NULL: no memory. */
struct listeners *listeners_new(struct loop *l, int (*take)(struct loop *l, int take_fd));

/* Accepts from it, at once or as soon as listeners_open() was called. 0 or -errno. */
int listeners_add(struct listeners *ls, int take_fd);

int listeners_open(struct listeners *ls);

/* There may be room for another connection. */
void listeners_resume(struct listeners *ls);

/* Those bound to this port are closed; who waits in their backlog is taken. */
void listeners_drop(struct listeners *ls, unsigned port);

/* All of them. */
void listeners_close(struct listeners *ls, bool take_waiting);

/* The last of the handles, so that the loop may run out. */
void listeners_end(struct listeners *ls);

void listeners_free(struct listeners *ls); /* NULL: nothing */

#endif
