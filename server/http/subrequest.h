/* SPDX-License-Identifier: Apache-2.0 */
/* subrequest.h -- a request that came in another one's body, for the same verbs.
 *
 * To a verb it is a request as any other (request.h), only that it has no connection: whoever
 * took it out of the other body brings its bytes and gets its reply.
 *
 *   subrequest_new -> [ subrequest_reset -> (fill it in) -> router_dispatch_part
 *                       -> (subrequest_wants() -> subrequest_data | _end | _fail)* -> over() ]*
 *   -> subrequest_free
 *
 * Back-pressure: bytes are given only while subrequest_wants(). Each time it turns true,
 * calls.wants comes, maybe from within any function here or of the verb's; if there are bytes let
 * it give them before it returns. No filter sees it; the access log and the metrics do. Ownership:
 * what is filled in lives in the request's arena, until the next reset. Loop thread. Not here:
 * where the bytes come from. */
#ifndef OBJSRV_SUBREQUEST_H
#define OBJSRV_SUBREQUEST_H

#include "server/http/request.h"

struct subrequest;

struct subrequest_calls {
    void (*wants)(void *arg);
    size_t (*have)(const void *arg); /* bytes of its body that could be given at once */
    void (*over)(void *arg);         /* replied, and nothing in flight; its memory stays */
};

struct subrequest *subrequest_new(struct loop *loop, const struct subrequest_calls *calls,
                                  void *arg);
void subrequest_free(struct subrequest *s); /* never between dispatch and over(); NULL is fine */

/* A fresh request, for method, path, headers and the body's length. */
struct request *subrequest_reset(struct subrequest *s);

struct request *subrequest_request(struct subrequest *s); /* the one of the last reset */

bool subrequest_wants(const struct subrequest *s);
void subrequest_data(struct subrequest *s, const char *at, size_t len);
void subrequest_end(struct subrequest *s); /* the body was whole; only while it wants */
/* The rest will not come, as body_sink.failed(). Nothing if the verb does not read. */
void subrequest_fail(struct subrequest *s, int err);

/* After over(), until the next reset: the reply's body. The status is request.status. */
struct slice subrequest_reply(const struct subrequest *s);

#endif
