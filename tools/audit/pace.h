/* SPDX-License-Identifier: Apache-2.0 */
/* pace.h -- gives way when a device is busy with its clients.
 *
 * The latency of the auditor's own reads says how busy a disk is. Above the limit the auditor
 * rests after each read, the longer the slower the disk: at twice the limit it works half of
 * the time, at four times a quarter. One struct pace per device, shared by its workers. */
#ifndef OBJSRV_PACE_H
#define OBJSRV_PACE_H

#include <stdatomic.h>
#include <stdint.h>

#define PACE_REST_MAX_S 2.0

struct pace {
    double limit_s;          /* 0: never rests */
    atomic_ullong smooth_ns; /* moving average of the latency */
    atomic_ullong rested_us; /* in all */
};

void pace_init(struct pace *p, double limit_s);

/* Notes a read and returns for how long to rest. Pure but for the pace. */
double pace_note(struct pace *p, double latency_s);

/* The same, and rests. */
void pace_read(struct pace *p, double latency_s);

/* ionice and nice of this thread and of all it will start; 0 or -errno. Class names are Swift's;
 * "none" leaves it as it is. -EINVAL: no such class. */
int pace_set_priority(const char *io_class, int io_priority, int nice_priority);

#endif
