/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_tool.c -- answers for against_swift.py, one line for each line of questions:
 *
 *   range SIZE HEADER                          ignored | unsatisfiable | 0-5 7-10
 *   match ETAG LIST                            yes | no
 *   conditions FOUND SECONDS|ETAG|IM|INM|IMS|IUS   status, 0: go on
 *   date TEXT                                  seconds | none */
#include "server/verbs/conditions.h"
#include "server/verbs/httpdate.h"
#include "server/verbs/range.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void answer_range(char *args)
{
    struct byte_range items[50];
    struct range_set set = {.items = items, .room = 50};
    char *header;
    uint64_t size = strtoull(args, &header, 10);
    enum range_verdict verdict = range_parse(slice_of(header + 1), size, &set);
    if (verdict == RANGE_IGNORED)
        printf("ignored");
    else if (verdict == RANGE_UNSATISFIABLE)
        printf("unsatisfiable");
    for (unsigned i = 0; verdict == RANGE_SATISFIABLE && i < set.count; i++)
        printf("%s%" PRIu64 "-%" PRIu64, i ? " " : "", items[i].start, items[i].end);
}

static void answer_match(char *args)
{
    char *space = strchr(args, ' ');
    struct slice etag = {args, (size_t)(space - args)};
    printf(etag_listed(slice_of(space + 1), etag) ? "yes" : "no");
}

static void answer_conditions(char *args)
{
    struct slice parts[6], *fields[6];
    for (unsigned i = 0; i < 6; i++) {
        char *bar = strchr(args, '|');
        size_t len = bar ? (size_t)(bar - args) : strlen(args);
        parts[i] = (struct slice){args, len};
        fields[i] = len ? &parts[i] : NULL;
        args += len + (bar ? 1 : 0);
    }
    struct conditions c = {fields[2], fields[3], fields[4], fields[5]};
    struct validators v = {parts[0].at[0] == '1', parts[1], strtoll(parts[0].at + 2, NULL, 10)};
    printf("%d", conditions_swift(&c, &v));
}

static void answer_date(char *args)
{
    int64_t seconds;
    if (httpdate_parse(slice_of(args), &seconds) < 0)
        printf("none");
    else
        printf("%" PRId64, seconds);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*answer)(char *args);
    } kinds[] = {{"range ", answer_range},
                 {"match ", answer_match},
                 {"conditions ", answer_conditions},
                 {"date ", answer_date}};
    char line[16384];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (strncmp(line, kinds[i].name, strlen(kinds[i].name)) == 0)
                kinds[i].answer(line + strlen(kinds[i].name));
        putchar('\n');
    }
    return 0;
}
