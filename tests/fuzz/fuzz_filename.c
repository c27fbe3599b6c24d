/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files in a hash directory. One byte chooses the policy. Holds: a name that is one of
 * ours is written again as a name that means the same (a content type's time of 0 is none). */
#include "diskfile/format/filename.h"
#include "tests/fuzz/fuzz.h"

static bool has_ctype(const struct file_name *f)
{
    return f->has_ctype && !timestamp_is_zero(f->ctype_timestamp);
}

static bool same(const struct file_name *a, const struct file_name *b)
{
    return a->kind == b->kind && timestamp_cmp(a->timestamp, b->timestamp) == 0 &&
           has_ctype(a) == has_ctype(b) && a->fragment == b->fragment && a->durable == b->durable &&
           (!has_ctype(a) || timestamp_cmp(a->ctype_timestamp, b->ctype_timestamp) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct file_name first, second;
    char name[FILENAME_MAX_LEN];
    if (len == 0)
        return 0;
    struct file_policy policy = {.erasure_coded = data[0] & 1, .fragments = (data[0] >> 1) & 15};
    struct slice text = {(const char *)data + 1, len - 1};
    (void)filename_is_rsync_temp(text);
    filename_parse(text, &policy, &first);
    if (first.kind != FILE_DATA && first.kind != FILE_META && first.kind != FILE_TOMBSTONE)
        return 0;
    int n = filename_format(&first, name);
    HOLDS(n > 0 && n < FILENAME_MAX_LEN);
    filename_parse(slice_of(name), &policy, &second);
    HOLDS(same(&first, &second));
    return 0;
}
