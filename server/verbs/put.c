/* SPDX-License-Identifier: Apache-2.0 */
/* put.c -- PUT as Swift's proxy and daemons send it (http-api 7). */
#include "server/loop.h"
#include "server/updates/queue_row.h"
#include "server/updates/tell.h"
#include "server/verbs/answer.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/object_headers.h"
#include "server/verbs/unsupported.h"
#include "server/verbs/upload_mime.h"
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
    const struct metadata footers = {.items = up->footers.items, .count = up->footers.count};
    const struct put_facts facts = {.size = up->received,
                                    .content_type = request_header_value(r, "Content-Type"),
                                    .timestamp = up->timestamp,
                                    .etag = {up->md5_hex, MD5_HEX_LEN},
                                    .footers = &footers};
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

/* X-Backend-Ssync-Frag-Index: only this fragment is in the way, and it is the one that comes
 * if the metadata does not say otherwise. */
static bool read_fragment_headers(struct request *r, struct upload *up)
{
    const struct df_policy *p = &config_policy(r->loop->config, up->target.name.policy)->df;
    const struct slice *text = request_header(r, "X-Backend-Ssync-Frag-Index");
    if (!p->erasure_coded)
        return true;
    up->fragments = p->data_fragments + p->parity_fragments;
    up->no_commit = request_header_true(r, "X-Backend-No-Commit");
    up->wish.only_index = text != NULL;
    return !text || fragment_index_parse(*text, up->fragments, &up->wish.index) == 0;
}

static bool read_mime_headers(struct request *r, struct upload *up)
{
    if (!upload_mime_asked(r))
        return true;
    up->mime = upload_mime_new(r, up);
    return up->mime != NULL;
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
    } else if (!read_fragment_headers(r, up) || !read_mime_headers(r, up) ||
               collect_metadata(r, up, delete_at) < 0) {
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
