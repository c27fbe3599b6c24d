/* SPDX-License-Identifier: Apache-2.0 */
/* halt.h -- the end of work, and the clocks.
 *
 * SIGTERM or SIGINT asks for a stop; everybody who loops looks at halted(), everybody who sleeps
 * does so here. Threads: any. */
#ifndef OBJSRV_HALT_H
#define OBJSRV_HALT_H

#include "diskfile/format/timestamp.h"
#include <stdbool.h>

void halt_init(void); /* first of all, in main() */
void halt_now(void);  /* wakes all sleepers */
bool halted(void);
void halt_sleep(double s); /* ends early at a stop */

double halt_monotonic_s(void);

/* The time of day, as far as it can be trusted: when the clock jumps forward while we run,
 * nothing grows old by it (a jump back makes everything young: then nothing goes either).
 * *ret_jumped_s, if not NULL: by how much the clock is ahead of that. All ages are counted from
 * it; what lasts (rates, rests, intervals, durations) is counted by halt_monotonic_s(). */
double trusted_now_s(double *ret_jumped_s);
struct timestamp trusted_now(void);

/* The rule of it. Pure. `boot_s`: of the clock that never jumps and counts suspended time. */
struct clock_reading {
    double real_s, boot_s;
};
double trusted_s(const struct clock_reading *start, const struct clock_reading *now,
                 double *ret_jumped_s);

#endif
