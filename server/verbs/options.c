/* SPDX-License-Identifier: Apache-2.0 */
/* options.c -- OPTIONS (http-api 14). swift-recon wants "object-server" before the slash. */
#include "server/loop.h"
#include "server/verbs/answer.h"
#include "server/verbs/target.h"

void options_swift(struct request *r)
{
    const char *allow = r->loop->config->replication_server
                            ? "DELETE, GET, HEAD, OPTIONS, POST, PUT, REPLICATE, SSYNC"
                            : "DELETE, GET, HEAD, OPTIONS, POST, PUT";
    reply_begin(r, 200);
    reply_header(r, "Allow", slice_of(allow));
    reply_header(r, "Server", SLICE("object-server/" OBJSRV_VERSION));
    answer_with_nothing(r);
}
