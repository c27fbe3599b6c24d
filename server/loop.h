/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h -- one worker: a thread with its own listener, libuv loop, disk back end.
 *
 * Loops share the configuration (read only), the store, and nothing else on the hot path.
 * Threads: loop_start(), loop_stop() and what says "any thread" from main; everything else on the
 * loop's thread. */
#ifndef OBJSRV_LOOP_H
#define OBJSRV_LOOP_H

#include "diskfile/diskfile.h"
#include "server/node/config.h"
#include <uv.h>

struct conn;
struct metrics;
struct updates;
struct offload;

struct loop {
    unsigned index;
    const struct config *config;
    struct df_store *store;
    struct df_thread *disk;
    struct updates *updates; /* to container servers */
    uv_loop_t uv;
    char date[32];           /* IMF-fixdate of this second: loop_date() */
    struct metrics *metrics; /* this loop's; may be NULL */
    struct offload *offload;
    struct conn *conns; /* all open connections */
    unsigned conn_count;
    bool stopping;
    bool draining; /* stopping, but idle connections may ask once more: loop_drain() */
    /* loop.c's and conn.c's own */
    struct loop_private *own;
};

/* The current second as IMF-fixdate; cheap to call per reply. */
const char *loop_date(struct loop *l);

/* `fds`: listening sockets, given. One thread per loop. 0 or -errno. */
int loop_start(unsigned index, const struct config *config, struct df_store *store,
               const int *take_fds, unsigned fd_count, struct loop **ret_loop);
/* Any thread. graceful: finish requests in flight (at most config stop_timeout), no new ones. */
void loop_stop(struct loop *l, bool graceful);
/* Any thread: another process has these sockets too and goes on. Accepts no more and closes nobody
 * who might just be asking: each connection gets one more reply, which says "Connection: close", or
 * ends by client_timeout as ever. After `most_s` seconds they are closed. */
void loop_drain(struct loop *l, double most_s);
/* Any thread: a further socket to accept from, given. */
void loop_listen(struct loop *l, int take_fd);
/* Any thread: no more from sockets bound to this port; who waits in their backlog is served. */
void loop_unlisten(struct loop *l, unsigned port);
/* Any thread: prints every request, disk operation and container update in flight, with its step
 * and age, to the log. */
void loop_dump(struct loop *l);
/* The thread is done, loop_join() will not wait. The process gets a SIGCHLD when that happens, as
 * for the end of a child. */
bool loop_ended(const struct loop *l);
void loop_join(struct loop *l); /* waits and frees */

#endif
