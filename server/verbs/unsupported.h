/* SPDX-License-Identifier: Apache-2.0 */
/* unsupported.h -- what this server does not do yet, said aloud: 501. */
#ifndef OBJSRV_UNSUPPORTED_H
#define OBJSRV_UNSUPPORTED_H

#include "server/http/request.h"

/* Answers 501 with "<what> is not supported yet" and ends the request. */
void answer_unsupported(struct request *r, const char *what);

#endif
