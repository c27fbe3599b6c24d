/* SPDX-License-Identifier: Apache-2.0 */
/* md5_lanes.c -- see md5_lanes.h. RFC 1321 in the words of GCC's vector extensions; the kernels
 * differ in their width and in the instructions that they may use (md5_kernel.h). */
#include "diskfile/format/md5_lanes.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define WORDS 16 /* of a block */

/* 2^32 times the absolute value of sin(i + 1) */
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

#define ROTATE(x, n)   ((x) << (n) | (x) >> (32 - (n)))
#define MIX_F(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define MIX_G(b, c, d) ((c) ^ ((d) & ((b) ^ (c))))
#define MIX_H(b, c, d) ((b) ^ (c) ^ (d))
#define MIX_I(b, c, d) ((c) ^ ((b) | ~(d)))

/* Step `i` of the 64, with the word that round `times`, `plus` takes in it. */
#define STEP(mix, a, b, c, d, i, times, plus, n)                                                   \
    a += w[((times) * (i) + (plus)) % WORDS] + sines[i] + mix(b, c, d);                            \
    a = ROTATE(a, n) + b;

#define FOUR_STEPS(mix, i, times, plus, n0, n1, n2, n3)                                            \
    STEP(mix, a, b, c, d, (i), times, plus, n0)                                                    \
    STEP(mix, d, a, b, c, (i) + 1, times, plus, n1)                                                \
    STEP(mix, c, d, a, b, (i) + 2, times, plus, n2)                                                \
    STEP(mix, b, c, d, a, (i) + 3, times, plus, n3)

#define ROUND(mix, i, times, plus, n0, n1, n2, n3)                                                 \
    FOUR_STEPS(mix, i, times, plus, n0, n1, n2, n3)                                                \
    FOUR_STEPS(mix, (i) + 4, times, plus, n0, n1, n2, n3)                                          \
    FOUR_STEPS(mix, (i) + 8, times, plus, n0, n1, n2, n3)                                          \
    FOUR_STEPS(mix, (i) + 12, times, plus, n0, n1, n2, n3)

/* ---- kernels ---- */

typedef uint32_t words4 __attribute__((vector_size(16)));

static bool everywhere(void)
{
    return true;
}

#define KERNEL       add_1
#define KERNEL_LANES 1
#define KERNEL_WORD  uint32_t
#define KERNEL_TARGET
#include "diskfile/format/md5_kernel.h"

#define KERNEL       add_4
#define KERNEL_LANES 4
#define KERNEL_WORD  words4
#define KERNEL_TARGET
#include "diskfile/format/md5_kernel.h"

#ifdef __x86_64__

typedef uint32_t words8 __attribute__((vector_size(32)));
typedef uint32_t words16 __attribute__((vector_size(64)));

/* __builtin_cpu_supports() asks for what the operating system keeps over a switch, too. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}

#define KERNEL        add_4_avx512
#define KERNEL_LANES  4
#define KERNEL_WORD   words4
#define KERNEL_TARGET __attribute__((target("avx512f,avx512vl")))
#include "diskfile/format/md5_kernel.h"

#define KERNEL        add_8_avx2
#define KERNEL_LANES  8
#define KERNEL_WORD   words8
#define KERNEL_TARGET __attribute__((target("avx2")))
#include "diskfile/format/md5_kernel.h"

#define KERNEL        add_8_avx512
#define KERNEL_LANES  8
#define KERNEL_WORD   words8
#define KERNEL_TARGET __attribute__((target("avx512f,avx512vl")))
#include "diskfile/format/md5_kernel.h"

#define KERNEL        add_16_avx512
#define KERNEL_LANES  16
#define KERNEL_WORD   words16
#define KERNEL_TARGET __attribute__((target("avx512f")))
#include "diskfile/format/md5_kernel.h"

#endif

/* Narrow before wide, and the better one of a width first. */
const struct md5_kernel md5_kernels[] = {
    {"scalar", 1, everywhere, add_1},
#ifdef __x86_64__
    {"4 lanes, AVX-512", 4, has_avx512, add_4_avx512},
#endif
    {"4 lanes", 4, everywhere, add_4},
#ifdef __x86_64__
    {"8 lanes, AVX-512", 8, has_avx512, add_8_avx512},
    {"8 lanes, AVX2", 8, has_avx2, add_8_avx2},
    {"16 lanes, AVX-512", 16, has_avx512, add_16_avx512},
#endif
    {NULL, 0, NULL, NULL},
};

/* ---- streams ---- */

void md5_stream_init(struct md5_stream *s)
{
    *s = (struct md5_stream){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

void md5_kernel_add(const struct md5_kernel *k, struct md5_stream *const *streams,
                    const unsigned char *const *data, unsigned count, size_t blocks)
{
    uint32_t state[4 * MD5_LANES_MAX] = {0};
    const unsigned char *at[MD5_LANES_MAX];
    assert(count > 0 && count <= k->lanes);
    for (unsigned lane = 0; lane < k->lanes; lane++) {
        at[lane] = data[lane < count ? lane : 0]; /* a lane without a stream repeats the first */
        for (unsigned i = 0; i < 4 && lane < count; i++)
            state[i * k->lanes + lane] = streams[lane]->state[i];
    }
    k->add(state, at, blocks);
    for (unsigned lane = 0; lane < count; lane++) {
        for (unsigned i = 0; i < 4; i++)
            streams[lane]->state[i] = state[i * k->lanes + lane];
        streams[lane]->bytes += blocks * MD5_BLOCK_BYTES;
    }
}

/* The narrowest that takes them all, or else the widest. Two streams are faster one by one. */
static const struct md5_kernel *kernel_for(unsigned count)
{
    const struct md5_kernel *found = &md5_kernels[0];
    for (const struct md5_kernel *k = &md5_kernels[1]; k->name && count > 2; k++)
        if (found->lanes < count && found->lanes < k->lanes && k->runs_here())
            found = k;
    return found;
}

void md5_lanes_add(struct md5_stream *const *streams, const unsigned char *const *data,
                   unsigned count, size_t blocks)
{
    while (count > 0) {
        const struct md5_kernel *k = kernel_for(count);
        unsigned taken = count < k->lanes ? count : k->lanes;
        md5_kernel_add(k, streams, data, taken, blocks);
        streams += taken;
        data += taken;
        count -= taken;
    }
}

void md5_stream_end(struct md5_stream *s, const void *rest, size_t len,
                    unsigned char ret_digest[MD5_DIGEST_BYTES])
{
    unsigned char last[2 * MD5_BLOCK_BYTES] = {0};
    const unsigned char *at = rest;
    size_t whole = len / MD5_BLOCK_BYTES, tail = len % MD5_BLOCK_BYTES;
    if (whole > 0)
        md5_lanes_add(&s, &at, 1, whole);
    uint64_t bits = htole64((s->bytes + tail) * 8);
    size_t padded = tail + 1 + sizeof(bits) <= MD5_BLOCK_BYTES ? 1 : 2; /* blocks */
    if (tail > 0)
        memcpy(last, at + whole * MD5_BLOCK_BYTES, tail);
    last[tail] = 0x80;
    memcpy(last + padded * MD5_BLOCK_BYTES - sizeof(bits), &bits, sizeof(bits));
    at = last;
    md5_lanes_add(&s, &at, 1, padded);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t word = htole32(s->state[i]);
        memcpy(ret_digest + 4 * i, &word, sizeof(word));
    }
}

unsigned md5_lanes_width(void)
{
    return kernel_for(MD5_LANES_MAX)->lanes;
}
