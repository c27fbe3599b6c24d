/* SPDX-License-Identifier: Apache-2.0 */
/* number.h -- integers as Python's int(text, base) reads them, since that is what Swift does
 * with the numbers in file names and timestamps.
 *
 * Accepted: blanks around, one sign, "0x" in base 16, single '_' between digits. ASCII only.
 * Pure. */
#ifndef OBJSRV_NUMBER_H
#define OBJSRV_NUMBER_H

#include "diskfile/slice.h"
#include <stdint.h>

struct number {
    uint64_t magnitude;
    bool negative; /* never for zero */
};

/* `base` is 10 or 16. 0, -EINVAL: not a number, -ERANGE: more than 64 bits. */
int number_parse(struct slice text, unsigned base, struct number *ret_number);

/* Writes `value` in decimal, zeros in front up to `width` digits; no NUL. Returns the end: room for
 * NUMBER_DIGITS_MAX or `width`, if that is more. What each answer holds several times: printf's
 * %0*llu takes ten times as long. */
#define NUMBER_DIGITS_MAX 20
char *number_write(char *at, uint64_t value, unsigned width);

/* Without the ASCII blanks around it. */
struct slice number_strip(struct slice text);

#endif
