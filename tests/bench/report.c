/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/report.h"
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

uint64_t report_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void report_add(struct report *total, const struct report *part)
{
    total->errors += part->errors;
    total->bytes += part->bytes;
    if (total->begin_ns == 0 || (part->begin_ns > 0 && part->begin_ns < total->begin_ns))
        total->begin_ns = part->begin_ns;
    if (part->end_ns > total->end_ns)
        total->end_ns = part->end_ns;
    histogram_add(&total->latency, &part->latency);
}

static double own_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

void report_print(const struct report *r)
{
    const struct histogram *h = &r->latency;
    double seconds = (double)(r->end_ns - r->begin_ns) / 1e9;
    double per_s = seconds > 0 ? 1 / seconds : 0;
    double each = h->count ? 1 / (double)h->count : 0;
    printf("{\"what\": \"%s\", \"concurrency\": %u, \"requests\": %llu, \"errors\": %llu, "
           "\"seconds\": %.6f, \"requests_per_s\": %.2f, \"mb_per_s\": %.3f, ",
           r->what, r->concurrency, (unsigned long long)h->count, (unsigned long long)r->errors,
           seconds, (double)h->count * per_s, (double)r->bytes / 1e6 * per_s);
    printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, "
           "\"own_cpu_us_per_request\": %.2f}\n",
           (double)histogram_percentile(h, 50) / 1e3, (double)histogram_percentile(h, 90) / 1e3,
           (double)histogram_percentile(h, 99) / 1e3, (double)h->max_ns / 1e3, own_cpu_us() * each);
}
