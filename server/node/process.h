/* SPDX-License-Identifier: Apache-2.0 */
/* process.h -- what a server process sets up for itself: limits, user, session, stdio.
 *
 * All from main(), before any other thread exists. 0 or -errno. */
#ifndef OBJSRV_PROCESS_H
#define OBJSRV_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* Open files: as many as the hard limit allows. */
int process_raise_nofile(void);

/* Session, umask 022, current directory "/". `own_session` false: stays with its terminal. */
int process_detach(bool own_session);

/* User, group, supplementary groups, HOME. -ENOENT: no such user. */
int process_become(const char *user);

/* READY=1 to the socket that NOTIFY_SOCKET names; 0 if it names none. */
int process_notify(const char *state);

/* stdin, stdout, stderr to /dev/null: who started the server reads them until they end. */
int process_close_stdio(void);

#endif
