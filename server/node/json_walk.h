/* SPDX-License-Identifier: Apache-2.0 */
/* json_walk.h -- a strict reader of JSON, front to back, without building anything.
 *
 *   json_walk_open(&j, text) -> json_walk_object(&j) -> json_walk_member(&j, name)* -> ... ->
 * j.wrong?
 *
 * The caller walks; what it does not want it skips. After an error every call says "no more" or
 * does nothing, so only the end need be checked: j.wrong, or NULL. Any thread; no memory. */
#ifndef OBJSRV_JSON_WALK_H
#define OBJSRV_JSON_WALK_H

#include "diskfile/slice.h"
#include <stdbool.h>
#include <stddef.h>

struct json_walk {
    const char *at, *end;
    const char *wrong; /* what was expected and not there */
    bool first;        /* the next member or element is the first */
};

void json_walk_open(struct json_walk *j, struct slice text);

/* What comes next: '{', '[', '"', 'n' (null), 't', 'f', '0' (a number), or 0. */
char json_walk_kind(struct json_walk *j);

/* Behind the bracket; then json_walk_member() or json_walk_element() until they say false. */
void json_walk_object(struct json_walk *j);
bool json_walk_member(struct json_walk *j, char *ret_name, size_t len);
void json_walk_array(struct json_walk *j);
bool json_walk_element(struct json_walk *j);

/* Escapes are decoded; characters beyond ASCII, and what does not fit, become '?'. */
void json_walk_text(struct json_walk *j, char *ret_text, size_t len);
double json_walk_number(struct json_walk *j);
void json_walk_skip(struct json_walk *j);

#endif
