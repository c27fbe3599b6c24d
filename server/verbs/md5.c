/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/md5.h"
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

struct md5 {
    EVP_MD_CTX *context;
    bool failed;
};

/* Looking an algorithm up costs more than hashing a small object, so it is done once. */
static EVP_MD *algorithm;
static pthread_once_t algorithm_once = PTHREAD_ONCE_INIT;

static void fetch_algorithm(void)
{
    algorithm = EVP_MD_fetch(NULL, "MD5", NULL);
}

struct md5 *md5_new(void)
{
    pthread_once(&algorithm_once, fetch_algorithm);
    struct md5 *m = algorithm ? calloc(1, sizeof *m) : NULL;
    if (!m)
        return NULL;
    m->context = EVP_MD_CTX_new();
    if (!m->context || EVP_DigestInit_ex2(m->context, algorithm, NULL) != 1) {
        md5_free(m);
        return NULL;
    }
    return m;
}

void md5_free(struct md5 *m)
{
    if (m)
        EVP_MD_CTX_free(m->context);
    free(m);
}

void md5_add(struct md5 *m, const void *at, size_t len)
{
    if (EVP_DigestUpdate(m->context, at, len) != 1)
        m->failed = true;
}

int md5_end(struct md5 *m, unsigned char digest[MD5_LEN], char hex[MD5_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned len = 0;
    if (m->failed || EVP_DigestFinal_ex(m->context, digest, &len) != 1 || len != MD5_LEN)
        return -EIO;
    for (unsigned i = 0; i < MD5_LEN; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[MD5_HEX_LEN] = 0;
    return 0;
}

static int base64_value(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

int md5_parse_base64(struct slice text, unsigned char digest[MD5_LEN])
{
    unsigned bits = 0, bit_count = 0, len = 0;
    if (text.len != 24 || text.at[22] != '=' || text.at[23] != '=')
        return -EINVAL;
    for (unsigned i = 0; i < 22; i++) {
        int value = base64_value(text.at[i]);
        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (unsigned)value;
        bit_count += 6;
        if (bit_count >= 8 && len < MD5_LEN) {
            bit_count -= 8;
            digest[len++] = (unsigned char)(bits >> bit_count);
        }
    }
    return (bits & 15) == 0 ? 0 : -EINVAL; /* the last digit's spare bits */
}
