/* SPDX-License-Identifier: Apache-2.0 */
/* log.h -- lines for the operator.
 *
 * To syslog by a non-blocking datagram socket that counts what it drops, or to stderr (a
 * terminal, --foreground, no /dev/log). Any thread; one line per call; newline becomes #012.
 * The access line is written here too, from a finished request. */
#ifndef OBJSRV_LOG_H
#define OBJSRV_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct config;
struct request;

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

void log_force_stderr(void); /* before log_open(): whatever the options say */
int log_open(const struct config *c);
void log_close(void);
bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_plain(enum log_level level, const char *text); /* as it stands */
uint64_t log_dropped(void);
pid_t log_pid(void); /* of the process that called log_open(), without asking the kernel */

/* From begin to end, this thread's lines to syslog wait for log_batch_flush(), which it calls
 * before it sleeps: to wake syslog's daemon for each line costs more than a small GET. Warnings
 * and errors do not wait, nor does what stands before them. What syslog's queue has no room for
 * (ten lines, where systemd has not raised it) is kept up to some 256 lines and sent by a later
 * flush; how many were kept is returned. The end waits for them a tenth of a second. */
void log_batch_begin(void);
unsigned log_batch_flush(void);
void log_batch_end(void);

bool log_is_stderr(void); /* not to syslog */

/* http-api 20.1: INFO, or DEBUG for REPLICATE, SSYNC and X-Backend-Replication. */
void log_access(const struct request *r);

#endif
