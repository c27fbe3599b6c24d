/* SPDX-License-Identifier: Apache-2.0 */
/* hashpath.c -- see hashpath.h. */
#include "diskfile/format/hashpath.h"
#include "diskfile/format/md5.h"
#include <assert.h>
#include <stdlib.h>

static void to_hex(const unsigned char md5[16], char hex[HASH_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        hex[2 * i] = digits[md5[i] >> 4];
        hex[2 * i + 1] = digits[md5[i] & 15];
    }
    hex[HASH_HEX_LEN] = '\0';
}

void hash_path(const struct hash_key *key, struct slice account, struct slice container,
               struct slice object, struct object_hash *ret_hash)
{
    const struct slice parts[] = {key->prefix, SLICE("/"), account, SLICE("/"),
                                  container,   SLICE("/"), object,  key->suffix};
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    bool ok = md5 && EVP_DigestInit_ex2(md5, md5_algorithm(), NULL);

    for (size_t i = 0; ok && i < sizeof(parts) / sizeof(parts[0]); i++)
        ok = parts[i].len == 0 || EVP_DigestUpdate(md5, parts[i].at, parts[i].len);
    if (!ok || !EVP_DigestFinal_ex(md5, ret_hash->md5, NULL))
        abort(); /* no memory for a context: a made-up hash would misplace the object */
    EVP_MD_CTX_free(md5);
    to_hex(ret_hash->md5, ret_hash->hex);
}

uint32_t hash_partition(const struct object_hash *hash, unsigned part_power)
{
    const unsigned char *m = hash->md5;
    uint32_t top = (uint32_t)m[0] << 24 | (uint32_t)m[1] << 16 | (uint32_t)m[2] << 8 | m[3];

    assert(part_power <= 32);
    return part_power == 0 ? 0 : top >> (32 - part_power);
}
