/* SPDX-License-Identifier: Apache-2.0 */
/* test_access.c -- the access line. The expected lines were made by Swift 2.30.1's own
 * get_log_line() from the same requests; %D is the date, %T the time
 * taken, %P the process. */
#include "server/http/request.h"
#include "server/loop.h"
#include "server/node/log.h"
#include "tests/node/log_catcher.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
/* after those that it needs */
#include <cmocka.h>

#define H(name, value)                                                                             \
    {                                                                                              \
        SLICE(name), SLICE(value)                                                                  \
    }
#define HEADERS_MAX 4

struct row {
    const char *method;
    struct slice path;
    struct header headers[HEADERS_MAX];
    int status;
    int64_t length;
    uint64_t took_us;
    const char *expected;
};

static const struct row rows[] = {
    {"PUT",
     SLICE("/sda1/0/a/c x/\xc3\xa9o"),
     {H("Referer", "ignored"), H("X-Trans-Id", "tx123")},
     201,
     -1,
     3740,
     "<134>object-server: 127.0.0.1 - - [%D +0000] \"PUT /sda1/0/a/c%20x/%C3%A9o\" 201 - "
     "\"ignored\" \"tx123\" \"-\" %T \"-\" %P -"},
    {"GET",
     SLICE("/sda1/0/a/c/o~!*'()+,;=:@$&\"%[]{}|\\^`#?\0"),
     {H("user-agent", "a \"b\" \xc3\xa9"), H("X-Backend-Storage-Policy-Index", "1")},
     200,
     5,
     3740,
     "<134>object-server: 127.0.0.1 - - [%D +0000] \"GET "
     "/sda1/0/a/c/o~%21%2A%27%28%29%2B%2C%3B%3D%3A%40%24%26%22%25%5B%5D%7B%7D%7C%5C%5E%60%23%3F%00"
     "\" 200 5 \"-\" \"-\" \"a \"b\" \xc3\x83\xc2\xa9\" %T \"-\" %P 1"},
    {"OPTIONS",
     SLICE(""),
     {H("X-Backend-Storage-Policy-Index", "")},
     200,
     0,
     10,
     "<134>object-server: 127.0.0.1 - - [%D +0000] \"OPTIONS -\" 200 - \"-\" \"-\" \"-\" %T "
     "\"-\" %P -"},
    {"M\xc3\xa9",
     SLICE("no-slash"),
     {H("Referer", "")},
     412,
     7,
     12345670,
     "<134>object-server: 127.0.0.1 - - [%D +0000] \"M\xc3\x83\xc2\xa9 no-slash\" 412 7 \"-\" "
     "\"-\" \"-\" %T \"-\" %P -"},
    {"REPLICATE",
     SLICE("/sda1/0"),
     {},
     200,
     3,
     3740,
     "<135>object-server: 127.0.0.1 - - [%D +0000] \"REPLICATE /sda1/0\" 200 3 \"-\" \"-\" \"-\" "
     "%T \"-\" %P -"},
    {"SSYNC",
     SLICE("/sda1/0"),
     {},
     200,
     -1,
     3740,
     "<135>object-server: 127.0.0.1 - - [%D +0000] \"SSYNC /sda1/0\" 200 - \"-\" \"-\" \"-\" "
     "%T \"-\" %P -"},
    {"PUT",
     SLICE("/sda1/0/a/c/o"),
     {H("x-backend-replication", "")},
     201,
     -1,
     3740,
     "<135>object-server: 127.0.0.1 - - [%D +0000] \"PUT /sda1/0/a/c/o\" 201 - \"-\" \"-\" \"-\" "
     "%T \"-\" %P -"},
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void log_row(const struct row *row, struct catcher *c, const char *times)
{
    struct loop loop = {.config = &c->config};
    struct request r = {.method = slice_of(row->method),
                        .path = row->path,
                        .headers = (struct header *)row->headers,
                        .peer = SLICE("127.0.0.1"),
                        .loop = &loop,
                        .status = row->status,
                        .reply_length = row->length,
                        .times = times,
                        .started_ns = now_ns() - row->took_us * 1000};
    while (r.header_count < HEADERS_MAX && row->headers[r.header_count].name.len > 0)
        r.header_count++;
    log_access(&r);
}

/* Where `text` goes on behind the date of this second or of one before; NULL: another date. */
static const char *behind_date(const char *text)
{
    time_t now = time(NULL);
    for (int back = 0; back < 60; back++, now--) {
        char date[40];
        size_t len = strftime(date, sizeof(date), "%d/%b/%Y:%H:%M:%S", gmtime(&now));
        if (strncmp(text, date, len) == 0)
            return text + len;
    }
    return NULL;
}

/* The same of a time with four decimals, not less than `us` and at most a minute more. */
static const char *behind_time(const char *text, uint64_t us)
{
    char *end, again[40];
    double s = strtod(text, &end), least = (double)us / 1e6;
    size_t len = (size_t)snprintf(again, sizeof(again), "%.4f", s);
    bool good = strncmp(text, again, len) == 0 && text + len == end;
    return good && s > least - 0.00006 && s < least + 60 ? end : NULL;
}

static const char *behind_pid(const char *text)
{
    char pid[16];
    size_t len = (size_t)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    return strncmp(text, pid, len) == 0 ? text + len : NULL;
}

static void expect(const char *got, const struct row *row)
{
    assert_non_null(got);
    const char *at = got;
    for (const char *e = row->expected; *e != '\0' && at != NULL; e++) {
        if (strncmp(e, "%D", 2) == 0)
            at = behind_date(at);
        else if (strncmp(e, "%T", 2) == 0)
            at = behind_time(at, row->took_us);
        else if (strncmp(e, "%P", 2) == 0)
            at = behind_pid(at);
        else {
            at = *at == *e ? at + 1 : NULL;
            continue;
        }
        e++;
    }
    if (at == NULL || *at != '\0')
        fail_msg("%s\nexpected %s", got, row->expected);
}

static void test_lines(void **state)
{
    struct catcher c;
    catcher_open(&c);
    c.config.log_level = (char *)"DEBUG";
    log_open_beside(&c);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        log_row(&rows[i], &c, "lookup=0.1");
        expect(catcher_next(&c), &rows[i]);
    }
    catcher_close(&c);
}

