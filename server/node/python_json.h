/* SPDX-License-Identifier: Apache-2.0 */
/* python_json.h -- a value of libjansson as Python's json.dumps() writes it.
 *
 * JSON is read, built and held by libjansson. Its own writer does not fit where Swift's tools and
 * people look at the bytes: it writes 0.1 as 0.10000000000000001, \u00E9 in capitals, and refuses
 * names that are no UTF-8, as names of files may be. Here a real number has the fewest digits that
 * read back the same, all that is not ASCII is escaped, and bytes that are no UTF-8 become lone
 * surrogates (make such texts with json_stringn_nocheck()). ", " and ": " stand between; objects
 * keep their order unless `sorted`, which is sort_keys=True.
 *
 * What libjansson does not read is no JSON here either, though Python's: NaN and Infinity, integers
 * beyond 64 bits, lone surrogates. Any thread; values are lent. */
#ifndef OBJSRV_PYTHON_JSON_H
#define OBJSRV_PYTHON_JSON_H

#include "diskfile/slice.h"
#include <jansson.h>
#include <stdio.h>

/* On one line, no newline. -ENOMEM; what the stream refuses is known to its ferror(). */
int python_json_print(const json_t *value, bool sorted, FILE *out);

/* One string, quoted. */
void python_json_print_text(struct slice text, FILE *out);

/* NUL behind it, yours to free. NULL: no memory. */
char *python_json_dumps(const json_t *value, bool sorted, size_t *ret_len);

#endif
