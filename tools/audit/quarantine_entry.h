/* SPDX-License-Identifier: Apache-2.0 */
/* quarantine_entry.h -- one thing in quarantine: for quarantined.c and restore.c. */
#ifndef OBJSRV_QUARANTINE_ENTRY_H
#define OBJSRV_QUARANTINE_ENTRY_H

#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/quarantine_note.h"
#include "tools/audit/device.h"
#include "tools/audit/listing.h"

struct quarantine_entry {
    struct device *device;
    const struct df_policy *policy;
    const char *name; /* <hash>, <hash>-<uuid>, or of whatever else was moved */
    enum entry_kind kind;
    int parent_fd;
    char path[PATH_MAX];
    bool noted; /* by us: else only the time is filled, from the inode */
    struct quarantine_note note;
};

/* Of all devices and policies; `e` and all in it is lent for the call. A negative result ends
 * that directory. Returns the first error. */
int quarantine_each(struct settings *s, struct device_list *devices,
                    int (*each)(void *arg, const struct quarantine_entry *e), void *arg);

#endif
