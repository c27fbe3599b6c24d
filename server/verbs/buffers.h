/* SPDX-License-Identifier: Apache-2.0 */
/* buffers.h -- the blocks that carry bodies between sockets and disks.
 *
 * Each thread keeps the blocks it has given back, up to a limit, for its next request: their
 * pages stay mapped. Freed when the thread ends. Page aligned. After a burst the rest goes back to
 * the system. A block is given back on the thread that got it. */
#ifndef OBJSRV_BUFFERS_H
#define OBJSRV_BUFFERS_H

#include <stddef.h>

char *buffer_get(size_t size); /* NULL: no memory */
void buffer_put(char *buffer, size_t size);

#endif
