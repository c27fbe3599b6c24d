/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h -- whole replies that end a request: each calls request_done().
 *
 * In stand-alone mode a refusal is one line of text/plain; towards Swift it is the body that
 * http-api 4 gives. */
#ifndef OBJSRV_ANSWER_H
#define OBJSRV_ANSWER_H

#include "server/verbs/checks.h"
#include "server/verbs/conditions.h"

bool is_head(const struct request *r);

void answer_refusal(struct request *r, const struct refusal *why);
void answer_status(struct request *r, int status); /* default body */
void answer_plain(struct request *r, int status, const char *text);
void answer_missing(struct request *r); /* 404 */

/* What the disk said. `device` is named in 507. */
void answer_errno(struct request *r, int err, struct slice device);

/* A reply of a verb's own headers: reply_begin(), reply_header()..., then one of these. */
void answer_with_default(struct request *r, int status); /* the default body of the status */
void answer_with_text(struct request *r, const char *text, const char *content_type);
void answer_with_nothing(struct request *r); /* Content-Length: 0, type text/html */

/* If-Match and the others of this request. */
struct conditions conditions_of(const struct request *r);

#endif
