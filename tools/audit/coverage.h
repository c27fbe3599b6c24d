/* SPDX-License-Identifier: Apache-2.0 */
/* coverage.h -- which partitions of a device were verified, and when.
 *
 * One entry per partition there is. An ALL pass that has read a whole partition notes it; the
 * share verified within the last 1, 7, 30, 90 days comes from here. Kept with the fuse's state in
 * <device>/objsrv-audit/state, a text file that is replaced as a whole.
 *
 * Not thread-safe. Errors: 0 or -errno. */
#ifndef OBJSRV_COVERAGE_H
#define OBJSRV_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct coverage_entry {
    uint64_t key; /* policy and partition, never 0 */
    uint64_t bytes;
    uint32_t objects;
    uint32_t time_s; /* when verified; 0: never */
    bool seen;       /* by the pass that is listing */
};

struct coverage {
    struct coverage_entry *entries; /* open hashing */
    uint32_t count, room;
    bool fuse_blown[2]; /* by pass: ALL, ZBF */
    bool dirty;
};

#define COVERAGE_STATE_FILE "state"

void coverage_release(struct coverage *c);

/* Partitions whose names are no plain numbers do not count: both do nothing then. */
int coverage_seen(struct coverage *c, unsigned policy, const char *partition);
int coverage_verified(struct coverage *c, unsigned policy, const char *partition, uint32_t time_s,
                      uint32_t objects, uint64_t bytes);

/* After a whole listing of this policy: what was not seen is not there any more. */
void coverage_forget_unseen(struct coverage *c, unsigned policy);

struct coverage_sum {
    uint64_t partitions, objects, bytes; /* there are; objects and bytes as last read */
    uint64_t fresh_partitions, fresh_objects, fresh_bytes; /* verified in the last `days` */
};
void coverage_within(const struct coverage *c, double now_s, unsigned days,
                     struct coverage_sum *ret_sum);

/* As text. A line that cannot be parsed ends reading with -EBADMSG; what came before stays. */
int coverage_write(const struct coverage *c, FILE *out);
int coverage_read(struct coverage *c, FILE *in);

/* In a directory: missing is empty; written anew, synced and renamed. */
int coverage_load(struct coverage *c, int dir);
int coverage_save(struct coverage *c, int dir);

extern const unsigned coverage_days[4];

#endif
