/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h -- reads an object's whole body and computes its checksum.
 *
 * Small bodies by one pread. Larger ones by an io_uring of the worker's own that keeps a few
 * blocks in flight ahead of the checksum; where there is no io_uring, by pread with read-ahead.
 * Checksums of large bodies are computed together with the other workers' (md5_combiner.h).
 * The page cache is left as it was (residency.h). Reads are paced by the device's latency and
 * by bytes_per_second. One verifier per worker thread; buffers are made at first use. */
#ifndef OBJSRV_VERIFY_H
#define OBJSRV_VERIFY_H

#include "diskfile/engine/checksum.h"
#include "diskfile/engine/fragment_check.h"
#include "tools/audit/limiter.h"
#include "tools/audit/md5_combiner.h"
#include "tools/audit/pace.h"

#include <stdbool.h>

struct verifier;

struct verify_result {
    uint64_t bytes;
    char md5[CHECKSUM_HEX_LEN + 1];
};

/* `pace` and `bytes_limiter` are lent for the verifier's life. */
int verifier_new(struct pace *pace, struct limiter *bytes_limiter, struct verifier **ret);
void verifier_free(struct verifier *v);

/* From now on it works together with others; lent too. */
void verifier_combine(struct verifier *v, struct md5_combiner *combiner);

/* All bytes there are, whatever their number; `size` is what to expect. -ECANCELED at a stop,
 * -EIO and others as the disk says. `fd` is changed in its read-ahead only. `fragments`, zeroed,
 * for a fragment archive: -EBADMSG and its offset when it is not made of fragments; else NULL. */
int verify_body(struct verifier *v, int fd, uint64_t size, struct fragment_check *fragments,
                struct verify_result *ret);

bool verifier_has_ring(const struct verifier *v);

#endif
