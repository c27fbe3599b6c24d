/* SPDX-License-Identifier: Apache-2.0 */
/* request.c -- questions to a request's head; see request.h. */
#include "server/http/request.h"

const struct slice *request_header(const struct request *r, const char *name)
{
    struct slice wanted = slice_of(name);
    for (unsigned i = 0; i < r->header_count; i++)
        if (slice_eq_nocase(r->headers[i].name, wanted))
            return &r->headers[i].value;
    return NULL;
}

struct slice request_header_value(const struct request *r, const char *name)
{
    const struct slice *value = request_header(r, name);
    return value != NULL ? *value : SLICE("");
}

bool request_header_true(const struct request *r, const char *name)
{
    static const char *const words[] = {"true", "1", "yes", "on", "t", "y"};
    struct slice value = request_header_value(r, name);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (slice_eq_nocase(value, slice_of(words[i])))
            return true;
    return false;
}

bool request_has_body(const struct request *r)
{
    return r->chunked || (r->has_length && r->content_length > 0);
}
