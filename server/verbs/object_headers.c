/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/object_headers.h"
#include "server/loop.h"
#include "server/verbs/footers.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/httpdate.h"

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
    if (info->fragment_count == 0) {
        reply_timestamp(r, "X-Backend-Durable-Timestamp", info->data_timestamp);
        return;
    }
    if (!timestamp_is_zero(info->durable_timestamp))
        reply_timestamp(r, "X-Backend-Durable-Timestamp", info->durable_timestamp);
    reply_header(r, "X-Backend-Fragments", fragments_text(r->arena, info));
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
