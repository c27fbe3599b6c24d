/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/checks.h"
#include "server/verbs/comma_list.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/path.h"
#include <errno.h>
#include <inttypes.h>

#define DELETE_AT_MAX 9999999999

static bool refuse(struct refusal *ret_why, int status, const char *text)
{
    *ret_why = (struct refusal){.status = status, .text = text};
    return false;
}

int integer_parse(struct slice text, int64_t *ret)
{
    const int64_t limit = INT64_MAX / 16; /* beyond every limit that is checked */
    bool negative = text.len > 0 && text.at[0] == '-';
    size_t i = negative || (text.len > 0 && text.at[0] == '+') ? 1 : 0;
    int64_t value = 0;
    if (i == text.len)
        return -EINVAL;
    for (; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -EINVAL;
        value = value > limit / 10 ? limit : value * 10 + (text.at[i] - '0');
    }
    *ret = negative ? -value : value;
    return 0;
}

unsigned next_part_power(const struct request *r)
{
    const struct slice *text = request_header(r, "X-Backend-Next-Part-Power");
    int64_t power;
    bool good = text && integer_parse(*text, &power) == 0 && power >= 2 && power <= 32;
    return good ? (unsigned)power : 0;
}

bool check_timestamp(const struct request *r, bool optional, struct timestamp fallback,
                     struct timestamp *ret_ts, struct refusal *ret_why)
{
    const struct slice *text = request_header(r, "X-Timestamp");
    if (!text && !optional)
        return refuse(ret_why, 400, "Missing X-Timestamp header");
    if (!text) {
        *ret_ts = fallback;
        return true;
    }
    if (timestamp_parse(*text, ret_ts) < 0)
        return refuse(ret_why, 400, "Invalid X-Timestamp header");
    return true;
}

bool check_body_framing(const struct request *r, const struct config *c, struct refusal *ret_why)
{
    const struct slice *coding = request_header(r, "Transfer-Encoding");
    if (coding && memchr(coding->at, ',', coding->len))
        return refuse(ret_why, 501,
                      "Unsupported Transfer-Coding header value specified in Transfer-Encoding "
                      "header");
    if (coding && !slice_eq_nocase(*coding, SLICE("chunked")))
        return refuse(ret_why, 400, "Invalid Transfer-Encoding header value");
    if (!coding && r->has_length && r->content_length > (uint64_t)c->max_file_size)
        return refuse(ret_why, 413, "Your request is too large.");
    bool chunked = coding && slice_eq(*coding, SLICE("chunked"));
    if (!chunked && !(r->has_length && !r->chunked))
        return refuse(ret_why, 411, "Missing Content-Length header.");
    return true;
}

bool check_object_name(const struct request *r, const struct config *c, struct slice object,
                       struct refusal *ret_why)
{
    size_t length = utf8_count(object);
    if (length <= (size_t)c->max_object_name_length)
        return true;
    return refuse(ret_why, 400,
                  arena_printf(r->arena, "Object name length of %zu longer than %" PRId64, length,
                               c->max_object_name_length));
}

static int64_t clamped_time(int64_t seconds)
{
    return seconds < 0 ? 0 : seconds > DELETE_AT_MAX ? DELETE_AT_MAX : seconds;
}

/* -1, 0, 1: before, at, after. */
static int seconds_against(int64_t seconds, struct timestamp now)
{
    struct timestamp at = {(uint64_t)seconds * TIMESTAMP_TICKS_PER_S, 0};
    return timestamp_cmp(at, now);
}

bool check_expiry(const struct request *r, struct timestamp now, struct slice *ret_delete_at,
                  struct refusal *ret_why)
{
    const struct slice *after = request_header(r, "X-Delete-After");
    const struct slice *at = request_header(r, "X-Delete-At");
    int64_t seconds;
    *ret_delete_at = (struct slice){NULL, 0};
    if (after) {
        int64_t sum;
        if (integer_parse(*after, &seconds) < 0)
            return refuse(ret_why, 400, "Non-integer X-Delete-After");
        if (__builtin_add_overflow((int64_t)(now.ticks / TIMESTAMP_TICKS_PER_S), seconds, &sum))
            sum = seconds;
        sum = clamped_time(sum);
        if (seconds_against(sum, now) <= 0)
            return refuse(ret_why, 400, "X-Delete-After in past");
        *ret_delete_at = slice_of(arena_printf(r->arena, "%010" PRId64, sum));
        return true;
    }
    if (!at)
        return true;
    if (integer_parse(*at, &seconds) < 0)
        return refuse(ret_why, 400, "Non-integer X-Delete-At");
    if (seconds_against(clamped_time(seconds), now) <= 0 &&
        !request_header_true(r, "X-Backend-Replication"))
        return refuse(ret_why, 400, "X-Delete-At in past");
    *ret_delete_at = *at;
    return true;
}

