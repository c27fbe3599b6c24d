/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/footers.h"
#include "diskfile/format/wiretext.h"
#include "server/verbs/checks.h"
#include "server/verbs/headers_meta.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

static json_t *load(struct slice text)
{
    return json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* ---- footers ---- */

/* JSON has characters where a header has bytes: one for each, as Latin-1. Characters that are no
 * byte stay in UTF-8, as a proxy would have sent them. */
static int wire_bytes(struct arena *a, struct slice utf8, struct slice *ret)
{
    char *out = arena_alloc(a, utf8.len + 1);
    if (!out)
        return -ENOMEM;
    if (wiretext_latin1(utf8, out, &ret->len) < 0) {
        memcpy(out, utf8.at, utf8.len);
        ret->len = utf8.len;
    }
    ret->at = out;
    return 0;
}

static int value_of(struct arena *a, const json_t *value, struct slice *ret)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return wire_bytes(a, (struct slice){json_string_value(value), json_string_length(value)},
                          ret);
    case JSON_INTEGER:
        *ret = slice_of(arena_printf(a, "%lld", (long long)json_integer_value(value)));
        return 0;
    case JSON_TRUE:
        *ret = SLICE("True");
        return 0;
    case JSON_FALSE:
        *ret = SLICE("False");
        return 0;
    default:
        return -EBADMSG;
    }
}

static int add_footer(struct arena *a, struct slice key, const json_t *value, struct footers *f)
{
    struct slice name;
    int res = wire_bytes(a, key, &name);
    if (res < 0 || json_is_null(value))
        return res;
    char *title = arena_alloc(a, name.len + 1);
    if (!title)
        return -ENOMEM;
    metadata_title_key(name, title);
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '_') /* only a header's name loses it */
            title[i] = '_';
    f->items[f->count].key = (struct slice){title, name.len};
    res = value_of(a, value, &f->items[f->count].value);
    f->count += res == 0;
    return res;
}

/* To Swift whatever Python calls false is no footers. */
static bool is_nothing(const json_t *json)
{
    return json_is_null(json) || json_is_false(json) ||
           (json_is_number(json) && json_number_value(json) == 0) ||
           (json_is_string(json) && json_string_length(json) == 0) ||
           (json_is_array(json) && json_array_size(json) == 0);
}

int footers_parse(struct arena *a, struct slice text, struct footers *ret)
{
    json_t *json = load(text);
    if (!json)
        return -EINVAL;
    int res = json_is_object(json) || is_nothing(json) ? 0 : -EBADMSG;
    *ret = (struct footers){0};
    if (res == 0)
        ret->items = arena_alloc(a, (json_object_size(json) + 1) * sizeof *ret->items);
    if (res == 0 && !ret->items)
        res = -ENOMEM;
    const char *key;
    json_t *value;
    json_object_foreach (json, key, value) {
        if (res == 0)
            res = add_footer(a, slice_of(key), value, ret);
    }
    json_decref(json);
    return res;
}

struct slice footer_value(const struct footers *f, const char *name)
{
    struct slice found = {"", 0};
    for (unsigned i = 0; i < f->count; i++)
        if (slice_eq_nocase(f->items[i].key, slice_of(name)))
            found = f->items[i].value;
    return found;
}

/* ---- fragments ---- */

int fragment_index_parse(struct slice text, unsigned count, int *ret)
{
    int64_t index;
    while (text.len > 0 && strchr(" \t", text.at[0]))
        text = (struct slice){text.at + 1, text.len - 1};
    while (text.len > 0 && strchr(" \t", text.at[text.len - 1]))
        text.len--;
    if (integer_parse(text, &index) < 0 || index < 0 || index >= count)
        return -EINVAL;
    *ret = (int)index;
    return 0;
}

static int time_of(const json_t *value, struct timestamp *ret)
{
    char number[64];
    struct slice text;
    if (json_is_string(value))
        text = (struct slice){json_string_value(value), json_string_length(value)};
    else if (json_is_number(value)) {
        int n = json_is_integer(value)
                    ? snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value))
                    : snprintf(number, sizeof number, "%.17g", json_real_value(value));
        text = (struct slice){number, (size_t)n};
    } else {
        return -EBADMSG;
    }
    return timestamp_parse(text, ret) < 0 ? -EBADMSG : 0;
}

static int index_of(const json_t *value, int *ret)
{
    if (json_is_string(value))
        return fragment_index_parse(
            (struct slice){json_string_value(value), json_string_length(value)}, INT32_MAX, ret);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) >= INT32_MAX)
        return -EINVAL;
    *ret = (int)json_integer_value(value);
    return 0;
}

static int read_preference(struct arena *a, const json_t *one, struct fragment_preference *ret)
{
    const json_t *time = json_object_get(one, "timestamp"), *list = json_object_get(one, "exclude");
    if (!time || !json_is_array(list) || time_of(time, &ret->timestamp) < 0)
        return -EBADMSG;
    size_t count = json_array_size(list);
    int *excluded = arena_alloc(a, (count + 1) * sizeof *excluded);
    if (!excluded)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (index_of(json_array_get(list, i), &excluded[i]) < 0)
            return -EBADMSG;
    ret->excluded = excluded;
    ret->excluded_count = (unsigned)count;
    return 0;
}

static int read_preferences(struct arena *a, const json_t *list, struct fragment_wish *ret)
{
    size_t count = json_is_object(list) ? json_object_size(list) : json_array_size(list);
    /* An empty object is as good as an empty list: there is nothing in it that is wrong. */
    if (!json_is_array(list) && !(json_is_object(list) && count == 0))
        return -EBADMSG;
    struct fragment_preference *all = arena_alloc(a, (count + 1) * sizeof *all);
    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int res = read_preference(a, json_array_get(list, i), &all[i]);
        if (res < 0)
            return res;
    }
    ret->any = true;
    ret->preferences = all;
    ret->count = (unsigned)count;
    return 0;
}

int fragment_preferences_parse(struct arena *a, struct slice text, struct fragment_wish *ret)
{
    json_t *json = load(text);
    *ret = (struct fragment_wish){0};
    if (!json || json_is_null(json)) {
        json_decref(json);
        return -EINVAL;
    }
    int res = read_preferences(a, json, ret);
    json_decref(json);
    return res;
}

struct slice fragments_text(struct arena *a, const struct df_info *info)
{
    size_t room = 3 + info->fragment_count * (TIMESTAMP_TEXT_MAX + 24), len = 0;
    char *text = arena_alloc(a, room);
    if (!text)
        return (struct slice){0};
    text[len++] = '{';
    for (unsigned i = 0; i < info->fragment_count; i++) {
        const struct fragment *f = &info->fragments[i];
        bool first = i == 0 || timestamp_cmp(f[-1].timestamp, f->timestamp) != 0;
        char time[TIMESTAMP_TEXT_MAX];
        timestamp_internal(f->timestamp, time);
        if (first)
            len += (size_t)snprintf(text + len, room - len, "%s\"%s\": [%d", i ? "], " : "", time,
                                    f->index);
        else
            len += (size_t)snprintf(text + len, room - len, ", %d", f->index);
    }
    len += (size_t)snprintf(text + len, room - len, "%s}", info->fragment_count ? "]" : "");
    return (struct slice){text, len};
}
