/* SPDX-License-Identifier: Apache-2.0 */
/* fragment_check.h -- is a fragment archive made of fragments? (on-disk-format 8)
 *
 * An erasure-coded object's file is a row of fragments, one for each segment of the object, each
 * with a header that says how long it is and has a checksum of its own. The headers are
 * judged by liberasurecode, which wrote them; a build without that library finds all well.
 * What the bytes between them are, the archive's own checksum tells.
 *
 * Fed with an archive from its first byte on. Errors: -EBADMSG. Threads: one at a time. */
#ifndef OBJSRV_FRAGMENT_CHECK_H
#define OBJSRV_FRAGMENT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAGMENT_HEADER_LEN 80

struct fragment_check {
    _Alignas(16) char header[FRAGMENT_HEADER_LEN];
    size_t header_len; /* of the header being gathered */
    uint64_t payload;  /* bytes until the next header */
    uint64_t offset;   /* of the fragment: what a reason for quarantine names */
};

/* false: no liberasurecode, nothing is judged. */
bool fragment_check_is_built(void);

/* Starts zeroed. */
int fragment_check_add(struct fragment_check *c, const void *bytes, size_t len);
int fragment_check_end(const struct fragment_check *c);

#endif
