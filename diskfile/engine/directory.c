/* SPDX-License-Identifier: Apache-2.0 */
#include "diskfile/engine/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int directory_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}
