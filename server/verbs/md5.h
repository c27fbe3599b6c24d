/* SPDX-License-Identifier: Apache-2.0 */
/* md5.h -- the checksum of a body on its way. Swift's ETag; not a matter of security. */
#ifndef OBJSRV_MD5_H
#define OBJSRV_MD5_H

#include "diskfile/slice.h"

#define MD5_LEN     16
#define MD5_HEX_LEN 32

struct md5;

struct md5 *md5_new(void); /* NULL: no memory, or libcrypto has no MD5 (FIPS) */
void md5_free(struct md5 *m);
void md5_add(struct md5 *m, const void *at, size_t len);
/* Once. 0 or -EIO. */
int md5_end(struct md5 *m, unsigned char digest[MD5_LEN], char hex[MD5_HEX_LEN + 1]);

/* Content-MD5: base64 of 16 bytes. 0 or -EINVAL. */
int md5_parse_base64(struct slice text, unsigned char digest[MD5_LEN]);

#endif
