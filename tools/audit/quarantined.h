/* SPDX-License-Identifier: Apache-2.0 */
/* quarantined.h -- what lies in <device>/quarantined/objects[-N]/: list, put back, throw away.
 *
 * Each prints what it does; exit statuses as those of an audit: 0 nothing to do, 1 done, 2 not
 * all of it. */
#ifndef OBJSRV_QUARANTINED_H
#define OBJSRV_QUARANTINED_H

#include "tools/audit/device.h"

int quarantined_list(struct settings *s, struct device_list *devices, bool json);

/* `names`: as listed (hash, or hash-uuid), or "all"; NULL-terminated. Everything is checked
 * afresh, body included, and goes back only if it is good and its place is free. */
int quarantined_restore(struct settings *s, struct device_list *devices, const char *const *names,
                        bool dry_run);

/* `older_than`: "30d", "12h", "600s", since it was put away. */
int quarantined_purge(struct settings *s, struct device_list *devices, const char *older_than,
                      bool dry_run);

/* Seconds, or -1: not understood. */
double quarantined_age(const char *text);

#endif
