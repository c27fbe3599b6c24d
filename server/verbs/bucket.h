/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.h -- how many requests per second: a token bucket, kept as a clock. Pure.
 *
 * The clock runs ahead by 1/rate with each request taken, and lags behind now by the buffer at
 * most: what was not used for longer is lost. A request is taken while it is not ahead. */
#ifndef OBJSRV_BUCKET_H
#define OBJSRV_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t running_ns;
};

/* rate 0: always. */
bool bucket_take(struct bucket *b, double rate, double buffer_s, int64_t now_ns);

#endif
