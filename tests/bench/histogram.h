/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h -- many durations in little memory, and their percentiles.
 *
 * Buckets are exact up to 64 ns, then 64 to each power of two: a percentile is at most 1.6 %
 * above the truth and never below it. Zeroed memory is an empty histogram.
 * Threads: one writer; add the threads' histograms up when they are done. */
#ifndef OBJSRV_BENCH_HISTOGRAM_H
#define OBJSRV_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;
    uint64_t max_ns;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *h, uint64_t ns);
void histogram_add(struct histogram *h, const struct histogram *other);

/* The smallest value that `percent` of all records do not exceed (rounded up to its bucket's
 * end, never above the maximum). 0 when empty. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

#endif
