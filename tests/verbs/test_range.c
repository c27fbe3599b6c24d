/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/range.h"
/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define ROOM 50

static struct byte_range items[ROOM];
static struct range_set set = {.items = items, .room = ROOM};

static void test_parse(void **state)
{
    static const struct {
        const char *header;
        uint64_t size;
        enum range_verdict verdict;
        const char *ranges; /* "start-end ..." half open */
    } rows[] = {
        {"bytes=0-4", 10, RANGE_SATISFIABLE, "0-5 "},
        {"bytes=0-", 10, RANGE_SATISFIABLE, "0-10 "},
        {"bytes=9-", 10, RANGE_SATISFIABLE, "9-10 "},
        {"bytes=5-99", 10, RANGE_SATISFIABLE, "5-10 "},
        {"bytes=5-9", 10, RANGE_SATISFIABLE, "5-10 "},
        {"bytes=5-10", 10, RANGE_SATISFIABLE, "5-10 "},
        {"bytes=-3", 10, RANGE_SATISFIABLE, "7-10 "},
        {"bytes=-99", 10, RANGE_SATISFIABLE, "0-10 "},
        {"bytes=0-99999999999999999999999999", 10, RANGE_SATISFIABLE, "0-10 "},
        {"bytes=-99999999999999999999999999", 10, RANGE_SATISFIABLE, "0-10 "},
        {"Bytes = 0-4", 10, RANGE_SATISFIABLE, "0-5 "},
        {"BYTES=0 - 4, 6-7", 10, RANGE_SATISFIABLE, "0-5 6-8 "},
        {"bytes=0-0,-1", 10, RANGE_SATISFIABLE, "0-1 9-10 "},
        {"bytes=20-30,0-4", 10, RANGE_SATISFIABLE, "0-5 "},
        {"bytes=007-009", 10, RANGE_SATISFIABLE, "7-10 "},
        {"bytes=0-4,0-4,0-4,0-4,0-4", 10, RANGE_SATISFIABLE, "0-5 0-5 0-5 0-5 0-5 "},
        {"bytes=10-", 10, RANGE_UNSATISFIABLE, NULL},
        {"bytes=10-20", 10, RANGE_UNSATISFIABLE, NULL},
        {"bytes=-0", 10, RANGE_UNSATISFIABLE, NULL},
        {"bytes=99999999999999999999999-", 10, RANGE_UNSATISFIABLE, NULL},
        {"bytes=5-3", 10, RANGE_IGNORED, NULL},
        {"bytes=99999999999999999999999-99999999999999999999998", 10, RANGE_IGNORED, NULL},
        {"bytes=a-b", 10, RANGE_IGNORED, NULL},
        {"bytes=-", 10, RANGE_IGNORED, NULL},
        {"bytes=1", 10, RANGE_IGNORED, NULL},
        {"bytes=", 10, RANGE_IGNORED, NULL},
        {"bites=0-1", 10, RANGE_IGNORED, NULL},
        {"bytes=--5", 10, RANGE_IGNORED, NULL},
        {"bytes=0-4,a", 10, RANGE_IGNORED, NULL},
        {"bytes=0-4,", 10, RANGE_IGNORED, NULL},
        {"bytes=20-30,x-", 10, RANGE_IGNORED, NULL},
        {"bytes=+1-2", 10, RANGE_IGNORED, NULL},
        {"", 10, RANGE_IGNORED, NULL},
        {"bytes=-5", 0, RANGE_IGNORED, NULL}, /* 200: an empty object has no last byte */
        {"bytes=-0", 0, RANGE_UNSATISFIABLE, NULL},
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, NULL},
        /* two overlapping pairs are borne, three are not */
        {"bytes=0-4,3-6,5-8", 10, RANGE_SATISFIABLE, "0-5 3-7 5-9 "},
        {"bytes=0-5,3-6,5-8", 10, RANGE_UNSATISFIABLE, NULL},
        /* seven descending are borne, eight are not */
        {"bytes=7-7,6-6,5-5,4-4,3-3,2-2,1-1", 10, RANGE_SATISFIABLE,
         "7-8 6-7 5-6 4-5 3-4 2-3 1-2 "},
        {"bytes=8-8,7-7,6-6,5-5,4-4,3-3,2-2,1-1", 10, RANGE_UNSATISFIABLE, NULL},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024] = "";
        enum range_verdict verdict = range_parse(slice_of(rows[i].header), rows[i].size, &set);
        if (verdict != rows[i].verdict)
            fail_msg("'%s': %d", rows[i].header, verdict);
        for (unsigned k = 0; rows[i].ranges && k < set.count; k++)
            sprintf(text + strlen(text), "%u-%u ", (unsigned)items[k].start,
                    (unsigned)items[k].end);
        if (rows[i].ranges)
            assert_string_equal(text, rows[i].ranges);
    }
}

static enum range_verdict many(unsigned count)
{
    char header[1024] = "bytes=0-0";
    for (unsigned i = 1; i < count; i++)
        sprintf(header + strlen(header), ",%u-%u", 2 * i, 2 * i);
    return range_parse(slice_of(header), 1000, &set);
}

static void test_count(void **state)
{
    assert_int_equal(many(50), RANGE_SATISFIABLE);
    assert_int_equal(many(51), RANGE_UNSATISFIABLE);
}

/* The length that is announced is the length of what is sent. */
static void test_multipart(void **state)
{
    struct multipart m = {.content_type = SLICE("text/plain"), .size = 12345};
    char text[1024] = "";
    size_t length = 0;
    memset(m.boundary, 'b', RANGE_BOUNDARY_LEN);
    assert_int_equal(range_parse(SLICE("bytes=0-0,9-10,12340-"), m.size, &set), RANGE_SATISFIABLE);
    for (unsigned i = 0; i <= set.count; i++) {
        length += multipart_text(&m, &set, i, text + length);
        if (i == set.count)
            break;
        memset(text + length, '.', items[i].end - items[i].start);
        length += items[i].end - items[i].start;
    }
    assert_int_equal(length, multipart_length(&m, &set));
    text[length] = 0;
#define B "--bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    assert_string_equal(
        text, B
        "\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/12345\r\n\r\n.\r\n" B
        "\r\nContent-Type: text/plain\r\nContent-Range: bytes 9-10/12345\r\n\r\n..\r\n" B
        "\r\nContent-Type: text/plain\r\nContent-Range: bytes 12340-12344/12345\r\n\r\n.....\r\n" B
        "--");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_multipart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