bool check_post_expiry(const struct request *r, struct timestamp now, struct slice *ret_text,
                       struct refusal *ret_why)
{
    int64_t seconds;
    *ret_text = request_header_value(r, "X-Delete-At");
    if (ret_text->len == 0)
        return true;
    if (integer_parse(*ret_text, &seconds) < 0)
        return refuse(ret_why, 400, "Non-integer X-Delete-At");
    if (seconds != 0 && seconds_against(clamped_time(seconds), now) < 0) {
        (void)refuse(ret_why, 400, "X-Delete-At in past");
        ret_why->timed = true;
        return false;
    }
    return true;
}

bool check_content_type(const struct request *r, struct refusal *ret_why)
{
    struct slice type = request_header_value(r, "Content-Type");
    if (type.len == 0 || memchr(type.at, 0, type.len) || !utf8_valid(type))
        return refuse(ret_why, 400, "Invalid Content-Type");
    return true;
}

static bool check_item(const struct request *r, const struct config *c, struct slice name,
                       size_t value_len, struct refusal *ret_why)
{
    if (name.len == 0)
        return refuse(ret_why, 400, "Metadata name cannot be empty");
    if (name.len > (size_t)c->max_meta_name_length)
        return refuse(ret_why, 400,
                      arena_printf(r->arena, "Metadata name too long: x-object-meta-%.*s",
                                   (int)name.len, name.at));
    if (value_len > (size_t)c->max_meta_value_length)
        return refuse(ret_why, 400,
                      arena_printf(r->arena,
                                   "Metadata value longer than %" PRId64 ": x-object-meta-%.*s",
                                   c->max_meta_value_length, (int)name.len, name.at));
    return true;
}

bool check_metadata(const struct request *r, const struct config *c, struct refusal *ret_why)
{
    const struct slice prefix = SLICE("X-Object-Meta-");
    int64_t count = 0, total = 0;
    for (unsigned i = 0; i < r->header_count; i++) {
        struct slice key = header_key(r->arena, r->headers[i].name);
        size_t value_len = r->headers[i].value.len;
        if (!key.at)
            return refuse(ret_why, 500, NULL);
        if (value_len > (size_t)c->max_header_size)
            return refuse(ret_why, 400,
                          arena_printf(r->arena, "Header value too long: %.*s",
                                       (int)(key.len < 128 ? key.len : 128), key.at));
        if (!has_prefix(key, prefix))
            continue;
        struct slice name = {key.at + prefix.len, key.len - prefix.len};
        if (!check_item(r, c, name, value_len, ret_why))
            return false;
        total += (int64_t)(name.len + value_len);
        if (++count > c->max_meta_count)
            return refuse(
                ret_why, 400,
                arena_printf(r->arena, "Too many metadata items; max %" PRId64, c->max_meta_count));
        if (total > c->max_meta_overall_size)
            return refuse(ret_why, 400,
                          arena_printf(r->arena, "Total metadata too large; max %" PRId64,
                                       c->max_meta_overall_size));
    }
    return true;
}

bool check_object_length(const struct request *r, int64_t *ret_length, struct refusal *ret_why)
{
    const struct slice *text = request_header(r, "X-Backend-Obj-Content-Length");
    *ret_length = r->chunked ? -1 : (int64_t)r->content_length;
    if (!r->chunked || !text)
        return true;
    if (integer_parse(*text, ret_length) < 0 || *ret_length < 0)
        return refuse(ret_why, 400, "X-Backend-Obj-Content-Length is not an integer");
    return true;
}
