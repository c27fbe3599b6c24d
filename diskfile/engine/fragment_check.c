/* SPDX-License-Identifier: Apache-2.0 */
#include "diskfile/engine/fragment_check.h"
#include <errno.h>
#include <string.h>

#ifdef HAVE_ERASURECODE
#include <liberasurecode/erasurecode.h>
#include <liberasurecode/erasurecode_helpers_ext.h>

_Static_assert(sizeof(fragment_header_t) == FRAGMENT_HEADER_LEN, "another liberasurecode");

bool fragment_check_is_built(void)
{
    return true;
}

/* The length of what follows, or -EBADMSG. */
static int64_t judge(char header[FRAGMENT_HEADER_LEN])
{
    fragment_header_t *h = (fragment_header_t *)header;
    if (h->magic != LIBERASURECODE_FRAG_HEADER_MAGIC || is_invalid_fragment_header(h) != 0)
        return -EBADMSG;
    return (int64_t)h->meta.size + h->meta.frag_backend_metadata_size;
}
#else
bool fragment_check_is_built(void)
{
    return false;
}

static int64_t judge(char header[FRAGMENT_HEADER_LEN])
{
    (void)header;
    return INT64_MAX;
}
#endif

static size_t smaller(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

int fragment_check_add(struct fragment_check *c, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        size_t n = c->payload > 0 ? smaller(c->payload, len)
                                  : smaller(FRAGMENT_HEADER_LEN - c->header_len, len);
        if (c->payload > 0) {
            c->payload -= n;
        } else {
            memcpy(c->header + c->header_len, at, n);
            c->header_len += n;
        }
        at += n;
        len -= n;
        if (c->payload > 0 || c->header_len < FRAGMENT_HEADER_LEN)
            continue;
        int64_t payload = judge(c->header);
        if (payload < 0)
            return (int)payload;
        c->payload = (uint64_t)payload;
        c->offset += FRAGMENT_HEADER_LEN + (uint64_t)payload;
        c->header_len = 0;
    }
    return 0;
}

int fragment_check_end(const struct fragment_check *c)
{
#ifdef HAVE_ERASURECODE
    return c->header_len > 0 ? -EBADMSG : 0;
#else
    return 0;
#endif
}
