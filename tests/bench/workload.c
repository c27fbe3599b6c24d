/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/workload.h"
#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (256u * 1024)

static const char *const method_of[] = {"PUT", "GET", "HEAD"};

int workload_init(struct workload *w)
{
    if (strlen(w->path) > WORKLOAD_HEAD_MAX / 2)
        return -EINVAL;
    w->blocks = malloc(BLOCK_BYTES);
    if (!w->blocks)
        return -ENOMEM;
    uint64_t x = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        w->blocks[i] = (unsigned char)(x >> 32);
    }
    return 0;
}

void workload_release(struct workload *w)
{
    free(w->blocks);
}

static unsigned expand_path(const struct workload *w, uint64_t i, char *text)
{
    unsigned len = 0;
    for (const char *p = w->path; *p; p++) {
        if (strncmp(p, "{i}", 3) == 0 || strncmp(p, "{p}", 3) == 0) {
            uint64_t number = p[1] == 'i' ? i : i % w->spread;
            len += (unsigned)sprintf(text + len, "%llu", (unsigned long long)number);
            p += 2;
        } else {
            text[len++] = *p;
        }
        assert(len < WORKLOAD_HEAD_MAX / 2 + 64);
    }
    return len;
}

unsigned workload_head(const struct workload *w, uint64_t i, uint64_t timestamp,
                       char head[WORKLOAD_HEAD_MAX])
{
    unsigned len = (unsigned)sprintf(head, "%s ", method_of[w->mode]);
    len += expand_path(w, i, head + len);
    len += (unsigned)sprintf(head + len, " HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    if (w->mode == WORKLOAD_PUT)
        len += (unsigned)sprintf(head + len,
                                 "Content-Type: application/octet-stream\r\n"
                                 "Content-Length: %llu\r\n",
                                 (unsigned long long)w->size);
    if (w->swift)
        len += (unsigned)sprintf(head + len,
                                 "X-Timestamp: %010llu.%05llu\r\n"
                                 "X-Backend-Storage-Policy-Index: 0\r\n",
                                 (unsigned long long)(timestamp / 100000),
                                 (unsigned long long)(timestamp % 100000));
    if (w->close)
        len += (unsigned)sprintf(head + len, "Connection: close\r\n");
    len += (unsigned)sprintf(head + len, "\r\n");
    return len;
}

int workload_body(const struct workload *w, uint64_t i, uint64_t off, uint64_t *tag,
                  struct iovec ret_pieces[2])
{
    int n = 0;
    if (off < sizeof *tag && off < w->size) {
        *tag = i;
        uint64_t end = w->size < sizeof *tag ? w->size : sizeof *tag;
        ret_pieces[n++] = (struct iovec){(char *)tag + off, end - off};
        off = end;
    }
    if (off < w->size) {
        uint64_t at = off % BLOCK_BYTES;
        uint64_t len = BLOCK_BYTES - at < w->size - off ? BLOCK_BYTES - at : w->size - off;
        ret_pieces[n++] = (struct iovec){w->blocks + at, len};
    }
    return n;
}

bool workload_matches(const struct workload *w, uint64_t i, uint64_t off, const void *bytes,
                      size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        uint64_t tag;
        struct iovec piece[2];
        if (workload_body(w, i, off, &tag, piece) == 0)
            return false; /* longer than the object */
        size_t n = piece[0].iov_len < len ? piece[0].iov_len : len;
        if (memcmp(p, piece[0].iov_base, n) != 0)
            return false;
        p += n, off += n, len -= n;
    }
    return true;
}

void workload_etag(const struct workload *w, uint64_t i, char ret_hex[33])
{
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint64_t tag, off = 0;
    struct iovec piece[2];
    EVP_DigestInit_ex(md5, EVP_md5(), NULL);
    for (int n; (n = workload_body(w, i, off, &tag, piece)) > 0;)
        for (int k = 0; k < n; k++) {
            EVP_DigestUpdate(md5, piece[k].iov_base, piece[k].iov_len);
            off += piece[k].iov_len;
        }
    EVP_DigestFinal_ex(md5, digest, NULL);
    EVP_MD_CTX_free(md5);
    for (unsigned k = 0; k < 16; k++)
        sprintf(ret_hex + 2 * k, "%02x", digest[k]);
}
