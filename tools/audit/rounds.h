/* SPDX-License-Identifier: Apache-2.0 */
/* rounds.h -- which passes run beside each other, once or for ever (replication-and-audit 4.1).
 *
 * One ZBF pass, unless its rate is 0, and beside it ALL passes: one over all devices, or with
 * concurrency > 1 one for each device, so many at a time. The daemon starts the ZBF pass again,
 * after `interval`, as long as ALL passes run; and everything again after `interval`. */
#ifndef OBJSRV_ROUNDS_H
#define OBJSRV_ROUNDS_H

#include "tools/audit/pass.h"

struct rounds_options {
    bool zbf_only;   /* -z */
    bool sweep_only; /* --sweep */
    bool named;      /* --devices: reports are kept by device */
    bool progress;   /* a bar on the terminal */
    bool table;      /* a summary on stdout at the end */
};

enum rounds_result {
    ROUNDS_CLEAN = 0,
    ROUNDS_FOUND = 1,      /* and handled */
    ROUNDS_UNFINISHED = 2, /* stopped, or something could not be examined */
    ROUNDS_FUSE = 3        /* a fuse is blown */
};

/* Until halted if run->once is not set: then ROUNDS_CLEAN. */
enum rounds_result rounds_run(struct run *run, struct device_list *devices,
                              const struct rounds_options *options);

#endif
