/* SPDX-License-Identifier: Apache-2.0 */
/* Range headers. One byte chooses the object's size. Holds: what is satisfiable lies within the
 * object, and the multipart body is as long as it was said to be. */
#include "server/verbs/range.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define ROOM 50

static const uint64_t sizes[] = {0, 1, 5, 100, 65536, 1ull << 40, INT64_MAX};

static void check_multipart(const struct range_set *set, uint64_t size)
{
    struct multipart m = {.content_type = SLICE("text/plain"), .size = size};
    char text[RANGE_PART_HEAD_ROOM + 16];
    uint64_t length = 0;
    memset(m.boundary, 'b', RANGE_BOUNDARY_LEN);
    for (unsigned i = 0; i <= set->count; i++) {
        length += multipart_text(&m, set, i, text);
        if (i < set->count)
            length += set->items[i].end - set->items[i].start;
    }
    HOLDS(length == multipart_length(&m, set));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct byte_range items[ROOM];
    struct range_set set = {.items = items, .room = ROOM};
    if (len == 0)
        return 0;
    uint64_t size = sizes[data[0] % (sizeof(sizes) / sizeof(sizes[0]))];
    struct slice header = {(const char *)data + 1, len - 1};
    if (range_parse(header, size, &set) != RANGE_SATISFIABLE)
        return 0;
    HOLDS(set.count > 0 && set.count <= ROOM);
    for (unsigned i = 0; i < set.count; i++)
        HOLDS(items[i].start < items[i].end && items[i].end <= size);
    check_multipart(&set, size);
    return 0;
}
