/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/bucket.h"

#define NS_PER_S 1e9

bool bucket_take(struct bucket *b, double rate, double buffer_s, int64_t now_ns)
{
    if (rate <= 0)
        return true;
    int64_t buffer_ns = (int64_t)(buffer_s * NS_PER_S);
    if (now_ns - b->running_ns > buffer_ns)
        b->running_ns = now_ns - buffer_ns; /* a burst after idling, but no more */
    if (now_ns < b->running_ns)
        return false;
    b->running_ns += (int64_t)(NS_PER_S / rate);
    return true;
}
