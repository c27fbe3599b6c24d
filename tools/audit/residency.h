/* SPDX-License-Identifier: Apache-2.0 */
/* residency.h -- leaves the page cache as it was: what clients had in it stays, what only the
 * auditor read goes.
 *
 * Looks at a piece of a file before it is read, drops afterwards what was not there. In doubt
 * (a kernel that does not tell) everything counts as having been there. Blocking. */
#ifndef OBJSRV_RESIDENCY_H
#define OBJSRV_RESIDENCY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RESIDENCY_BYTES_MAX (64 * 4096u)
#define RESIDENCY_ALL       UINT64_MAX

/* One bit for each page from `off` (a multiple of the page size) on, at most 64. */
uint64_t residency_look(int fd, off_t off, size_t len);

/* Drops the pages whose bit is not set. */
void residency_restore(int fd, off_t off, size_t len, uint64_t were_there);

#endif
