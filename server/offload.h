/* SPDX-License-Identifier: Apache-2.0 */
/* offload.h -- work that may block (a look at every disk, a file somewhere), away from the loop.
 *
 *   offload_run(o, work, run, done) -> run(work) on a thread of its own -> done(work) on the loop
 *   offload_forget(work)            from then on done() does not come
 *
 * A disk that hangs may hold a thread for ever; it holds nothing else: the request is let go by
 * offload_forget(), the loop can end, and OFFLOAD_MOST bounds how many such threads there are.
 *
 * Ownership: `work` is embedded in the heap memory of its user, who gives it by offload_run() and
 * has it back in done(), or never after offload_forget(): then work->free frees it wherever
 * run() ended. So run() must look at nothing that may die with a request, a loop or the
 * configuration.
 * Threads: offload_new(), offload_close(), offload_run(), offload_forget() on the loop. */
#ifndef OBJSRV_OFFLOAD_H
#define OBJSRV_OFFLOAD_H

#include <stdbool.h>
#include <uv.h>

enum { OFFLOAD_MOST = 16 }; /* threads at once, of all loops together */

struct offload;

struct offload_work {
    void (*run)(struct offload_work *work);  /* on a thread of its own */
    void (*done)(struct offload_work *work); /* on the loop */
    void (*free)(struct offload_work *work);
    struct offload *owner;
    struct offload_work *next;
    bool forgotten;
};

struct offload *offload_new(uv_loop_t *uv); /* NULL: no memory */
/* The loop ends. What still runs is on its own. */
void offload_close(struct offload *o);

/* -EBUSY: too many run already. -EAGAIN: no thread to be had. `work` stays yours then. */
int offload_run(struct offload *o, struct offload_work *work);
void offload_forget(struct offload_work *take_work);

#endif
