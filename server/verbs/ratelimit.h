/* SPDX-License-Identifier: Apache-2.0 */
/* ratelimit.h -- the filter backend_ratelimit (http-api 18): so many requests per second for each
 * device, and for each device and method; more are answered 529.
 *
 * A worker counts for itself, as each of Swift's worker processes does. Rates come from
 * [filter:backend_ratelimit] and, before these, from backend_ratelimit_conf_path, which is looked
 * at anew every config_reload_interval on a thread of its own; a file that is wrong leaves the
 * rates as they are and is logged.
 *
 * Loop thread, but for ratelimit_open(): before the first loop. */
#ifndef OBJSRV_RATELIMIT_H
#define OBJSRV_RATELIMIT_H

#include "server/http/request.h"

struct config;

/* Sets the rates and reads the file for the first time: 0, or what is wrong with it. */
int ratelimit_open(const struct config *c, char *problem, size_t problem_len);

bool ratelimit_allows(struct request *r); /* takes one from the buckets */
void ratelimit_answer(struct request *r); /* 529 */

#endif
