/* SPDX-License-Identifier: Apache-2.0 */
/* md5.h -- the MD5 of libcrypto, looked up once.
 *
 * Swift's format names things by MD5; it guards against accidents only. Fetching an
 * algorithm costs more than hashing a name, so everybody shares this one.
 * Threads: any. */
#ifndef OBJSRV_MD5_H
#define OBJSRV_MD5_H

#include <openssl/evp.h>

/* NULL: this libcrypto has no MD5. A program asks once at start and refuses to go on. */
const EVP_MD *md5_algorithm(void);

#endif
