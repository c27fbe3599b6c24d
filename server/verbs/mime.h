/* SPDX-License-Identifier: Apache-2.0 */
/* mime.h -- a multipart body taken apart as it arrives (http-api 8). Pure.
 *
 *   mime_init -> mime_read* (until MIME_MORE, for each piece of input)
 *             -> mime_finish* (until MIME_END) where the input ends
 *
 *   CRLF* --B CRLF  headers CRLF  bytes  CRLF--B CRLF  headers ...  CRLF--B--
 *
 * Where the input is cut does not matter. A part also ends where the input does. Nothing is
 * buffered but headers and what may be the beginning of a boundary. */
#ifndef OBJSRV_MIME_H
#define OBJSRV_MIME_H

#include "diskfile/slice.h"
#include <stdbool.h>

#define MIME_HEADERS_MAX 8192 /* of one part; more is MIME_BAD */

enum mime_event {
    MIME_MORE,     /* the input is used up */
    MIME_PART,     /* a part's headers are whole: mime_header() */
    MIME_DATA,     /* some of its bytes, in *ret_data: borrowed until the next call */
    MIME_PART_END, /* its last byte was seen */
    MIME_END,      /* the last boundary was; whatever follows is nothing */
    MIME_BAD       /* does not begin with the boundary, or headers are too long */
};

enum mime_state { MIME_OPENING, MIME_HEADERS, MIME_BODY, MIME_AFTER, MIME_OVER, MIME_BROKEN };

struct mime {
    enum mime_state state;
    struct slice mark; /* CRLF--B */
    size_t matched;    /* bytes of `mark` just seen, that are bytes of the part if it fails */
    size_t line_len;   /* MIME_OPENING: the line so far; MIME_HEADERS: the line's beginning */
    struct slice owed; /* bytes of the part that were seen with its headers */
    bool mark_is_due;  /* MIME_PART was told because of a boundary, which ends the part */
    char after[2];
    unsigned after_len;
    char *headers; /* MIME_HEADERS_MAX bytes */
    size_t headers_len;
};

/* Room for mime_init(): the boundary's own length and what is added to it. */
#define MIME_MEMORY(boundary_len) ((boundary_len) + 4 + MIME_HEADERS_MAX)

/* `memory` is lent for the reader's life. */
void mime_init(struct mime *m, struct slice boundary, char *memory);

/* Advances *input. */
enum mime_event mime_read(struct mime *m, struct slice *input, struct slice *ret_data);

/* There is no more input. After MIME_END or MIME_BAD no more calls. */
enum mime_event mime_finish(struct mime *m, struct slice *ret_data);

/* Of the part begun last: its value without blanks around it, or empty. The last one counts. */
struct slice mime_header(const struct mime *m, const char *name);

#endif
