/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/headers_meta.h"
#include "server/loop.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* What stand-alone mode keeps of HTTP's own headers. */
static const char *const plain_headers[] = {"Content-Encoding", "Content-Disposition",
                                            "Cache-Control", "Content-Language", "Expires"};
#define PLAIN_HEADERS (sizeof plain_headers / sizeof *plain_headers)

bool has_prefix(struct slice text, struct slice prefix)
{
    return text.len >= prefix.len && strncasecmp(text.at, prefix.at, prefix.len) == 0;
}

static bool extends(struct slice key, struct slice prefix)
{
    return key.len > prefix.len && has_prefix(key, prefix);
}

bool is_user_meta(struct slice key)
{
    return extends(key, SLICE("X-Object-Meta-"));
}

bool is_sysmeta(struct slice key)
{
    return extends(key, SLICE("X-Object-Sysmeta-"));
}

bool is_transient_sysmeta(struct slice key)
{
    return extends(key, SLICE("X-Object-Transient-Sysmeta-"));
}

bool is_allowed_header(const struct config *c, struct slice key)
{
    static const char *const never[] = {"Content-Length", "Deleted", "Etag"};
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++)
        if (slice_eq_nocase(key, slice_of(never[i])))
            return false;
    for (unsigned i = 0; i < c->allowed_headers.count; i++)
        if (slice_eq_nocase(key, slice_of(c->allowed_headers.items[i])))
            return true;
    return false;
}

bool is_plain_header(struct slice key)
{
    for (unsigned i = 0; i < PLAIN_HEADERS; i++)
        if (slice_eq_nocase(key, slice_of(plain_headers[i])))
            return true;
    return false;
}

struct slice header_key(struct arena *a, struct slice name)
{
    char *key = arena_alloc(a, name.len + 1);
    if (key)
        metadata_title_key(name, key);
    return (struct slice){key, key ? name.len : 0};
}

/* One of the names in X-Backend-Replication-Headers, which blanks separate. */
static bool is_replicated(const struct request *r, struct slice key)
{
    struct slice names = request_header_value(r, "X-Backend-Replication-Headers");
    size_t i = 0;
    while (i < names.len) {
        size_t start = i;
        while (i < names.len && names.at[i] != ' ' && names.at[i] != '\t')
            i++;
        if (i > start && slice_eq_nocase(key, (struct slice){names.at + start, i - start}))
            return true;
        i++;
    }
    return false;
}

static bool is_wanted(const struct request *r, enum meta_use use, struct slice key)
{
    if (is_user_meta(key))
        return true;
    if (use == META_OF_PLAIN)
        return is_plain_header(key);
    if (is_transient_sysmeta(key) || (use == META_OF_PUT && is_sysmeta(key)))
        return true;
    return is_allowed_header(r->loop->config, key) || is_replicated(r, key);
}

int metadata_from_request(const struct request *r, enum meta_use use, struct metadata *m)
{
    for (unsigned i = 0; i < r->header_count; i++) {
        struct slice key = header_key(r->arena, r->headers[i].name);
        if (!key.at)
            return -ENOMEM;
        if (!is_wanted(r, use, key))
            continue;
        int res = metadata_set(m, key, r->headers[i].value);
        if (res < 0)
            return res;
    }
    return 0;
}

int metadata_set_timestamp(struct metadata *m, const char *key, struct timestamp ts)
{
    char text[TIMESTAMP_TEXT_MAX];
    timestamp_internal(ts, text);
    return metadata_set_text(m, key, text);
}

int metadata_set_number(struct metadata *m, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return metadata_set_text(m, key, text);
}

int metadata_set_name(struct metadata *m, const struct df_name *name)
{
    const struct slice parts[3] = {name->account, name->container, name->object};
    char text[3 * 8192];
    size_t len = 0;
    for (int i = 0; i < 3; i++) {
        if (len + 1 + parts[i].len > sizeof text)
            return -ENAMETOOLONG;
        text[len++] = '/';
        memcpy(text + len, parts[i].at, parts[i].len);
        len += parts[i].len;
    }
    return metadata_set(m, SLICE("name"), (struct slice){text, len});
}

struct slice metadata_value(const struct metadata *m, const char *key)
{
    const struct slice *value = m ? metadata_get(m, key) : NULL;
    return value ? *value : (struct slice){"", 0};
}
