/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/headers_meta.h"
#include "server/loop.h"
#include "server/verbs/httpdate.h"
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

static bool is_plain_header(struct slice key)
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

/* ---- replies ---- */

void reply_timestamp(struct request *r, const char *name, struct timestamp ts)
{
    char text[TIMESTAMP_TEXT_MAX];
    int len = timestamp_internal(ts, text);
    reply_header(r, name, (struct slice){text, (size_t)len});
}

struct slice object_content_type(const struct df_info *info)
{
    struct slice type = metadata_value(info->metadata, "Content-Type");
    return type.len ? type : SLICE("application/octet-stream");
}

static void reply_item(struct request *r, const struct metadata_item *item)
{
    char name[8192 + 1];
    if (item->key.len >= sizeof name)
        return; /* no header that long was ever let in */
    memcpy(name, item->key.at, item->key.len);
    name[item->key.len] = 0;
    reply_header(r, name, item->value);
}

/* Content type, etag, date: what both modes say. */
static void reply_validators(struct request *r, const struct df_info *info,
                             const char *content_type)
{
    char date[HTTPDATE_MAX];
    struct slice etag = metadata_value(info->metadata, "ETag");
    reply_header(r, "Content-Type",
                 content_type ? slice_of(content_type) : object_content_type(info));
    reply_headerf(r, "Etag", "\"%.*s\"", (int)etag.len, etag.at);
    httpdate_format((int64_t)timestamp_ceil_s(info->timestamp), date);
    reply_header(r, "Last-Modified", slice_of(date));
}

void reply_object_headers(struct request *r, const struct df_info *info, const char *content_type)
{
    char text[TIMESTAMP_TEXT_MAX];
    reply_validators(r, info, content_type);
    for (unsigned i = 0; i < info->metadata->count; i++) {
        const struct metadata_item *item = &info->metadata->items[i];
        if (is_user_meta(item->key) || is_sysmeta(item->key) || is_transient_sysmeta(item->key) ||
            is_allowed_header(r->loop->config, item->key))
            reply_item(r, item);
    }
    timestamp_normal(info->timestamp, text);
    reply_header(r, "X-Timestamp", slice_of(text));
    reply_timestamp(r, "X-Backend-Timestamp", info->timestamp);
    reply_timestamp(r, "X-Backend-Data-Timestamp", info->data_timestamp);
    reply_timestamp(r, "X-Backend-Durable-Timestamp", info->data_timestamp);
}

void reply_plain_headers(struct request *r, const struct df_info *info, const char *content_type)
{
    reply_validators(r, info, content_type);
    reply_header(r, "Accept-Ranges", SLICE("bytes"));
    for (unsigned i = 0; i < info->metadata->count; i++) {
        const struct metadata_item *item = &info->metadata->items[i];
        if (is_user_meta(item->key) || is_plain_header(item->key))
            reply_item(r, item);
    }
}
