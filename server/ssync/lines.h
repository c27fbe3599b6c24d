/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h -- bytes that arrived in pieces, taken out as lines or as they are. Pure.
 *
 *   lines_add* -> lines_next (a line) | lines_bytes, lines_skip (bytes of a body) -> lines_free
 *
 * Zeroed at first. A line handed out is lent until the next lines_add(). */
#ifndef OBJSRV_SSYNC_LINES_H
#define OBJSRV_SSYNC_LINES_H

#include "diskfile/slice.h"

enum { LINE_MAX_BYTES = 65536 };

struct lines {
    char *at;
    size_t start, end, room; /* of at[] */
    size_t scanned;          /* no LF in [start, scanned) */
};

enum line_verdict { LINE_MORE, LINE_WHOLE, LINE_TOO_LONG };

int lines_add(struct lines *l, const char *at, size_t len); /* copies; 0 or -ENOMEM */
void lines_free(struct lines *l);

/* The next line, its LF included. */
enum line_verdict lines_next(struct lines *l, struct slice *ret_line);

struct slice lines_bytes(const struct lines *l); /* all that is here */
void lines_skip(struct lines *l, size_t len);    /* at most that many */

/* Without the blanks at both ends (space, TAB, CR, LF, VT, FF). */
struct slice line_strip(struct slice line);

/* The next word that blanks separate, and the rest behind it; empty: there is none. */
struct slice line_word(struct slice *line);

#endif
