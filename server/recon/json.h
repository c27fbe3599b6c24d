/* SPDX-License-Identifier: Apache-2.0 */
/* json.h -- JSON out, byte for byte as Python's json.dumps() writes it, and JSON checked and
 * copied through.
 *
 *   json_init -> json_object { json_key, json_...(value) }* json_end -> json_take
 *
 * Separators are ", " and ": "; all that is not ASCII is escaped; bytes that are no UTF-8 become
 * lone surrogates, as Python has them in file names. Memory: a document that could not grow is
 * remembered, and json_take() gives NULL. One thread. */
#ifndef OBJSRV_JSON_H
#define OBJSRV_JSON_H

#include "diskfile/slice.h"
#include <stdint.h>

struct json {
    char *text;
    size_t len, room;
    bool failed;
    bool comma; /* the next value or key stands behind another */
};

void json_init(struct json *j);
void json_object(struct json *j);
void json_array(struct json *j);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_key(struct json *j, struct slice key);
void json_text(struct json *j, struct slice text);
void json_int(struct json *j, int64_t value);
void json_float(struct json *j, double value);
void json_bool(struct json *j, bool value);
void json_null(struct json *j);

/* The text, NUL behind it, yours to free; NULL without memory. */
char *json_take(struct json *j, size_t *ret_len);

/* ---- reading ---- */

#define JSON_DEPTH_MAX 200

/* Is `document` one object of valid JSON? Then values[i] is what stands under keys[i] (empty:
 * nothing). Strict, but NaN and Infinity are numbers, as Python has it. -EINVAL. */
int json_find(struct slice document, const char *const *keys, unsigned count,
              struct slice *ret_values);

/* Writes a value that json_find() found, in json.dumps()'s own form. */
void json_copy(struct json *j, struct slice value);

#endif
