/* SPDX-License-Identifier: Apache-2.0 */
/* log_format.h -- a request's access line by the template in use (log_template.h).
 *
 * What is absent, empty or zero shows as "-".
 * Not here: the default line, which access.c writes without a template. */
#ifndef OBJSRV_LOG_FORMAT_H
#define OBJSRV_LOG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

struct request;

/* Whole, or as much as there is room for; returns its length. A template is set. */
size_t log_format_line(const struct request *r, uint64_t took_ns, char *text, size_t room);

#endif
