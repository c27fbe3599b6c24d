/* SPDX-License-Identifier: Apache-2.0 */
/* server.h -- the parts of the running program, between main.c (start) and oversee.c (until the
 * end). */
#ifndef OBJSRV_SERVER_H
#define OBJSRV_SERVER_H

#include "diskfile/diskfile.h"
#include "server/loop.h"
#include "server/node/config.h"
#include "server/node/inherit.h"
#include "server/node/listen.h"
#include "server/node/ring.h"
#include "server/successor.h"
#include <signal.h>

#define PROBLEM_MAX 2048

struct server {
    struct program program;
    struct config *config;
    struct inheritance from;  /* what we were started with and is not used yet */
    int control;              /* to the process that started us at its reload, or -1 */
    struct ring_ports *rings; /* servers_per_port, else NULL */
    struct listen_set listeners;
    struct df_store *store;
    struct loop **loops;
    unsigned loop_count;
    bool verbose;   /* the log goes to stderr because somebody wants that */
    bool abandoned; /* loops run on, in a disk that hangs: nothing that they use may be freed */
    char problem[PROBLEM_MAX];
};

/* The signals that oversee() takes; blocked in every thread. */
void oversee_signals(sigset_t *ret);

/* Serves, reloads, and returns the program's exit status when all has ended. The loops are joined
 * and the store is closed then, unless they were abandoned. */
int oversee(struct server *s);

/* Stops the loops, joins them, closes the store. */
void server_end(struct server *s);

#endif
