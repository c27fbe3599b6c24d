/* SPDX-License-Identifier: Apache-2.0 */
/* merge.c -- see merge.h. */
#include "diskfile/engine/merge.h"

static const char ctype_key[] = "Content-Type";
static const char ctype_time_key[] = "Content-Type-Timestamp";

struct timestamp metadata_time(const struct metadata *m, const char *key)
{
    struct timestamp ts = {0};
    const struct slice *text = metadata_get(m, key);
    if (text && timestamp_parse(*text, &ts) < 0)
        return (struct timestamp){0};
    return ts;
}

int merge_content_type(struct metadata *meta, const struct metadata *ctype,
                       struct timestamp data_timestamp)
{
    const struct slice *type = metadata_get(ctype, ctype_key);
    struct timestamp time = metadata_time(ctype, ctype_time_key);
    if (!type || timestamp_cmp(time, metadata_time(meta, ctype_time_key)) <= 0 ||
        timestamp_cmp(time, data_timestamp) <= 0)
        return 0;
    int r = metadata_set(meta, SLICE("Content-Type"), *type);
    if (r < 0)
        return r;
    return metadata_set(meta, SLICE("Content-Type-Timestamp"),
                        *metadata_get(ctype, ctype_time_key));
}

/* What a POST can never change. */
static bool data_only(struct slice key)
{
    static const struct slice names[] = {
        {"content-length", 14}, {"etag", 4}, {"deleted", 7}, {"x-static-large-object", 21}};
    static const struct slice sysmeta = {"x-object-sysmeta-", 17};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_eq_nocase(key, names[i]))
            return true;
    return key.len > sysmeta.len && slice_eq_nocase((struct slice){key.at, sysmeta.len}, sysmeta);
}

static int overlay_data(struct metadata *merged, const struct metadata *data)
{
    for (unsigned i = 0; i < data->count; i++) {
        if (!data_only(data->items[i].key))
            continue;
        int r = metadata_set(merged, data->items[i].key, data->items[i].value);
        if (r < 0)
            return r;
    }
    return 0;
}

int merge_metadata(const struct metadata *data, const struct metadata *meta,
                   struct timestamp data_timestamp, struct metadata *ret, bool *ret_ctype_from_meta)
{
    int r = metadata_copy(ret, meta);
    if (r == 0)
        r = overlay_data(ret, data);
    if (r < 0)
        return r;
    const struct slice *type = metadata_get(data, ctype_key);
    if (!type || timestamp_cmp(data_timestamp, metadata_time(meta, ctype_time_key)) <= 0) {
        *ret_ctype_from_meta = metadata_get(meta, ctype_key) != NULL;
        return 0;
    }
    *ret_ctype_from_meta = false;
    metadata_remove(ret, SLICE("Content-Type-Timestamp"));
    return metadata_set(ret, SLICE("Content-Type"), *type);
}
