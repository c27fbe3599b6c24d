/* SPDX-License-Identifier: Apache-2.0 */
/* repr.h -- bytes and texts as Python prints them, since that is how errors travel in SSYNC.
 *
 * Pure. The text is in the arena; NULL: no memory. */
#ifndef OBJSRV_SSYNC_REPR_H
#define OBJSRV_SSYNC_REPR_H

#include "server/http/arena.h"

/* b'...' */
const char *repr_bytes(struct arena *a, struct slice bytes);
/* '...': each byte is a code point of Latin-1, as in Swift's header values; the result is UTF-8. */
const char *repr_text(struct arena *a, struct slice text);

#endif
