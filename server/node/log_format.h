/* SPDX-License-Identifier: Apache-2.0 */
/* log_format.h -- the access line from a template, as Swift's log_format (http-api 20.1).
 *
 *   {method} {time.Y} {path.anonymized} {trans_time:.4f} {status:>5}  "{{" and "}}" are braces
 *
 * What is absent, empty or zero shows as "-". A template is checked when the configuration is
 * read and compiled by log_format_set() before the first thread starts; then it is read only.
 * Not here: the default line, which access.c writes without a template. */
#ifndef OBJSRV_LOG_FORMAT_H
#define OBJSRV_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* Empty is good. -EINVAL, and what was expected. */
int log_format_check(const char *template, char *expected, size_t expected_len);
bool log_digest_known(const char *name);

/* Empty: no template any more. -ENOMEM. */
int log_format_set(const char *template, const char *digest, const char *salt);
bool log_format_is_set(void);

/* Whole, or as much as there is room for; returns its length. */
size_t log_format_line(const struct request *r, uint64_t took_ns, char *text, size_t room);

#endif
