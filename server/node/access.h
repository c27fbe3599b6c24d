/* SPDX-License-Identifier: Apache-2.0 */
/* access.h -- the log's lines about a request (log.h has those without). */
#ifndef OBJSRV_ACCESS_H
#define OBJSRV_ACCESS_H

#include "diskfile/slice.h"
#include "server/node/log.h"

/* One line while serving `r`: as log_line(), with " (txn: <X-Trans-Id>)" behind it unless the id
 * is in it already (http-api 20.2). */
void log_request(enum log_level level, const struct request *r, const char *text);

/* Percent-quoted as Swift quotes; `text` has room for 3 * len + 1. Returns the length. */
size_t access_quote(struct slice path, char *text);

#endif
