/* SPDX-License-Identifier: Apache-2.0 */
/* reply_parse.h -- a reply of a container server, as far as it matters. No I/O.
 *
 *   reply_parse_begin -> reply_parse_bytes* [-> reply_parse_eof] */
#ifndef OBJSRV_REPLY_PARSE_H
#define OBJSRV_REPLY_PARSE_H

#include "server/updates/client.h"
#include <llhttp.h>

#define REPLY_NAME_MAX  64
#define REPLY_VALUE_MAX 4096
#define REPLY_HEAD_MAX  65536

struct reply_parse {
    llhttp_t parser;
    size_t head_len; /* bytes of heads so far, interim replies' included */
    bool in_body;    /* the final head is whole */
    bool whole;      /* the reply is */
    bool keep;       /* the connection may be used again, once whole */
    char name[REPLY_NAME_MAX];
    size_t name_len; /* may exceed what is kept */
    bool in_value;
    struct kept_value {
        char at[REPLY_VALUE_MAX];
        size_t len;
    } values[3];
    struct kept_value *value; /* the one being read, or NULL */
};

void reply_parse_begin(struct reply_parse *p);
/* 0, or -EPROTO: this is no reply. Bytes behind the end of the reply make it not `keep`. */
int reply_parse_bytes(struct reply_parse *p, const char *at, size_t len);
/* The other side has closed: is the reply whole now? */
bool reply_parse_eof(struct reply_parse *p);
/* Once whole. Borrowed. */
struct client_reply reply_parsed(const struct reply_parse *p);

#endif
