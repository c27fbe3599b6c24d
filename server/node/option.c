/* SPDX-License-Identifier: Apache-2.0 */
/* option.c -- one parser for each type of option. */
#include "server/node/option.h"
#include "server/node/startmem.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>

/* ---- lists ---- */

void text_list_add(struct text_list *list, struct slice item)
{
    list->items = start_grow(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = start_text(item);
}

void text_list_release(struct text_list *list)
{
    for (unsigned i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

/* ---- the parsers ---- */

static int parse_text(const struct option_row *row, const char *text, void *field, char *expected,
                      size_t expected_len)
{
    free(*(char **)field);
    *(char **)field = start_text(slice_of(text));
    return 0;
}

static void release_text(void *field)
{
    free(*(char **)field);
    *(char **)field = NULL;
}

bool option_true(const char *text)
{
    static const char *const words[] = {"true", "1", "yes", "on", "t", "y"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* In Swift every word that is not true is false; a slip like "ture" is better told. */
static int parse_boolean(const struct option_row *row, const char *text, void *field,
                         char *expected, size_t expected_len)
{
    static const char *const words[] = {"false", "0", "no", "off", "f", "n", "none", ""};
    *(bool *)field = option_true(text);
    if (*(bool *)field)
        return 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return 0;
    snprintf(expected, expected_len, "true or false");
    return -EINVAL;
}

/* Digits with an optional sign, behind which `suffixes` may stand; else -EINVAL. */
static int whole_number(const char *text, bool suffixes, int64_t *ret)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*digits))
        return -EINVAL;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0)
        return -EINVAL;
    const char *units = "KMGT", *unit = *end != '\0' ? strchr(units, toupper(*end)) : NULL;
    if (suffixes && unit != NULL) {
        if (__builtin_mul_overflow(n, 1LL << (10 * (unit - units + 1)), &n))
            return -EINVAL;
        end++;
    }
    if (*end != '\0')
        return -EINVAL;
    *ret = n;
    return 0;
}

static int parse_whole(const struct option_row *row, const char *text, bool suffixes, void *field,
                       char *expected, size_t expected_len)
{
    int64_t n;
    if (whole_number(text, suffixes, &n) == 0 && (double)n >= row->min && (double)n <= row->max) {
        *(int64_t *)field = n;
        return 0;
    }
    char most[32];
    if (row->max < (double)INT64_MAX)
        snprintf(most, sizeof(most), "%.0f", row->max);
    else
        snprintf(most, sizeof(most), "%lld", (long long)INT64_MAX);
    snprintf(expected, expected_len, "a whole number%s%s from %.0f to %s%s",
             row->unit[0] != '\0' ? " of " : "", row->unit, row->min, most,
             suffixes ? " (K, M, G, T may follow)" : "");
    return -EINVAL;
}

static int parse_count(const struct option_row *row, const char *text, void *field, char *expected,
                       size_t expected_len)
{
    return parse_whole(row, text, false, field, expected, expected_len);
}

static int parse_bytes(const struct option_row *row, const char *text, void *field, char *expected,
                       size_t expected_len)
{
    return parse_whole(row, text, true, field, expected, expected_len);
}

static int parse_seconds(const struct option_row *row, const char *text, void *field,
                         char *expected, size_t expected_len)
{
    char *end;
    double s = strtod(text, &end);
    bool whole = end != text && *end == '\0' && !isspace((unsigned char)*text);
    if (whole && isfinite(s) && s >= row->min && s <= row->max) {
        *(double *)field = s;
        return 0;
    }
    snprintf(expected, expected_len, "a number of seconds from %g to %.0f", row->min, row->max);
    return -EINVAL;
}

static int parse_ratio(const struct option_row *row, const char *text, void *field, char *expected,
                       size_t expected_len)
{
    if (parse_seconds(row, text, field, expected, expected_len) == 0)
        return 0;
    snprintf(expected, expected_len, "a number from %g to %.0f", row->min, row->max);
    return -EINVAL;
}

/* Commas and newlines part the items; blanks around them do not count, nor do empty items. */
static int parse_list(const struct option_row *row, const char *text, void *field, char *expected,
                      size_t expected_len)
{
    text_list_release(field);
    while (*text != '\0') {
        text += strspn(text, " \t\r\n,");
        size_t len = strcspn(text, ",\n");
        const char *next = text + len;
        while (len > 0 && isspace((unsigned char)text[len - 1]))
            len--;
        if (len > 0)
            text_list_add(field, (struct slice){text, len});
        text = next;
    }
    return 0;
}

static void release_list(void *field)
{
    text_list_release(field);
}

/* ---- the table ---- */

static const struct option_type types[] = {
    {"text", parse_text, release_text}, {"boolean", parse_boolean, NULL},
    {"count", parse_count, NULL},       {"bytes", parse_bytes, NULL},
    {"seconds", parse_seconds, NULL},   {"ratio", parse_ratio, NULL},
    {"list", parse_list, release_list},
};
enum { TYPE_text, TYPE_boolean, TYPE_count, TYPE_bytes, TYPE_seconds, TYPE_ratio, TYPE_list };

static const struct option_row rows[] = {
#define OPTION(section, name, type, def, min, max, unit, help)                                     \
    {#section, #name, &types[TYPE_##type], offsetof(struct config, name), def, min, (double)(max), \
     unit,     help},
#include "server/node/config.def"
#undef OPTION
};

const struct option_row *option_rows(unsigned *ret_count)
{
    *ret_count = sizeof(rows) / sizeof(rows[0]);
    return rows;
}

const struct option_row *option_find(const char *section, const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].section, section) == 0 && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

int option_set(const struct option_row *row, const char *text, struct config *c, char *expected,
               size_t expected_len)
{
    return row->type->parse(row, text, (char *)c + row->offset, expected, expected_len);
}

void option_release_all(struct config *c)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].type->release != NULL)
            rows[i].type->release((char *)c + rows[i].offset);
}
