/* SPDX-License-Identifier: Apache-2.0 */
/* quarantine_note.h -- why and when an object was put away, kept with it.
 *
 * An extended attribute on what lies in <device>/quarantined/objects[-N]/. What Swift's own
 * daemons put there has none: then only the place says which object it was. */
#ifndef OBJSRV_QUARANTINE_NOTE_H
#define OBJSRV_QUARANTINE_NOTE_H

#include "diskfile/format/timestamp.h"
#include <limits.h>

#define XATTR_QUARANTINE          "user.objsrv.quarantine"
#define QUARANTINE_REASON_MAX     512
#define QUARANTINE_FROM_MAX       512
#define QUARANTINE_NOTE_BYTES_MAX (QUARANTINE_REASON_MAX + QUARANTINE_FROM_MAX + 64)

struct quarantine_note {
    struct timestamp time;
    char from[QUARANTINE_FROM_MAX]; /* below the device: objects/10/ad8/a2f4... */
    char reason[QUARANTINE_REASON_MAX];
};

/* `path` is not followed if it is a link. 0 or -errno. */
int quarantine_note_write(const char *path, const struct quarantine_note *note);

/* -ENODATA: none. -EBADMSG: not one of ours. */
int quarantine_note_read(const char *path, struct quarantine_note *ret);

#endif
