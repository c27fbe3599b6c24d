/* SPDX-License-Identifier: Apache-2.0 */
/* unsupported.h -- what this server does not do yet, said aloud: 501, or a line in the log. */
#ifndef OBJSRV_UNSUPPORTED_H
#define OBJSRV_UNSUPPORTED_H

#include "server/http/request.h"

/* Answers 501 with "<what> is not supported yet" and ends the request. */
void answer_unsupported(struct request *r, const char *what);

/* A PUT, POST or DELETE was done that Swift would link into the next part power's partition
 * too. A warning at most once a minute, DEBUG for each. */
void log_skipped_links(const struct request *r);

#endif
