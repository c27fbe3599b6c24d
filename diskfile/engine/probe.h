/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h -- what a device's file system can do, found out by doing it. Blocking. */
#ifndef OBJSRV_PROBE_H
#define OBJSRV_PROBE_H

#include "diskfile/engine/store.h"

struct probe {
    bool no_tmpfile;
    enum commit_form form;
    char fs_type[16];
};

/* Leaves nothing behind. -ENOTSUP: no user xattrs; -EROFS, -ENOSPC, ...: could not try. */
int probe_directory(const char *path, struct probe *ret_probe);

/* Can a file be written here and made durable? Leaves nothing behind. 0 or -errno. */
int probe_writes(const char *path);

/* Removes the temporary names that uploads of ours left in tmp[-N]/ when the process died.
 * Those that a living process holds (flock) stay. */
void probe_sweep(const char *device_path);

#endif
