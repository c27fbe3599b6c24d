/* SPDX-License-Identifier: Apache-2.0 */
/* recon.h -- the filter that answers below /recon/ (http-api 18): what monitoring asks a node.
 *
 * Any method is answered as GET (HEAD without a body); nothing of it is in the access log. What
 * must be read is read on a thread of its own (server/offload.h): a disk that hangs delays the
 * answer about itself and nothing else; when OFFLOAD_MOST such questions wait, more get 503.
 *
 * Loop thread. Answers the request and ends it. */
#ifndef OBJSRV_RECON_H
#define OBJSRV_RECON_H

#include "server/http/request.h"

void recon_answer(struct request *r);

#endif
