/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h -- names that are to survive a power cut. Blocking. */
#ifndef OBJSRV_DIRECTORY_H
#define OBJSRV_DIRECTORY_H

/* Makes the names in it durable, on file systems where the fsync of a file does not. */
int directory_sync(const char *path);

#endif
