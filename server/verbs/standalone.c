/* SPDX-License-Identifier: Apache-2.0 */
/* standalone.c -- plain URLs, /container/key...: which object is meant, and PUT.
 *
 * Nothing here looks at X-Timestamp, X-Backend-*, X-Container-* or X-Delete-At-*: the server
 * is alone, gives times itself and connects to nobody. */
#include "server/loop.h"
#include "server/verbs/answer.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/path.h"
#include "server/verbs/upload.h"
#include <errno.h>
#include <stdio.h>

#define ACCOUNT "objsrv" /* part of every object's name on disk */

/* ---- PUT ---- */

/* Runs on a pool thread, first when the upload starts and again under the partition's lock. */
static int judge(struct upload *up, const struct df_info *info)
{
    struct validators v = {.found = info->state == DF_LIVE,
                           .etag = metadata_value(info->metadata, "ETag"),
                           .last_modified_s = (int64_t)timestamp_ceil_s(info->timestamp)};
    up->seen = info->timestamp;
    up->verdict = conditions_rfc9110(&up->conditions, &v, false);
    if (up->verdict)
        return -EPERM;
    return up->time_fixed && timestamp_cmp(up->seen, up->timestamp) >= 0 ? -ESTALE : 0;
}

static void refused(struct request *r, struct upload *up)
{
    answer_plain(r, up->verdict,
                 "the object is not as If-Match, If-None-Match or If-Unmodified-Since want it: "
                 "nothing was stored");
}

static void created(struct request *r, struct upload *up)
{
    reply_begin(r, 201);
    reply_headerf(r, "Etag", "\"%s\"", up->md5_hex);
    reply_send(r, NULL, 0);
    request_done(r);
}

static const struct upload_form form = {
    .name = "PUT", .own_clock = true, .judge = judge, .refused = refused, .created = created};

static bool refuse(struct refusal *ret_why, int status, const char *text)
{
    *ret_why = (struct refusal){.status = status, .text = text};
    return false;
}

static bool check_length(const struct request *r, struct upload *up, struct refusal *ret_why)
{
    const int64_t max = r->loop->config->max_file_size;
    if (!r->chunked && !r->has_length)
        return refuse(ret_why, 411,
                      "the length of the body is not known: send Content-Length or "
                      "Transfer-Encoding: chunked");
    if (!r->chunked && r->content_length > (uint64_t)max)
        return refuse(
            ret_why, 413,
            arena_printf(r->arena, "the object is too large: at most %lld bytes", (long long)max));
    up->size = r->chunked ? -1 : (int64_t)r->content_length;
    return true;
}

static bool check_ranges_absent(const struct request *r, struct refusal *ret_why)
{
    if (!request_header(r, "Content-Range"))
        return true;
    return refuse(ret_why, 400, "Content-Range in a PUT: objects are written whole");
}

/* ETag and Content-MD5 of what is to come. */
static bool check_checksums(const struct request *r, struct upload *up, struct refusal *ret_why)
{
    const struct slice *md5 = request_header(r, "Content-MD5");
    struct slice etag = request_header_value(r, "ETag");
    if (etag.len == MD5_HEX_LEN + 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"')
        etag = (struct slice){etag.at + 1, MD5_HEX_LEN};
    if (etag.len > 0) {
        char *lower = arena_text(r->arena, etag);
        if (!lower)
            return refuse(ret_why, 500, "out of memory");
        size_t digits = strspn(lower, "0123456789abcdefABCDEF");
        if (digits != MD5_HEX_LEN || etag.len != MD5_HEX_LEN)
            return refuse(ret_why, 400, "ETag in a PUT must be the body's MD5 in 32 hex digits");
        for (size_t i = 0; i < MD5_HEX_LEN; i++)
            if (lower[i] >= 'A' && lower[i] <= 'F')
                lower[i] += 'a' - 'A';
        up->etag = (struct slice){lower, MD5_HEX_LEN};
    }
    up->has_content_md5 = md5;
    if (md5 && md5_parse_base64(*md5, up->content_md5) < 0)
        return refuse(ret_why, 400, "Content-MD5 must be the base64 of 16 bytes");
    return true;
}

static bool check_type(const struct request *r, struct slice *ret_type, struct refusal *ret_why)
{
    *ret_type = request_header_value(r, "Content-Type");
    if (ret_type->len == 0)
        *ret_type = SLICE("application/octet-stream");
    if (utf8_valid(*ret_type) && !memchr(ret_type->at, 0, ret_type->len))
        return true;
    return refuse(ret_why, 400, "Content-Type is not valid UTF-8");
}

void put_plain(struct request *r, const struct target *target)
{
    struct refusal why = {.status = 500};
    struct slice type;
    struct upload *up = upload_new(r, &form, target);
    if (!up)
        return;
    up->conditions = conditions_of(r);
    if (!check_length(r, up, &why) || !check_ranges_absent(r, &why) ||
        !check_checksums(r, up, &why) || !check_type(r, &type, &why) ||
        !check_metadata(r, r->loop->config, &why) ||
        metadata_set(&up->metadata, SLICE("Content-Type"), type) < 0 ||
        metadata_from_request(r, META_OF_PLAIN, &up->metadata) < 0) {
        upload_drop(up);
        answer_refusal(r, &why);
        return;
    }
    upload_start(r, up);
}

/* ---- which object, which method ---- */

static const struct {
    const char *method;
    void (*start)(struct request *r, const struct target *target);
} methods[] = {{"GET", get_start},
               {"HEAD", get_start},
               {"PUT", put_plain},
               {"POST", post_plain},
               {"DELETE", delete_plain}};

static void answer_method(struct request *r)
{
    static const char text[] = "this method is not known here: expected GET, HEAD, PUT, POST or "
                               "DELETE\n";
    reply_begin(r, 405);
    reply_header(r, "Allow", SLICE("DELETE, GET, HEAD, POST, PUT"));
    answer_with_text(r, text, "text/plain; charset=utf-8");
}

static bool find_target(struct request *r, struct target *ret, struct refusal *ret_why)
{
    bool no_key;
    *ret = (struct target){.plain = true, .name = {.account = SLICE(ACCOUNT)}};
    const char *problem =
        path_split_plain(r->path, &ret->name.container, &ret->name.object, &no_key);
    if (problem) {
        bool reads = slice_eq(r->method, SLICE("GET")) || is_head(r);
        return refuse(ret_why, no_key && reads ? 404 : 400, problem);
    }
    if (slice_eq(ret->name.container, SLICE("healthcheck")))
        return refuse(ret_why, 400,
                      "\"healthcheck\" cannot be a container: /healthcheck tells "
                      "whether the server is well");
    char *partition = arena_alloc(r->arena, 16);
    const char *device = partition
                             ? df_store_place(r->loop->store, ret->name.account,
                                              ret->name.container, ret->name.object, partition)
                             : NULL;
    if (!device)
        return refuse(ret_why, 500, NULL);
    ret->name.device = slice_of(device);
    r->device = ret->name.device;
    ret->name.partition = slice_of(partition);
    return true;
}

void standalone_dispatch(struct request *r)
{
    struct target target;
    struct refusal why;
    for (unsigned i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!slice_eq(r->method, slice_of(methods[i].method)))
            continue;
        if (find_target(r, &target, &why))
            methods[i].start(r, &target);
        else
            answer_refusal(r, &why);
        return;
    }
    answer_method(r);
}