static void test_times(void **state)
{
    struct catcher c;
    catcher_open(&c);
    c.config.log_times = true;
    log_open_beside(&c);
    log_row(&rows[0], &c, "lookup=0.1 sync=2.0");
    const char *line = catcher_next(&c);
    assert_non_null(line);
    assert_string_equal(line + strlen(line) - 22, " - lookup=0.1 sync=2.0");
    log_row(&rows[0], &c, NULL);
    line = catcher_next(&c);
    assert_string_equal(line + strlen(line) - 2, " -");
    catcher_close(&c);
}

static void test_silence(void **state)
{
    struct catcher c;
    catcher_open(&c);
    log_open_beside(&c);
    log_row(&rows[4], &c, NULL); /* DEBUG while the level is INFO */
    assert_null(catcher_next(&c));
    c.config.log_requests = false;
    log_row(&rows[0], &c, NULL);
    assert_null(catcher_next(&c));
    assert_int_equal(log_dropped(), 0);
    catcher_close(&c);
}

/* The line has its limit, whatever a client sends. */
static void test_long_header(void **state)
{
    struct catcher c;
    catcher_open(&c);
    log_open_beside(&c);
    char *agent = malloc(60000);
    memset(agent, '\xff', 60000);
    struct row row = {"GET", SLICE("/"), {{SLICE("User-Agent"), {agent, 60000}}}, 200, 1, 1, NULL};
    log_row(&row, &c, NULL);
    assert_true(strlen(catcher_next(&c)) > 10000);
    free(agent);
    catcher_close(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_long_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
