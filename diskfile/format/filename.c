/* SPDX-License-Identifier: Apache-2.0 */
/* filename.c -- see filename.h. */
#include "diskfile/format/filename.h"
#include "diskfile/format/number.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

/* From the last '.' on; leading dots of a name never start an extension. */
static void split_extension(struct slice name, struct slice *ret_stem, struct slice *ret_ext)
{
    const char *dot = name.len > 0 ? memrchr(name.at, '.', name.len) : NULL;
    const char *first = name.at;

    while (dot && first < dot && *first == '.')
        first++;
    size_t stem_len = dot && first < dot ? (size_t)(dot - name.at) : name.len;
    *ret_stem = (struct slice){name.at, stem_len};
    *ret_ext = (struct slice){name.at + stem_len, name.len - stem_len};
}

/* What comes before the first byte of `set`; *rest keeps that byte and what follows. */
static struct slice take_until(struct slice *rest, const char *set)
{
    size_t len = 0;
    while (len < rest->len && (rest->at[len] == '\0' || !strchr(set, rest->at[len])))
        len++;
    struct slice part = {rest->at, len};
    rest->at += len;
    rest->len -= len;
    return part;
}

/* Swift's Timestamp((base.raw + delta) * 1e-5); a delta of 0 keeps the base's offset. */
static int add_delta(struct timestamp base, struct number delta, struct timestamp *ret_ts)
{
    uint64_t limit = delta.negative ? base.ticks + 1 : TIMESTAMP_TICKS_END - base.ticks;

    if (delta.magnitude >= limit)
        return -EINVAL;
    uint64_t ticks = delta.negative ? base.ticks - delta.magnitude : base.ticks + delta.magnitude;
    *ret_ts = delta.magnitude == 0 ? base : (struct timestamp){ticks, 0};
    return 0;
}

static int take_delta(struct slice *rest, struct timestamp base, struct timestamp *ret_ts)
{
    struct number delta;
    bool minus = rest->at[0] == '-';

    rest->at++, rest->len--;
    int r = number_parse(take_until(rest, "+-"), 16, &delta);
    if (r < 0)
        return r;
    delta.negative = minus;
    return add_delta(base, delta, ret_ts);
}

/* T, T+c, T-c; one delta more is checked and ignored, further ones are not even read. */
static int parse_meta(struct slice stem, struct file_name *file)
{
    struct timestamp ignored;

    int r = timestamp_parse(take_until(&stem, "+-"), &file->timestamp);
    if (r < 0 || stem.len == 0)
        return r;
    r = take_delta(&stem, file->timestamp, &file->ctype_timestamp);
    if (r < 0)
        return r;
    file->has_ctype = true;
    return stem.len > 0 ? take_delta(&stem, file->ctype_timestamp, &ignored) : 0;
}

/* T#F, T#F#d; what else follows the index is ignored. */
static int parse_fragment(struct slice stem, const struct file_policy *policy,
                          struct file_name *file)
{
    struct number index;

    int r = timestamp_parse(take_until(&stem, "#"), &file->timestamp);
    if (r < 0)
        return r;
    if (stem.len == 0)
        return -EINVAL;
    stem.at++, stem.len--;
    r = number_parse(take_until(&stem, "#"), 10, &index);
    if (r < 0)
        return r;
    if (index.negative || index.magnitude > INT_MAX)
        return -ERANGE;
    if (policy->fragments > 0 && index.magnitude >= (uint64_t)policy->fragments)
        return -ERANGE;
    file->fragment = (int)index.magnitude;
    if (stem.len > 0) {
        stem.at++, stem.len--;
        file->durable = slice_eq(take_until(&stem, "#"), SLICE("d"));
    }
    return 0;
}

static enum file_kind kind_of(struct slice ext)
{
    static const struct {
        struct slice ext;
        enum file_kind kind;
    } kinds[] = {
        {{".data", 5}, FILE_DATA},
        {{".meta", 5}, FILE_META},
        {{".ts", 3}, FILE_TOMBSTONE},
        {{".durable", 8}, FILE_DURABLE},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (slice_eq(ext, kinds[i].ext))
            return kinds[i].kind;
    }
    return FILE_OTHER;
}

void filename_parse(struct slice name, const struct file_policy *policy, struct file_name *ret)
{
    struct file_name file = {.fragment = FILE_NO_FRAGMENT};
    struct slice stem, ext;
    int r;

    split_extension(name, &stem, &ext);
    file.kind = kind_of(ext);
    if (file.kind == FILE_META)
        r = parse_meta(stem, &file);
    else if (file.kind == FILE_DATA && policy->erasure_coded)
        r = parse_fragment(stem, policy, &file);
    else
        r = timestamp_parse(stem, &file.timestamp);
    if (r < 0)
        file = (struct file_name){.kind = FILE_UNEXPECTED, .fragment = FILE_NO_FRAGMENT};
    *ret = file;
}

/* Swift takes a content type's time of 0 for none. */
static int format_meta(const struct file_name *file, char name[FILENAME_MAX_LEN])
{
    char time[TIMESTAMP_TEXT_MAX];
    uint64_t base = file->timestamp.ticks, ctype = file->ctype_timestamp.ticks;

    if (!file->has_ctype || timestamp_is_zero(file->ctype_timestamp)) {
        timestamp_internal(file->timestamp, time);
        return snprintf(name, FILENAME_MAX_LEN, "%s.meta", time);
    }
    timestamp_short(file->timestamp, time);
    return snprintf(name, FILENAME_MAX_LEN, "%s%c%" PRIx64 ".meta", time, ctype < base ? '-' : '+',
                    ctype < base ? base - ctype : ctype - base);
}

int filename_format(const struct file_name *file, char name[FILENAME_MAX_LEN])
{
    char time[TIMESTAMP_TEXT_MAX];

    assert(file->kind == FILE_DATA || file->kind == FILE_META || file->kind == FILE_TOMBSTONE);
    if (file->kind == FILE_META)
        return format_meta(file, name);
    timestamp_internal(file->timestamp, time);
    if (file->kind == FILE_TOMBSTONE)
        return snprintf(name, FILENAME_MAX_LEN, "%s.ts", time);
    if (file->fragment == FILE_NO_FRAGMENT)
        return snprintf(name, FILENAME_MAX_LEN, "%s.data", time);
    return snprintf(name, FILENAME_MAX_LEN, "%s#%d%s.data", time, file->fragment,
                    file->durable ? "#d" : "");
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool filename_is_rsync_temp(struct slice name)
{
    if (name.len < 8 || name.at[0] != '.' || name.at[name.len - 7] != '.')
        return false;
    for (size_t i = name.len - 6; i < name.len; i++) {
        if (!is_word(name.at[i]))
            return false;
    }
    return true;
}
