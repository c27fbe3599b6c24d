/* SPDX-License-Identifier: Apache-2.0 */
/* update.h -- one message to container servers: sent, or left on the disk for later.
 *
 *   update_new -> (fill in) -> update_start -> settled()
 *                                   `-> each target: client -> 2xx | async_pending
 *
 * U1  An update outlives the request that caused it: it ends when every target has answered
 *     with 2xx or its async_pending is written, whatever becomes of the client, and a graceful
 *     stop waits for it. A hard stop ends the sending at once, not the writing.
 * U2  settled() comes once: when all is over, or after wait_ms if that is sooner. Without
 *     memory that may be within update_start(): let this be the last thing done.
 *
 * Threads: the loop's. Ownership: an update frees itself. */
#ifndef OBJSRV_UPDATE_H
#define OBJSRV_UPDATE_H

#include "server/http/arena.h"
#include "server/loop.h"
#include "server/updates/targets.h"

/* A loop's share: its connections to container servers and what is under way. */
struct updates;

/* idle() is called whenever the last update under way has ended. */
int updates_open(struct loop *loop, void (*idle)(struct loop *loop), struct updates **ret_updates);
bool updates_idle(const struct updates *u);
/* The sending ends now; what is not told goes to the disk. */
void updates_stop(struct updates *u);
/* Idle only. The handles close; free it when uv_run() has returned. */
void updates_close(struct updates *u);
void updates_free(struct updates *u);

struct update_sending;

struct update {
    /* Filled in by the caller; slices and the array in `arena`, which the update owns. */
    struct arena *arena;
    const char *op; /* static: "PUT" or "DELETE" */
    struct slice account, container, object;
    struct slice container_path; /* explicit, or empty */
    struct targets targets;      /* at least one */
    bool one_by_one;             /* a target is told when the one before it is through */
    struct metadata headers;
    struct slice device; /* where it is left if need be ... */
    unsigned policy;     /* ... and under which policy */
    struct timestamp timestamp;
    struct slice trans_id; /* for the log */

    /* update.c's own. */
    struct updates *owner;
    struct update *prev, *next;
    struct update_sending *sendings;
    unsigned open, started;
    struct update_sending *saves; /* the first is being written, the others wait */
    bool is_saved;                /* with ... */
    struct slice saved_path;
    void (*settled)(void *arg);
    void *arg;
    uv_timer_t wait;
};

struct update *update_new(struct updates *u); /* NULL: no memory */
void update_drop(struct update *up);          /* instead of update_start() */

/* wait_ms 0: settled() comes at the end. On -ENOMEM the update is lost, said in the log, and
 * settled() never comes. */
int update_start(struct update *up, uint64_t wait_ms, void (*settled)(void *arg), void *arg);

/* Pure: what a 301 says. "account/container" in the arena, or empty with the problem in words (NULL
 * if there is no Location, which is no problem). */
struct client_reply;
struct slice redirect_path(struct arena *a, const struct client_reply *reply,
                           const char **ret_problem);

#endif
