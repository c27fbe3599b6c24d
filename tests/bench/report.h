/* SPDX-License-Identifier: Apache-2.0 */
/* report.h -- what one measured run came to, and its line of JSON.
 *
 * load and floor print the same keys, so that tools/bench can set them side by side. */
#ifndef OBJSRV_BENCH_REPORT_H
#define OBJSRV_BENCH_REPORT_H

#include "tests/bench/histogram.h"

struct report {
    const char *what;          /* "put", "get", "head", "floor short", ... */
    unsigned concurrency;      /* connections or threads */
    uint64_t errors;           /* requests that failed or answered wrongly; not in `latency` */
    uint64_t bytes;            /* of bodies, of good requests */
    uint64_t begin_ns, end_ns; /* first request begun, last one ended */
    struct histogram latency;  /* of good requests */
};

uint64_t report_now_ns(void); /* CLOCK_MONOTONIC */

/* The whole of several threads' reports. */
void report_add(struct report *total, const struct report *part);

/* To stdout. CPU is that of this process up to now. */
void report_print(const struct report *r);

#endif
