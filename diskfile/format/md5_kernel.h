/* SPDX-License-Identifier: Apache-2.0 */
/* md5_kernel.h -- the body of one kernel, included by md5_lanes.c once for each. No include guard.
 *
 *   KERNEL         the function's name
 *   KERNEL_LANES   how many streams it takes
 *   KERNEL_WORD    a word of each stream's: a vector of KERNEL_LANES times uint32_t
 *   KERNEL_TARGET  attributes: the instructions it may use
 *
 * The words of a block lie one after another, a vector wants the same word of all streams: the
 * blocks are turned by plain stores, which other units of the processor do meanwhile. */

KERNEL_TARGET static void KERNEL(uint32_t *state, const unsigned char *const *data, size_t blocks)
{
    KERNEL_WORD a, b, c, d;
    memcpy(&a, state, sizeof(a));
    memcpy(&b, state + KERNEL_LANES, sizeof(b));
    memcpy(&c, state + 2 * KERNEL_LANES, sizeof(c));
    memcpy(&d, state + 3 * KERNEL_LANES, sizeof(d));
    for (size_t n = 0; n < blocks; n++) {
        _Alignas(64) uint32_t turned[WORDS][KERNEL_LANES];
        KERNEL_WORD w[WORDS];
        for (unsigned lane = 0; lane < KERNEL_LANES; lane++) {
            uint32_t words[WORDS];
            memcpy(words, data[lane] + n * MD5_BLOCK_BYTES, sizeof(words));
            for (unsigned i = 0; i < WORDS; i++)
                turned[i][lane] = le32toh(words[i]);
        }
        memcpy(w, turned, sizeof(w));
        const KERNEL_WORD a0 = a, b0 = b, c0 = c, d0 = d;
        ROUND(MIX_F, 0, 1, 0, 7, 12, 17, 22)
        ROUND(MIX_G, 16, 5, 1, 5, 9, 14, 20)
        ROUND(MIX_H, 32, 3, 5, 4, 11, 16, 23)
        ROUND(MIX_I, 48, 7, 0, 6, 10, 15, 21)
        a += a0;
        b += b0;
        c += c0;
        d += d0;
    }
    memcpy(state, &a, sizeof(a));
    memcpy(state + KERNEL_LANES, &b, sizeof(b));
    memcpy(state + 2 * KERNEL_LANES, &c, sizeof(c));
    memcpy(state + 3 * KERNEL_LANES, &d, sizeof(d));
}
#undef KERNEL
#undef KERNEL_LANES
#undef KERNEL_WORD
#undef KERNEL_TARGET
