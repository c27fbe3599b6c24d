/* SPDX-License-Identifier: Apache-2.0 */
/* put.c -- PUT as Swift's proxy and daemons send it (http-api 7). */
#include "server/loop.h"
#include "server/updates/queue_row.h"
#include "server/updates/tell.h"
#include "server/verbs/answer.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/object_headers.h"
#include "server/verbs/unsupported.h"
#include "server/verbs/upload.h"
#include <errno.h>

/* ---- what exists ---- */

/* The time that blocks older PUTs: of the data file if live, else of whatever was there. */
static struct timestamp blocking_time(const struct df_info *info)
{
    return info->state == DF_LIVE ? info->data_timestamp : info->timestamp;
}

static int judge(struct upload *up, const struct df_info *info)
{
    const struct slice *list = up->conditions.if_none_match;
    up->seen = blocking_time(info);
    if (info->state == DF_LIVE) {
        up->old_expiry = queue_time_of(metadata_value(info->metadata, "X-Delete-At"));
        if (list && list->len > 0 && etag_listed(*list, metadata_value(info->metadata, "ETag")))
            up->verdict = 412;
    }
    if (up->verdict == 0 && timestamp_cmp(up->seen, up->timestamp) >= 0)
        up->verdict = 409;
    return up->verdict ? -EPERM : 0;
}

static void refused(struct request *r, struct upload *up)
{
    r->untimed = true;
    reply_begin(r, up->verdict);
    if (up->verdict == 409)
        reply_timestamp(r, "X-Backend-Timestamp", up->seen);
    answer_with_default(r, up->verdict);
}

static void told(void *arg)
{
    struct upload *up = arg;
    struct request *r = up->request;
    reply_begin(r, 201);
    reply_headerf(r, "Etag", "\"%s\"", up->md5_hex);
    answer_with_nothing(r);
}

/* Durable: now others may know. */
static void created(struct request *r, struct upload *up)
{
    const struct tell tell = {r, &up->target, up->timestamp, told, up};
    const struct put_facts facts = {.size = up->received,
                                    .content_type = request_header_value(r, "Content-Type"),
                                    .timestamp = up->timestamp,
                                    .etag = {up->md5_hex, MD5_HEX_LEN}};
    up->request = r;
    tell_put(&tell, up->old_expiry, up->expiry, &facts);
}

static const struct upload_form form = {
    .name = "PUT", .judge = judge, .refused = refused, .created = created};

/* ---- what is asked ---- */

static struct slice expected_etag(const struct request *r)
{
    struct slice etag = request_header_value(r, "Etag");
    if (etag.len >= 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"')
        return (struct slice){etag.at + 1, etag.len - 2};
    return etag;
}

static bool check(struct request *r, struct upload *up, struct slice *ret_delete_at,
                  struct refusal *ret_why)
{
    const struct config *c = r->loop->config;
    const struct timestamp none = {0};
    return check_timestamp(r, false, none, &up->timestamp, ret_why) &&
           check_body_framing(r, c, ret_why) &&
           check_object_name(r, c, up->target.name.object, ret_why) &&
           check_expiry(r, up->timestamp, ret_delete_at, ret_why) &&
           check_content_type(r, ret_why) && check_metadata(r, c, ret_why) &&
           check_object_length(r, &up->size, ret_why);
}

static int collect_metadata(struct request *r, struct upload *up, struct slice delete_at)
{
    struct metadata *m = &up->metadata;
    int res = metadata_set(m, SLICE("Content-Type"), request_header_value(r, "Content-Type"));
    if (res == 0)
        res = metadata_from_request(r, META_OF_PUT, m);
    if (res == 0 && delete_at.len > 0 && is_allowed_header(r->loop->config, SLICE("X-Delete-At")))
        res = metadata_set(m, SLICE("X-Delete-At"), delete_at);
    return res;
}

static bool is_mime(const struct request *r)
{
    return request_header_true(r, "X-Backend-Obj-Metadata-Footer") ||
           request_header_true(r, "X-Backend-Obj-Multiphase-Commit");
}

void put_swift(struct request *r, const struct target *target)
{
    struct slice delete_at;
    struct refusal why;
    struct upload *up = upload_new(r, &form, target);
    if (!up)
        return;
    if (!check(r, up, &delete_at, &why)) {
        upload_drop(up);
        answer_refusal(r, &why);
    } else if (is_mime(r)) {
        upload_drop(up);
        answer_unsupported(r, "PUT with footers or in two phases");
    } else if (collect_metadata(r, up, delete_at) < 0) {
        upload_drop(up);
        answer_status(r, 500);
    } else {
        up->next_part_power = next_part_power(r);
        up->expiry = queue_time_of(delete_at);
        up->etag = expected_etag(r);
        up->conditions = conditions_of(r);
        upload_start(r, up);
    }
}
