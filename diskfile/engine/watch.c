/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c -- see watch.h. */
#include "diskfile/engine/watch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define CHANGES                                                                                    \
    (IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF)

int watch_open(void)
{
    int set = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return set < 0 ? -errno : set;
}

int watch_add(int set, int dirfd)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
    int number = inotify_add_watch(set, path, CHANGES | IN_ONLYDIR);
    return number < 0 ? -errno : number;
}

void watch_remove(int set, int number)
{
    (void)inotify_rm_watch(set, number); /* EINVAL: it ended by itself */
}

void watch_read(int set, void (*changed)(void *arg, int number), void *arg)
{
    _Alignas(struct inotify_event) char events[4096];
    for (;;) {
        ssize_t len = read(set, events, sizeof(events));
        if (len <= 0)
            return;
        for (const char *at = events; at < events + len;) {
            const struct inotify_event *event = (const void *)at;
            changed(arg, event->mask & IN_Q_OVERFLOW ? WATCH_EVERYTHING : event->wd);
            at += sizeof(*event) + event->len;
        }
        /* What did not fit is there now; what comes after this read is after it. */
        if ((size_t)len + sizeof(struct inotify_event) + 256 < sizeof(events))
            return;
    }
}
