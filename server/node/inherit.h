/* SPDX-License-Identifier: Apache-2.0 */
/* inherit.h -- descriptors that this process was started with.
 *
 * systemd's protocol for socket activation: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, descriptors
 * from number 3 on. A reload uses it too, with names of its own (below), from the old process to
 * the new.
 *
 * Ownership: inherit_take() makes the descriptors ours, closed by exec; whoever uses one sets its
 * place to -1. inherit_close() closes what nobody wanted. From main(), before any thread; but an
 * estate for a successor is gathered with inherit_add() at any time, by the main thread. */
#ifndef OBJSRV_INHERIT_H
#define OBJSRV_INHERIT_H

#include <stddef.h>

#define INHERIT_FIRST_FD 3

enum inherit_kind {
    INHERIT_ACTIVATED, /* a socket that systemd listens on: any name but the following */
    INHERIT_LISTEN,    /* a socket of the old process */
    INHERIT_LOCK,      /* of its data directories */
    INHERIT_CONTROL    /* to the process that started this one: control.h */
};

struct inherited {
    int fd; /* -1: taken */
    enum inherit_kind kind;
};

struct inheritance {
    struct inherited *items;
    unsigned count;
};

const char *inherit_name(enum inherit_kind kind);

/* Nothing handed over: 0 and no items. The environment is clean of LISTEN_* afterwards. */
int inherit_take(struct inheritance *ret, char *problem, size_t problem_len);

/* The first of this kind, taken, or -1. */
int inherit_one(struct inheritance *all, enum inherit_kind kind);

/* `take_fd` is given, also if there is no memory for it (-ENOMEM). */
int inherit_add(struct inheritance *all, int take_fd, enum inherit_kind kind);
int inherit_add_copy(struct inheritance *all, int fd, enum inherit_kind kind);

void inherit_close(struct inheritance *all);

#endif
