/* SPDX-License-Identifier: Apache-2.0 */
/* workload.h -- which requests a benchmark sends, and what it must get back.
 *
 * Request number i is for object i: its path is the template with {i} and {p} (the partition,
 * i modulo `spread`) filled in, its body `size` bytes that begin with i, so that no object's
 * bytes pass for another's. Nothing here touches a socket. Threads: read only after init. */
#ifndef OBJSRV_BENCH_WORKLOAD_H
#define OBJSRV_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum workload_mode { WORKLOAD_PUT, WORKLOAD_GET, WORKLOAD_HEAD };

struct workload {
    enum workload_mode mode;
    const char *path;
    uint64_t size;
    uint64_t spread;
    bool swift;            /* send X-Timestamp and X-Backend-Storage-Policy-Index */
    bool close;            /* one request per connection */
    unsigned char *blocks; /* what bodies are cut from; owned */
};

#define WORKLOAD_HEAD_MAX 1024

/* -EINVAL: the template is too long for a request. -ENOMEM. */
int workload_init(struct workload *w);
void workload_release(struct workload *w);

/* The request's header for object `i`; `timestamp` in units of 10 us. Returns its length. */
unsigned workload_head(const struct workload *w, uint64_t i, uint64_t timestamp,
                       char head[WORKLOAD_HEAD_MAX]);

/* Bytes of the body of object `i` from `off` on, at most two pieces, possibly not up to the
 * end: come back for the rest. Returns the number of pieces. Borrowed; `tag` is the
 * caller's, lent as long as the pieces are used. */
int workload_body(const struct workload *w, uint64_t i, uint64_t off, uint64_t *tag,
                  struct iovec ret_pieces[2]);

bool workload_matches(const struct workload *w, uint64_t i, uint64_t off, const void *bytes,
                      size_t len);

/* MD5 of the body, in hex. */
void workload_etag(const struct workload *w, uint64_t i, char ret_hex[33]);

#endif
