/* SPDX-License-Identifier: Apache-2.0 */
/* json.h -- a strict reader of JSON, front to back, without building anything.
 *
 *   json_open(&j, text) -> json_object(&j) -> json_member(&j, name)* -> ... -> j.wrong?
 *
 * The caller walks; what it does not want it skips. After an error every call says "no more" or
 * does nothing, so only the end need be checked: j.wrong, or NULL. Any thread; no memory. */
#ifndef OBJSRV_JSON_H
#define OBJSRV_JSON_H

#include "diskfile/slice.h"
#include <stdbool.h>
#include <stddef.h>

struct json {
    const char *at, *end;
    const char *wrong; /* what was expected and not there */
    bool first;        /* the next member or element is the first */
};

void json_open(struct json *j, struct slice text);

/* What comes next: '{', '[', '"', 'n' (null), 't', 'f', '0' (a number), or 0. */
char json_kind(struct json *j);

/* Behind the bracket; then json_member() or json_element() until they say false. */
void json_object(struct json *j);
bool json_member(struct json *j, char *ret_name, size_t len);
void json_array(struct json *j);
bool json_element(struct json *j);

/* Escapes are decoded; characters beyond ASCII, and what does not fit, become '?'. */
void json_text(struct json *j, char *ret_text, size_t len);
double json_number(struct json *j);
void json_skip(struct json *j);

#endif
