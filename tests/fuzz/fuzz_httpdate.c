/* SPDX-License-Identifier: Apache-2.0 */
/* Dates in headers. Holds: what was read is written and read again as the same second; times
 * before 1970 are written as its first. */
#include "server/verbs/httpdate.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int64_t first, second;
    char text[HTTPDATE_MAX];
    if (httpdate_parse((struct slice){(const char *)data, len}, &first) < 0)
        return 0;
    int n = httpdate_format(first, text);
    HOLDS(n > 0 && n < HTTPDATE_MAX && text[n] == '\0');
    HOLDS(httpdate_parse(slice_of(text), &second) == 0);
    HOLDS(second == (first < 0 ? 0 : first));
    return 0;
}
