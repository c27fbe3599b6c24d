/* SPDX-License-Identifier: Apache-2.0 */
/* send.h -- an object's bytes on their way to the client.
 *
 * What lies in df_object_first() goes out in one reply_send_lent(). Anything longer is
 * streamed through two blocks: one is read from the disk while the other is written to the
 * socket, so a slow client stops the disk and memory stays bounded. With several ranges a
 * block begins with the text that precedes its part.
 *
 * S1  The object is closed, and request_done() called, only with neither a read nor a
 *     write in flight.
 * S2  The head leaves with the first bytes: if these cannot be read the reply is 404 (damaged)
 *     or 5xx. A later read that fails ends in reply_abort(): the client sees a short body,
 *     never a wrong one. */
#ifndef OBJSRV_SEND_H
#define OBJSRV_SEND_H

#include "diskfile/diskfile.h"
#include "server/http/request.h"
#include "server/verbs/range.h"

struct send;

/* After reply_begin() and all headers. Sends `set` (at least one range; with more than one,
 * `multipart` describes the parts) and ends the request, closing `o`; `device` is for 507. `set`
 * and `multipart` live in the arena. Sets r->handler and r->state. */
void send_object(struct request *r, struct df_object *o, struct slice device,
                 const struct range_set *set, const struct multipart *multipart);

#endif
