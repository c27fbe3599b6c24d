/* SPDX-License-Identifier: Apache-2.0 */
/* head.h -- from the bytes of a request's head to the fields of struct request. No I/O.
 *
 *   head_scan() as bytes arrive -> HEAD_MORE ... HEAD_WHOLE -> head_parse() -> HEAD_WHOLE
 *                                           `-> a refusal             `-> a refusal
 *
 * head_scan() holds the limits and judges the request line, so that a refusal does not wait for
 * bytes that may never come. head_parse() has llhttp judge the header lines and the framing, all
 * lenient flags off. llhttp never sees the request line, and header names with bytes it does not
 * take are masked in what it is fed; offsets are the same, so names come out as received.
 *
 * After a refusal the connection must close: where the next request begins is unknown.
 * Not here: sockets, bodies, what a path means. */
#ifndef OBJSRV_HEAD_H
#define OBJSRV_HEAD_H

#include "server/http/request.h"
#include <llhttp.h>

enum head_verdict {
    HEAD_MORE,
    HEAD_WHOLE,
    /* refusals: rows of head_refusal() */
    HEAD_URI_TOO_LONG,
    HEAD_LINE_TOO_LONG,
    HEAD_TOO_LARGE,
    HEAD_TOO_MANY,
    HEAD_BAD_LENGTH,
    HEAD_BAD_SYNTAX,
    HEAD_BAD_VERSION,
    HEAD_VERSION_UNKNOWN,
    HEAD_BAD_HEADER,
    HEAD_BAD_CODING,
    HEAD_BAD_HOST,
    HEAD_BAD_PERCENT,
    HEAD_VERDICTS
};

struct head_limits {
    size_t request_line; /* a line of so many bytes, CRLF included, is too long */
    size_t header_line;
    size_t all;     /* all header lines together may have so many bytes */
    unsigned lines; /* and be so many, the empty one counted */
    bool standalone;
};

struct config;
struct head_limits head_limits_of(const struct config *c);

/* How far a head has been looked at; zeroed at its first byte. */
struct head_scan {
    size_t at;    /* start of the line being scanned */
    size_t seen;  /* no LF in [at, seen) */
    size_t first; /* length of the request line, 0: not there yet */
    unsigned lines;
};

/* `bytes` begins with the head and has grown since the last call. HEAD_WHOLE: *ret_len of them
 * are the head. */
enum head_verdict head_scan(struct head_scan *s, const struct head_limits *limits,
                            const char *bytes, size_t len, size_t *ret_len);

/* Bits of request.state_bits that head_parse() sets. */
enum {
    HEAD_KEEP_ALIVE = 1,
    HEAD_BODY_UNREADABLE = 2, /* a transfer coding nobody here knows: no way to find its end */
    HEAD_AMBIGUOUS = 4,       /* chunked and Content-Length: close after the reply */
};

/* `bytes` is a whole head as scanned; it is scribbled on. Fills r's first part, in r->arena, and
 * initialises the parser, which with parser->settings exchanged goes on to take the body. */
enum head_verdict head_parse(struct request *r, llhttp_t *parser, const struct head_scan *s,
                             const struct head_limits *limits, char *bytes, size_t len);

/* What is answered, whole: status line to body; the date goes in place of the %s, if any.
 * In Swift's words, or one clear line where the server runs alone. Borrowed. */
struct head_refusal {
    int status;
    const char *status_line; /* without CRLF */
    const char *type;        /* Content-Type, or NULL: no body and no Date either */
    const char *body;
};
struct head_refusal head_refusal(enum head_verdict verdict, bool standalone);

#endif
