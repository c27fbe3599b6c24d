/* SPDX-License-Identifier: Apache-2.0 */
/* successor.h -- starting the program anew beside the server that runs.
 *
 * The new process is our child: it gets the same arguments, in the directory where we were started,
 * from the file that has our name now (a new version, after an upgrade), with the estate as its
 * descriptors from number 3 on (inherit.h) and standard input, output and error as ours. Everything
 * else is closed by exec. It dies with us.
 *
 * Main thread; other threads may run. */
#ifndef OBJSRV_SUCCESSOR_H
#define OBJSRV_SUCCESSOR_H

#include "server/node/inherit.h"
#include <stdbool.h>
#include <sys/types.h>

struct program {
    char **argv;     /* borrowed from main() */
    char *path;      /* absolute, symbolic links as they are */
    char *directory; /* where it was started */
};

/* Before chdir(). 0 or -errno; free it by program_release(), also half made. */
int program_note(char **argv, struct program *ret);
void program_release(struct program *p);

/* swift-reload looks for ".../bin/swift-object-server" among the arguments, but who finds a
 * program on PATH need not say where. If we have that name without a path, starts us again with
 * one, in this very process; returns if not. Before anything is open. */
void program_spell_out(const struct program *p);

/* Started as swift-object-server? */
bool program_is_swifts(const struct program *p);

/* Lends the estate; one INHERIT_CONTROL is in it. 0 and the process id, or -errno. */
int successor_start(const struct program *p, const struct inheritance *estate, pid_t *ret_pid);

#endif
