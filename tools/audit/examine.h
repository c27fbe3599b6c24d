/* SPDX-License-Identifier: Apache-2.0 */
/* examine.h -- one hash directory: good, damaged, deleted, or not to be told.
 *
 * The verdicts are the engine's (hashdir_load()) and the checksum's; what follows from them
 * here is quarantine, within the fuse. Blocking. */
#ifndef OBJSRV_EXAMINE_H
#define OBJSRV_EXAMINE_H

#include "tools/audit/pass.h"

/* w->place is the directory. Counts, reports, quarantines, sweeps what is in it. */
void examine(struct worker *w);

#endif
