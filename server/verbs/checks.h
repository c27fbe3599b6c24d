/* SPDX-License-Identifier: Apache-2.0 */
/* checks.h -- what is looked at in a request's headers before the disk is touched.
 *
 * Each returns true, or false with *ret_why filled. Nothing is replied here. Texts are Swift's
 * (http-api 3, 7.1, 7.3); they live in the request's arena or are static. */
#ifndef OBJSRV_CHECKS_H
#define OBJSRV_CHECKS_H

#include "diskfile/format/timestamp.h"
#include "server/http/request.h"
#include "server/node/config.h"

/* Why a request is refused. */
struct refusal {
    int status;
    const char *text; /* NULL: the default body of the status */
    bool html;        /* text/html instead of text/plain */
    bool timed;       /* statsd is told its time: Swift returns this reply, it does not raise it */
};

/* X-Timestamp; absent is an error unless `optional`, when it is `fallback`. */
bool check_timestamp(const struct request *r, bool optional, struct timestamp fallback,
                     struct timestamp *ret_ts, struct refusal *ret_why);

/* Transfer-Encoding and Content-Length of a PUT, in Swift's order. */
bool check_body_framing(const struct request *r, const struct config *c, struct refusal *ret_why);

bool check_object_name(const struct request *r, const struct config *c, struct slice object,
                       struct refusal *ret_why);

/* X-Delete-After, X-Delete-At of a PUT. *ret_delete_at: the text to store, empty for none. */
bool check_expiry(const struct request *r, struct timestamp now, struct slice *ret_delete_at,
                  struct refusal *ret_why);

/* X-Delete-At of a POST, which may be equal to the time. *ret_text: empty for none. */
bool check_post_expiry(const struct request *r, struct timestamp now, struct slice *ret_text,
                       struct refusal *ret_why);

bool check_content_type(const struct request *r, struct refusal *ret_why);

/* X-Object-Meta-*: names, values, count, total. */
bool check_metadata(const struct request *r, const struct config *c, struct refusal *ret_why);

/* X-Backend-Obj-Content-Length of a chunked PUT. *ret_length: -1 for none. */
bool check_object_length(const struct request *r, int64_t *ret_length, struct refusal *ret_why);

/* X-Backend-Next-Part-Power; 0: none, or none that can be. */
unsigned next_part_power(const struct request *r);

/* Optional sign and digits only, clamped to about +-5e17. -EINVAL. */
int integer_parse(struct slice text, int64_t *ret);

#endif
