/* SPDX-License-Identifier: Apache-2.0 */
/* checksum.h -- MD5, as an object's ETag and its metadata's checksum are. Lower-case hex.
 *
 * Errors: -ENOMEM. Threads: one checksum is used by one thread at a time. */
#ifndef OBJSRV_CHECKSUM_H
#define OBJSRV_CHECKSUM_H

#include <stddef.h>

#define CHECKSUM_HEX_LEN 32

struct checksum; /* in the making */

int checksum_new(struct checksum **ret_sum);
void checksum_free(struct checksum *sum);
void checksum_add(struct checksum *sum, const void *bytes, size_t len);
void checksum_end(struct checksum *sum, char hex[CHECKSUM_HEX_LEN + 1]); /* then only _free */

/* All at once. */
int checksum_of(const void *bytes, size_t len, char hex[CHECKSUM_HEX_LEN + 1]);

#endif
