/* SPDX-License-Identifier: Apache-2.0 */
/* checksum.c -- MD5 by libcrypto (see checksum.h). */
#include "diskfile/engine/checksum.h"
#include "diskfile/format/md5.h"

#include <assert.h>
#include <errno.h>

/* libcrypto's context is the checksum; the struct exists only to have a name of our own. */
static EVP_MD_CTX *context_of(struct checksum *sum)
{
    return (EVP_MD_CTX *)sum;
}

int checksum_new(struct checksum **ret_sum)
{
    const EVP_MD *md5 = md5_algorithm();
    if (!md5)
        return -ENOMEM;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context)
        return -ENOMEM;
    if (EVP_DigestInit_ex2(context, md5, NULL) != 1) {
        EVP_MD_CTX_free(context);
        return -ENOMEM;
    }
    *ret_sum = (struct checksum *)context;
    return 0;
}

void checksum_free(struct checksum *sum)
{
    EVP_MD_CTX_free(context_of(sum));
}

void checksum_add(struct checksum *sum, const void *bytes, size_t len)
{
    int ok = EVP_DigestUpdate(context_of(sum), bytes, len);
    assert(ok == 1); /* fails only on a context that was never initialised */
    (void)ok;
}

void checksum_end(struct checksum *sum, char hex[CHECKSUM_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[CHECKSUM_HEX_LEN / 2];
    int ok = EVP_DigestFinal_ex(context_of(sum), digest, NULL);
    assert(ok == 1);
    (void)ok;
    for (size_t i = 0; i < sizeof(digest); i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[CHECKSUM_HEX_LEN] = '\0';
}

int checksum_of(const void *bytes, size_t len, char hex[CHECKSUM_HEX_LEN + 1])
{
    struct checksum *sum;
    int r = checksum_new(&sum);
    if (r < 0)
        return r;
    checksum_add(sum, bytes, len);
    checksum_end(sum, hex);
    checksum_free(sum);
    return 0;
}
