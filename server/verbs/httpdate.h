/* SPDX-License-Identifier: Apache-2.0 */
/* httpdate.h -- dates in headers. Pure.
 *
 * Read: IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT"), RFC 850 ("Sunday, 06-Nov-94 08:49:37
 * GMT"), asctime ("Sun Nov  6 08:49:37 1994"); case ignored. The weekday and the zone are not
 * looked at: everything is taken as UTC, as Swift does. Written: IMF-fixdate. */
#ifndef OBJSRV_HTTPDATE_H
#define OBJSRV_HTTPDATE_H

#include "diskfile/slice.h"
#include <stdint.h>

#define HTTPDATE_MAX 32

/* Seconds since 1970. -EINVAL: no date. */
int httpdate_parse(struct slice text, int64_t *ret_s);

/* NUL-terminated; returns the length. Years above 9999 are shown as 9999's last second. */
int httpdate_format(int64_t seconds, char text[HTTPDATE_MAX]);

#endif
