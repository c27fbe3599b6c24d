/* SPDX-License-Identifier: Apache-2.0 */
/* conditions.h -- If-Match and its relatives. Pure.
 *
 * Two readings of the same headers: Swift's (http-api 10), which every cluster relies on, and
 * RFC 9110's, which stand-alone mode speaks. A NULL or empty header is absent; a date that
 * does not parse is ignored. */
#ifndef OBJSRV_CONDITIONS_H
#define OBJSRV_CONDITIONS_H

#include "diskfile/slice.h"
#include <stdint.h>

struct conditions {
    const struct slice *if_match;
    const struct slice *if_none_match;
    const struct slice *if_modified_since;
    const struct slice *if_unmodified_since;
};

/* What they are compared with. `etag` without quotes; absent: the object is not there. */
struct validators {
    bool found;
    struct slice etag;
    int64_t last_modified_s;
};

/* "*" or the etag is in the comma list; one pair of quotes around each is dropped. */
bool etag_listed(struct slice list, struct slice etag);
bool etag_list_has_star(struct slice list);

/* 0: go on; 304 or 412. */
int conditions_swift(const struct conditions *c, const struct validators *v);

/* RFC 9110 13.2.2. `reads`: GET or HEAD, which answer 304 where others answer 412. */
int conditions_rfc9110(const struct conditions *c, const struct validators *v, bool reads);

/* If-Range (RFC 9110 13.1.5): true if Range may be honoured. */
bool if_range_holds(struct slice header, const struct validators *v);

#endif
