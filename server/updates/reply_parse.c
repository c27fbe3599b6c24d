/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/reply_parse.h"
#include <errno.h>

/* In the order of reply_parse.values. */
static const struct slice kept_names[] = {
    {"Location", 8},
    {"X-Backend-Redirect-Timestamp", 28},
    {"X-Backend-Location-Is-Quoted", 28},
};
enum { VALUE_LOCATION, VALUE_TIMESTAMP, VALUE_QUOTED, VALUES };

static struct kept_value *value_of(struct reply_parse *p)
{
    for (unsigned i = 0; i < VALUES; i++)
        if (slice_eq_nocase(kept_names[i], (struct slice){p->name, p->name_len}))
            return &p->values[i];
    return NULL;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct reply_parse *p = parser->data;
    if (p->in_value)
        p->name_len = 0;
    p->in_value = false;
    if (p->name_len + len > sizeof(p->name))
        p->name_len = sizeof(p->name) + 1; /* none of ours */
    else
        memcpy(p->name + p->name_len, at, len);
    if (p->name_len <= sizeof(p->name))
        p->name_len += len;
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct reply_parse *p = parser->data;
    if (!p->in_value) {
        p->in_value = true;
        p->value = p->name_len <= sizeof(p->name) ? value_of(p) : NULL;
        if (p->value)
            p->value->len = 0;
    }
    if (!p->value)
        return 0;
    if (p->value->len + len > sizeof(p->value->at))
        return -1;
    memcpy(p->value->at + p->value->len, at, len);
    p->value->len += len;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct reply_parse *p = parser->data;
    p->in_body = parser->status_code >= 200;
    return 0;
}

/* An interim reply is as if it had not been. */
static int on_whole(llhttp_t *parser)
{
    struct reply_parse *p = parser->data;
    p->in_value = false;
    p->name_len = 0;
    if (!p->in_body) {
        for (unsigned i = 0; i < VALUES; i++)
            p->values[i].len = 0;
        return 0;
    }
    p->whole = true;
    p->keep = llhttp_should_keep_alive(parser);
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_message_complete = on_whole,
};

void reply_parse_begin(struct reply_parse *p)
{
    p->head_len = 0;
    p->in_body = p->whole = p->keep = p->in_value = false;
    p->name_len = 0;
    p->value = NULL;
    for (unsigned i = 0; i < VALUES; i++)
        p->values[i].len = 0;
    llhttp_init(&p->parser, HTTP_RESPONSE, &settings);
    p->parser.data = p;
}

int reply_parse_bytes(struct reply_parse *p, const char *at, size_t len)
{
    if (p->whole) {
        p->keep = false;
        return 0;
    }
    if (!p->in_body && (p->head_len += len) > REPLY_HEAD_MAX)
        return -EPROTO;
    llhttp_errno_t err = llhttp_execute(&p->parser, at, len);
    if (p->whole) {
        if (llhttp_get_error_pos(&p->parser) != at + len)
            p->keep = false;
        return 0;
    }
    return err == HPE_OK ? 0 : -EPROTO;
}

bool reply_parse_eof(struct reply_parse *p)
{
    if (!p->whole && p->in_body)
        (void)llhttp_finish(&p->parser); /* ends a body that has no length */
    p->keep = false;
    return p->whole;
}

static struct slice without_blanks_behind(const struct kept_value *value)
{
    size_t len = value->len;
    while (len > 0 && (value->at[len - 1] == ' ' || value->at[len - 1] == '\t'))
        len--;
    return (struct slice){value->at, len};
}

struct client_reply reply_parsed(const struct reply_parse *p)
{
    struct slice values[VALUES];
    for (unsigned i = 0; i < VALUES; i++)
        values[i] = without_blanks_behind(&p->values[i]);
    return (struct client_reply){.status = p->parser.status_code,
                                 .location = values[VALUE_LOCATION],
                                 .redirect_timestamp = values[VALUE_TIMESTAMP],
                                 .location_is_quoted = values[VALUE_QUOTED]};
}
