/* SPDX-License-Identifier: Apache-2.0 */
/* json.h -- JSON as a tree of values: recon's cache, the auditor's status files, --json.
 *
 * Numbers keep their text, so what is read and written again stays as it was. Objects keep
 * their order until json_print(), which sorts keys as Swift's daemons do.
 * Ownership: json_free() frees a value with all below it; what is added to a parent is given.
 * Errors: NULL without memory, or for text that is no JSON (-EBADMSG where one can tell). */
#ifndef OBJSRV_JSON_H
#define OBJSRV_JSON_H

#include "diskfile/slice.h"
#include <stdint.h>
#include <stdio.h>

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    enum json_type type;
    char *text; /* JSON_NUMBER as written; JSON_STRING in UTF-8, NUL-terminated */
    size_t text_len;
    char *key; /* of a member of an object */
    struct json *first, *last, *next;
};

/* One value and nothing behind it but blanks. */
struct json *json_parse(struct slice text);
void json_free(struct json *v);

struct json *json_object(void);
struct json *json_array(void);
struct json *json_string(struct slice text);
struct json *json_integer(int64_t n);
struct json *json_real(double n); /* as Python prints it: 0.5, 3.0 */
struct json *json_bool(bool yes);

/* NULL when absent, or `object` is none. */
struct json *json_get(const struct json *object, const char *key);

/* Adds, or replaces. `take_value` NULL (no memory) is passed on. 0 or -ENOMEM. */
int json_set(struct json *object, const char *key, struct json *take_value);
void json_remove(struct json *object, const char *key);
int json_append(struct json *array, struct json *take_value);

/* On one line, ASCII only, keys sorted, ", " and ": " between: what Python's json.dumps
 * (sort_keys=True) prints. No newline. */
void json_print(const struct json *v, FILE *out);
void json_print_text(struct slice text, FILE *out); /* one string, quoted */

#endif
