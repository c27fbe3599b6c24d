/* SPDX-License-Identifier: Apache-2.0 */
/* md5_lanes.h -- MD5 of several streams at once, each in a lane of the vector registers.
 *
 *   md5_stream_init -> md5_lanes_add* (of many streams at a time) -> md5_stream_end
 *
 * One MD5 cannot be computed faster than its 64 dependent steps a block allow, and leaves most
 * of a processor idle. Several that have nothing to do with each other can share the steps: on
 * a processor with 512-bit registers sixteen take little more time than two. Which registers
 * there are is looked up when the program runs; the results are always those of libcrypto (md5.h).
 *
 * Pure: no memory is allocated, nothing is kept. Threads: any; a stream is used by one at a time.
 */
#ifndef OBJSRV_MD5_LANES_H
#define OBJSRV_MD5_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MD5_BLOCK_BYTES  64
#define MD5_DIGEST_BYTES 16
#define MD5_LANES_MAX    16

struct md5_stream {
    uint32_t state[4];
    uint64_t bytes; /* so far */
};

void md5_stream_init(struct md5_stream *s);

/* Adds data[i] to streams[i], `blocks` of MD5_BLOCK_BYTES to each; any number of streams,
 * no stream twice. */
void md5_lanes_add(struct md5_stream *const *streams, const unsigned char *const *data,
                   unsigned count, size_t blocks);

/* Adds the last bytes of one stream, as many as there are. The stream can then be initialised
 * anew. */
void md5_stream_end(struct md5_stream *s, const void *rest, size_t len,
                    unsigned char ret_digest[MD5_DIGEST_BYTES]);

/* The most that run side by side here. */
unsigned md5_lanes_width(void);

/* ---- for tests: the ways to do it ---- */

struct md5_kernel {
    const char *name;
    unsigned lanes;
    bool (*runs_here)(void);
    /* state[i][lane]: word i of a stream's state */
    void (*add)(uint32_t *state, const unsigned char *const *data, size_t blocks);
};

/* Ends with one whose name is NULL. */
extern const struct md5_kernel md5_kernels[];

/* md5_lanes_add() by this one, which has at least `count` lanes. */
void md5_kernel_add(const struct md5_kernel *k, struct md5_stream *const *streams,
                    const unsigned char *const *data, unsigned count, size_t blocks);

#endif
