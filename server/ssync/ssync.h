/* SPDX-License-Identifier: Apache-2.0 */
/* ssync.h -- the receiver's side of SSYNC, by which Swift's daemons bring objects to a node.
 *
 * The router hands a request over whose policy is known; the rest is session.h's. */
#ifndef OBJSRV_SSYNC_H
#define OBJSRV_SSYNC_H

#include "server/http/request.h"
#include "server/node/config.h"

/* Answers and ends the request. */
void ssync_start(struct request *r, const struct config_policy *policy);

#endif
