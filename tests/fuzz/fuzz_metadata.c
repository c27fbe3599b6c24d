/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata pickles, as they lie in xattrs. Holds: what was read can be written, and reads the
 * same again. Not so with an empty key, which no header can become: it hides the mark by which
 * a pickle of Python 3 is known. */
#include "diskfile/format/metadata.h"
#include "tests/fuzz/fuzz.h"

static bool has_empty_key(const struct metadata *m)
{
    for (unsigned i = 0; i < m->count; i++)
        if (m->items[i].key.len == 0)
            return true;
    return false;
}

static void same(const struct metadata *a, const struct metadata *b)
{
    HOLDS(a->count == b->count);
    for (unsigned i = 0; i < a->count; i++) {
        HOLDS(slice_eq(a->items[i].key, b->items[i].key));
        HOLDS(slice_eq(a->items[i].value, b->items[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct metadata first = {0}, second = {0};
    char *bytes;
    size_t bytes_len;
    if (metadata_decode((struct slice){(const char *)data, len}, &first) < 0)
        return 0;
    if (metadata_encode(&first, &bytes, &bytes_len) == 0) {
        HOLDS(metadata_decode((struct slice){bytes, bytes_len}, &second) == 0);
        if (!has_empty_key(&first))
            same(&first, &second);
        free(bytes);
    }
    metadata_release(&first);
    metadata_release(&second);
    return 0;
}
