/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h -- the kernel's word on what changed in a directory (inotify(7)).
 *
 * An event is queued inside the very system call that makes the change, before that call
 * returns, whoever makes it: after watch_read() no change that anybody was told of is unknown.
 * Not seen are: writes through a mapping, and what happens to the directories above.
 *
 * A watch holds no file system busy: it ends, with an event, when that is unmounted.
 * One thread at a time. */
#ifndef OBJSRV_WATCH_H
#define OBJSRV_WATCH_H

#define WATCH_EVERYTHING (-1) /* events were lost: anything may have changed */

/* The descriptor of an empty set, to be closed by close(2). -EMFILE: fs.inotify's
 * max_user_instances are in use. */
int watch_open(void);

/* Watches this directory (it may be open as a path only) and its files. Returns the number that
 * events will carry: the same one for the same directory, never one that was in use before.
 * -ENOSPC: fs.inotify's max_user_watches are in use. */
int watch_add(int set, int dirfd);
void watch_remove(int set, int number);

/* Calls `changed` with the number of each directory that changed, or WATCH_EVERYTHING; numbers
 * that were removed may come once more. Never waits. */
void watch_read(int set, void (*changed)(void *arg, int number), void *arg);

#endif
