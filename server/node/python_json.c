/* SPDX-License-Identifier: Apache-2.0 */
/* python_json.c -- see python_json.h. */
#include "server/node/python_json.h"
#include "server/node/float_text.h"
#include <errno.h>
#include <stdlib.h>

/* ---- texts ---- */

/* Length of the well-formed UTF-8 sequence at `at`, 0: none. */
static unsigned sequence(const unsigned char *at, size_t left, unsigned *ret_point)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned len = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (len == 0 || len > left || at[0] > 0xf4)
        return 0;
    unsigned point = len == 1 ? at[0] : at[0] & (0x7fu >> len);
    for (unsigned i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return 0;
    *ret_point = point;
    return len;
}

static void print_point(unsigned point, FILE *out)
{
    static const char escaped[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    const char *at = point > 0 && point < 0x80 ? strchr(escaped, (int)point) : NULL;
    if (at != NULL)
        fprintf(out, "\\%c", letters[at - escaped]);
    else if (point >= 0x20 && point < 0x7f)
        fputc((int)point, out);
    else if (point < 0x10000)
        fprintf(out, "\\u%04x", point);
    else
        fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
                0xdc00 + (point & 0x3ff));
}

void python_json_print_text(struct slice text, FILE *out)
{
    const unsigned char *at = (const unsigned char *)text.at;
    fputc('"', out);
    for (size_t i = 0; i < text.len;) {
        unsigned point = 0, len = sequence(at + i, text.len - i, &point);
        print_point(len > 0 ? point : 0xdc00u + at[i], out);
        i += len > 0 ? len : 1;
    }
    fputc('"', out);
}

/* ---- containers ---- */

static int print_array(const json_t *array, bool sorted, FILE *out)
{
    int res = 0;
    fputc('[', out);
    for (size_t i = 0; i < json_array_size(array) && res == 0; i++) {
        fputs(i > 0 ? ", " : "", out);
        res = python_json_print(json_array_get(array, i), sorted, out);
    }
    fputc(']', out);
    return res;
}

struct member {
    const char *key;
    const json_t *value;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static int print_object(const json_t *object, bool sorted, FILE *out)
{
    size_t count = 0;
    int res = 0;
    const char *key;
    json_t *value;
    struct member *members = calloc(json_object_size(object) + 1, sizeof(*members));
    if (members == NULL)
        return -ENOMEM;
    json_object_foreach ((json_t *)object, key, value) {
        members[count++] = (struct member){key, value};
    }
    if (sorted)
        qsort(members, count, sizeof(*members), by_key);
    fputc('{', out);
    for (size_t i = 0; i < count && res == 0; i++) {
        fputs(i > 0 ? ", " : "", out);
        python_json_print_text(slice_of(members[i].key), out);
        fputs(": ", out);
        res = python_json_print(members[i].value, sorted, out);
    }
    fputc('}', out);
    free(members);
    return res;
}

/* ---- values ---- */

int python_json_print(const json_t *value, bool sorted, FILE *out)
{
    char number[FLOAT_TEXT_MAX];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return print_object(value, sorted, out);
    case JSON_ARRAY:
        return print_array(value, sorted, out);
    case JSON_STRING:
        python_json_print_text((struct slice){json_string_value(value), json_string_length(value)},
                               out);
        return 0;
    case JSON_INTEGER:
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return 0;
    case JSON_REAL:
        fputs(float_text(json_real_value(value), number), out);
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        fputs(json_is_true(value) ? "true" : "false", out);
        return 0;
    case JSON_NULL:
        fputs("null", out);
        return 0;
    }
    return -EINVAL;
}

char *python_json_dumps(const json_t *value, bool sorted, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    if (out == NULL)
        return NULL;
    bool failed = python_json_print(value, sorted, out) < 0 || ferror(out);
    failed = fclose(out) != 0 || failed;
    if (!failed)
        return text;
    free(text);
    return NULL;
}
