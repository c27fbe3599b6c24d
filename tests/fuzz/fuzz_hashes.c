/* SPDX-License-Identifier: Apache-2.0 */
/* hashes.pkl, which any daemon may have written. Holds: what was read can be written, and reads
 * the same again. */
#include "diskfile/format/suffix_hashes.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Equal also if it is no number. */
static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

static void same(const struct suffix_hashes *a, const struct suffix_hashes *b)
{
    HOLDS(a->valid == b->valid);
    HOLDS(bits_of(a->updated) == bits_of(b->updated));
    for (unsigned i = 0; i < SUFFIXES; i++) {
        const struct suffix_value *x = &a->of[i], *y = &b->of[i];
        HOLDS(x->state == y->state && x->count == y->count);
        if (x->count > 0)
            HOLDS(memcmp(x->sums, y->sums, x->count * sizeof(*x->sums)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct suffix_hashes *first = suffix_hashes_new(), *second = suffix_hashes_new();
    char *bytes;
    size_t bytes_len;
    if (first && second &&
        suffix_hashes_decode((struct slice){(const char *)data, len}, first) == 0 &&
        suffix_hashes_encode(first, SUFFIX_FORM_CACHE, &bytes, &bytes_len) == 0) {
        HOLDS(suffix_hashes_decode((struct slice){bytes, bytes_len}, second) == 0);
        same(first, second);
        free(bytes);
    }
    suffix_hashes_free(first);
    suffix_hashes_free(second);
    return 0;
}
