/* SPDX-License-Identifier: Apache-2.0 */
/* float_text.h -- a double as Python writes it: the fewest digits that read back the same. */
#ifndef OBJSRV_FLOAT_TEXT_H
#define OBJSRV_FLOAT_TEXT_H

#define FLOAT_TEXT_MAX 32

/* "0.8", "1e+16", "NaN", "-Infinity"; always with a point, an exponent or a name. Returns `text`.
 */
char *float_text(double value, char text[FLOAT_TEXT_MAX]);

#endif
