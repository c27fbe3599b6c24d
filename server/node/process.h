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

/* The owner and group of a file, without supplementary groups. */
int process_become_owner(const char *path);

/* stdin, stdout, stderr to /dev/null: who started the server reads them until they end. */
int process_close_stdio(void);

/* "1234\n", over whatever the file held. */
int process_write_pid(const char *path);

/* The absolute path of the program that was started by this argv[0], symbolic links left as they
 * are; yours to free. -ENOENT: not found on PATH. */
int process_own_path(const char *name, char **ret_path);

#endif
