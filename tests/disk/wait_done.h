/* SPDX-License-Identifier: Apache-2.0 */
/* wait_done.h -- drives a disk until a counter of done() calls gets there.
 * Include after cmocka.h. Fails the test instead of hanging. */
#ifndef OBJSRV_TESTS_DISK_WAIT_DONE_H
#define OBJSRV_TESTS_DISK_WAIT_DONE_H

#include "diskfile/disk/disk.h"
#include <errno.h>
#include <poll.h>

static inline void wait_done(struct disk *d, const unsigned *done_calls, unsigned goal)
{
    struct pollfd pollfd = {.fd = d->fd(d), .events = POLLIN};
    while (*done_calls < goal) {
        d->flush(d);
        int r = poll(&pollfd, 1, 30000);
        if (r == 0)
            fail_msg("%s: %u of %u chains done", d->name, *done_calls, goal);
        if (r < 0 && errno != EINTR)
            fail_msg("poll: errno %d", errno);
        d->reap(d);
    }
}

#endif
