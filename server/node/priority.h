/* SPDX-License-Identifier: Apache-2.0 */
/* priority.h -- nice_priority, ionice_class and ionice_priority.
 *
 * For the calling thread and those it makes: call it before there are any, while still root. As in
 * Swift a priority that the kernel refuses is a warning, not a reason not to serve. */
#ifndef OBJSRV_PRIORITY_H
#define OBJSRV_PRIORITY_H

#include "server/node/config.h"

/* The value for ionice_class: 1 to 3, or 0 if it is none of Swift's three words. */
int priority_io_class(const char *word);

void priority_apply(const struct config *c);

#endif
