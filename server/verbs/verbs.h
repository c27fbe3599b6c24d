/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h -- what each method does.
 *
 * router_dispatch() is called by the connection with a request whose head has been read. It
 * answers by itself or hands over to one verb; from then on request.h's rules hold. */
#ifndef OBJSRV_VERBS_H
#define OBJSRV_VERBS_H

#include "server/http/request.h"

void router_dispatch(struct request *r);

/* Swift mode: a request that came in the body of another (http/subrequest.h), past the filters. */
void router_dispatch_part(struct request *r);

#endif
