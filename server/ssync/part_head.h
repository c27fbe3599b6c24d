/* SPDX-License-Identifier: Apache-2.0 */
/* part_head.h -- the head of a subrequest: "PUT /a/c/o", header lines, an empty line. Pure.
 *
 *   part_head_begin -> part_head_add* until PART_WHOLE -> part_head_check
 *
 * All of it is copied to the arena. Texts of problems are Swift's where it has one. */
#ifndef OBJSRV_SSYNC_PART_HEAD_H
#define OBJSRV_SSYNC_PART_HEAD_H

#include "server/http/request.h"

enum { PART_HEADERS_MAX = 512 };

enum part_verdict { PART_MORE, PART_WHOLE, PART_BAD };

struct part_head {
    struct arena *arena;
    struct slice method, path; /* the path still percent-encoded */
    struct header *headers;    /* names in lower case; the last of equal ones counts */
    unsigned count;
    size_t bytes, limit; /* of all lines */
    bool has_length;
    uint64_t content_length;
    const char *problem; /* PART_BAD: why */
};

enum part_verdict part_head_begin(struct part_head *h, struct arena *arena, size_t limit,
                                  struct slice line);
enum part_verdict part_head_add(struct part_head *h, struct slice line);

/* A method that there is, and the length it must or must not have. NULL, or what is wrong. */
const char *part_head_check(const struct part_head *h);

/* Names of headers that are stored as metadata whatever they are, with blanks between. */
const char *part_head_stored_names(const struct part_head *h);

#endif
