/* SPDX-License-Identifier: Apache-2.0 */
/* timestamp.h -- Swift's time of an operation, which orders all versions of an object.
 *
 * A count of 10 microseconds since 1970 and an offset that breaks ties; ordered by
 * (ticks, offset). Text forms (on-disk-format 3):
 *   normal    1700000000.12345
 *   internal  1700000000.12345, or 1700000000.12345_00000000000000ff with an offset
 *   short     1700000000.12345, or 1700000000.12345_ff
 * Pure functions: no clock, no allocation. */
#ifndef OBJSRV_TIMESTAMP_H
#define OBJSRV_TIMESTAMP_H

#include "diskfile/slice.h"
#include <stdint.h>

#define TIMESTAMP_TICKS_PER_S 100000u
#define TIMESTAMP_TICKS_END   (10000000000ull * TIMESTAMP_TICKS_PER_S) /* first that does not fit */
#define TIMESTAMP_TEXT_MAX    40                                       /* any form, with its NUL */

struct timestamp {
    uint64_t ticks; /* 10 us */
    uint64_t offset;
};

/* Any form Swift accepts: float text (sign, exponent, blanks around it), optional
 * "_hex". Rounds to 5 decimals. 0, or -EINVAL: not a number, out of range (checked
 * after rounding), negative, inf, nan, hex float, two underscores, bad or negative offset. */
int timestamp_parse(struct slice text, struct timestamp *ret_ts);

/* <0, 0, >0 */
int timestamp_cmp(struct timestamp a, struct timestamp b);

static inline bool timestamp_is_zero(struct timestamp ts)
{
    return ts.ticks == 0 && ts.offset == 0;
}

/* Each writes NUL-terminated text and returns its length. */
int timestamp_normal(struct timestamp ts, char text[TIMESTAMP_TEXT_MAX]);
int timestamp_internal(struct timestamp ts, char text[TIMESTAMP_TEXT_MAX]);
int timestamp_short(struct timestamp ts, char text[TIMESTAMP_TEXT_MAX]);

/* Whole seconds, rounded up: what Last-Modified says. */
uint64_t timestamp_ceil_s(struct timestamp ts);

#endif
