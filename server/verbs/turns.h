/* SPDX-License-Identifier: Apache-2.0 */
/* turns.h -- stand-alone mode: who changes one key does so one after the other.
 *
 * The server gives a version its time just before it is committed. Between the two another
 * writer of the same key could get a later time and be faster, and the first would have to be
 * refused for no fault of its client's. So a writer takes the key's turn before it asks for the
 * time and gives it back when the disk has answered. The partition's lock on disk, under which
 * the judge looks again, is what makes conditions right; turns only make refusals rare.
 *
 * Nobody waits for another key's turn, which may lie on a disk that hangs: turns are told apart
 * by 64 bits of hash. Waiting is looking again each millisecond: a hot key is rare.
 * Threads: take and give on the request's loop; the turns are shared by all loops. */
#ifndef OBJSRV_TURNS_H
#define OBJSRV_TURNS_H

#include "diskfile/diskfile.h"

struct loop;

/* Zeroed before its first use; stays where it is while it is held. */
struct turn {
    uint64_t key;
    bool held;
    struct turn *next; /* that is held */
};

/* granted() is called once: within the call if nobody has the turn, else later. Without memory
 * to wait it is called without the turn. */
void turn_take(struct turn *turn, struct loop *loop, const struct df_name *name,
               void (*granted)(void *arg), void *arg);
void turn_give(struct turn *turn); /* also when it is not held */

#endif
