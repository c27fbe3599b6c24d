/* SPDX-License-Identifier: Apache-2.0 */
/* statsd.h -- Swift's metrics as datagrams (http-api 20.3), one each, to log_statsd_host.
 *
 * One non-blocking UDP socket for the process; what cannot be sent at once is counted and
 * dropped. Any thread. Without statsd_open(), or without log_statsd_host, all is silent.
 * Names: [<log_statsd_metric_prefix>.]<log_name>.<metric>. */
#ifndef OBJSRV_STATSD_H
#define OBJSRV_STATSD_H

#include "diskfile/slice.h"
#include "server/metrics/metrics.h"

struct config;

int statsd_open(const struct config *c); /* -EHOSTUNREACH, ...: nothing is sent then */
void statsd_close(void);
bool statsd_is_on(void);

void statsd_count(const char *name); /* by one, at the default rate */

/* "<VERB>.timing", or "<VERB>.errors.timing" from 500 on; at the verb's rate. */
void statsd_request(enum metric_verb verb, int status, uint64_t took_ns);

/* "PUT.<device>.timing": milliseconds for each kilobyte. */
void statsd_put_rate(struct slice device, uint64_t write_ns, uint64_t bytes);

#endif
