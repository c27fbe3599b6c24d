/* SPDX-License-Identifier: Apache-2.0 */
/* log_catcher.h -- a syslog of a test's own: a datagram socket that the server's log writes to.
 *
 * catcher_open -> log_open_beside -> log_line... -> catcher_next -> catcher_close */
#ifndef OBJSRV_LOG_CATCHER_H
#define OBJSRV_LOG_CATCHER_H

#include "server/node/config.h"

struct catcher {
    int fd;
    char path[64];
    struct config config; /* only what the log looks at; change it before log_open_beside() */
};

void catcher_open(struct catcher *c);
void catcher_bind(struct catcher *c); /* anew, under the same name */
void catcher_unbind(struct catcher *c);
void catcher_close(struct catcher *c);

/* log_open() while stderr is no terminal. */
void log_open_beside(const struct catcher *c);

/* The next datagram, or NULL if there is none. Borrowed until the next call. */
const char *catcher_next(struct catcher *c);

#endif
