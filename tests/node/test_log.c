/* SPDX-License-Identifier: Apache-2.0 */
/* test_log.c -- what reaches a syslog socket, and what is dropped without waiting. */
#include "server/node/log.h"
#include "tests/node/log_catcher.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* after those that it needs */
#include <cmocka.h>

static void test_lines(void **state)
{
    static const struct {
        const char *facility, *level, *name;
        int64_t max_line;
        enum log_level at;
        const char *text, *expected; /* NULL: nothing */
    } rows[] = {
        {"LOG_LOCAL0", "INFO", "object-server", 0, LOG_LEVEL_INFO, "hello",
         "<134>object-server: hello"},
        {"LOG_LOCAL0", "INFO", "object-server", 0, LOG_LEVEL_DEBUG, "hello", NULL},
        {"LOG_LOCAL0", "debug", "object-server", 0, LOG_LEVEL_DEBUG, "hello",
         "<135>object-server: hello"},
        {"LOG_LOCAL0", "ERROR", "object-server", 0, LOG_LEVEL_WARNING, "hello", NULL},
        {"LOG_LOCAL0", "ERROR", "object-server", 0, LOG_LEVEL_ERROR, "hello",
         "<131>object-server: hello"},
        {"LOG_LOCAL0", "WARNING", "object-server", 0, LOG_LEVEL_NOTICE, "hello", NULL},
        {"LOG_LOCAL7", "INFO", "x", 0, LOG_LEVEL_WARNING, "a\nb\n", "<188>x: a#012b#012"},
        {"LOG_DAEMON", "INFO", "x", 0, LOG_LEVEL_INFO, "100%s", "<30>x: 100%s"},
        /* the name counts, the priority does not */
        {"LOG_LOCAL0", "INFO", "x", 15, LOG_LEVEL_INFO, "abcdefghijkl", "<134>x: abcdefghijkl"},
        {"LOG_LOCAL0", "INFO", "x", 14, LOG_LEVEL_INFO, "abcdefghijkl", "<134>x: a ... ijkl"},
        {"LOG_LOCAL0", "INFO", "x", 13, LOG_LEVEL_INFO, "abcdefghijkl", "<134>x: a ... ijkl"},
        {"LOG_LOCAL0", "INFO", "x", 7, LOG_LEVEL_INFO, "abcdefghijkl", "<134>x ... l"},
        {"LOG_LOCAL0", "INFO", "x", 6, LOG_LEVEL_INFO, "abcdefghijkl", "<134>x: abc"},
    };
    struct catcher c;
    catcher_open(&c);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        c.config.log_facility = (char *)rows[i].facility;
        c.config.log_level = (char *)rows[i].level;
        c.config.log_name = (char *)rows[i].name;
        c.config.log_max_line_length = rows[i].max_line;
        log_open_beside(&c);
        assert_int_equal(log_wants(rows[i].at), rows[i].expected != NULL);
        log_line(rows[i].at, "%s", rows[i].text);
        const char *got = catcher_next(&c);
        if (rows[i].expected == NULL ? got != NULL
                                     : got == NULL || strcmp(got, rows[i].expected) != 0)
            fail_msg("row %zu: \"%s\"", i, got != NULL ? got : "nothing");
    }
    catcher_close(&c);
}

/* A line longer than any buffer is cut, not lost. */
static void test_long_line(void **state)
{
    struct catcher c;
    catcher_open(&c);
    log_open_beside(&c);
    char *text = malloc(100001);
    memset(text, '\n', 100000);
    text[100000] = '\0';
    log_line(LOG_LEVEL_INFO, "%s", text);
    const char *got = catcher_next(&c);
    assert_non_null(got);
    assert_memory_equal(got, "<134>object-server: #012#012", 28);
    assert_true(strlen(got) > 10000);
    free(text);
    catcher_close(&c);
}

static void test_full_syslog_drops(void **state)
{
    struct catcher c;
    catcher_open(&c);
    log_open_beside(&c);
    int sent = 0, got = 0;
    while (log_dropped() == 0 && sent < 1000000) {
        log_line(LOG_LEVEL_INFO, "line %d", sent);
        sent++;
    }
    assert_int_equal(log_dropped(), 1);
    while (catcher_next(&c) != NULL)
        got++;
    assert_int_equal(got, sent - 1);
    log_line(LOG_LEVEL_INFO, "room again");
    assert_string_equal(catcher_next(&c), "<134>object-server: room again");
    catcher_close(&c);
}

/* Lines wait for the flush, but not behind a warning; all arrive, in order. */
static void test_batch(void **state)
{
    struct catcher c;
    char expected[64];
    catcher_open(&c);
    log_open_beside(&c);
    log_batch_begin();
    log_line(LOG_LEVEL_INFO, "one");
    assert_null(catcher_next(&c));
    log_batch_flush();
    assert_string_equal(catcher_next(&c), "<134>object-server: one");
    log_line(LOG_LEVEL_INFO, "two");
    log_line(LOG_LEVEL_WARNING, "three");
    assert_string_equal(catcher_next(&c), "<134>object-server: two");
    assert_string_equal(catcher_next(&c), "<132>object-server: three");
    int got = 0;
    for (int i = 0; i < 200; i++)
        log_line(LOG_LEVEL_INFO, "line %d", i);
    for (bool more = true; more;) {
        more = log_batch_flush() > 0; /* no more than the socket has room for */
        for (const char *line; (line = catcher_next(&c)) != NULL; got++) {
            snprintf(expected, sizeof(expected), "<134>object-server: line %d", got);
            assert_string_equal(line, expected);
        }
    }
    assert_int_equal(got, 200);
    log_batch_end();
    log_line(LOG_LEVEL_INFO, "by itself again");
    assert_string_equal(catcher_next(&c), "<134>object-server: by itself again");
    assert_int_equal(log_dropped(), 0);
    catcher_close(&c);
}

static void test_batch_drops(void **state)
{
    struct catcher c;
    catcher_open(&c);
    log_open_beside(&c);
    log_batch_begin();
    uint64_t sent = 0, got = 0;
    while (log_dropped() == 0 && sent < 1000000) {
        log_line(LOG_LEVEL_INFO, "line %d", (int)sent);
        sent++;
    }
    log_batch_end(); /* nobody reads meanwhile: what waits is lost, and counted */
    while (catcher_next(&c) != NULL)
        got++;
    assert_int_equal(got + log_dropped(), sent);
    assert_true(got > 0);
    catcher_close(&c);
}

static void test_syslog_comes_back(void **state)
{
    struct catcher c;
    catcher_open(&c);
    log_open_beside(&c);
    catcher_unbind(&c);
    log_line(LOG_LEVEL_INFO, "lost");
    assert_int_equal(log_dropped(), 1);
    catcher_bind(&c);
    log_line(LOG_LEVEL_INFO, "back");
    assert_string_equal(catcher_next(&c), "<134>object-server: back");
    catcher_close(&c);
}

/* Without a socket: one readable line on stderr. */
static void test_stderr(void **state)
{
    struct catcher c;
    int ends[2], kept = dup(STDERR_FILENO);
    char text[256];
    catcher_open(&c);
    c.config.log_address = (char *)"/nowhere/log";
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    int opened = log_open(&c.config);
    bool to_stderr = log_is_stderr();
    log_line(LOG_LEVEL_WARNING, "two\nlines");
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    assert_int_equal(opened, 0);
    assert_true(to_stderr);
    ssize_t len = read(ends[0], text, sizeof(text) - 1);
    assert_true(len > 0);
    text[len] = '\0';
    int year, end = 0;
    assert_int_equal(
        sscanf(text, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ WARNING two#012lines%n", &year, &end), 1);
    assert_string_equal(text + end, "\n");
    close(ends[0]);
    close(ends[1]);
    close(kept);
    catcher_close(&c);
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 1000; i++)
        log_line(LOG_LEVEL_INFO, "%s", (const char *)arg);
    return NULL;
}

/* Lines of several threads never mix, and each is either there or counted. */
static void test_threads(void **state)
{
    static char texts[4][3001];
    pthread_t threads[4];
    struct catcher c;
    unsigned got = 0;
    catcher_open(&c);
    log_open_beside(&c);
    for (int i = 0; i < 4; i++) {
        memset(texts[i], 'a' + i, 3000);
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, texts[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (const char *line; (line = catcher_next(&c)) != NULL; got++) {
        const char *text = line + strlen("<134>object-server: ");
        assert_int_equal(strlen(text), 3000);
        assert_int_equal(strspn(text, (char[]){text[0], '\0'}), 3000);
    }
    assert_int_equal(got + log_dropped(), 4000);
    assert_true(got > 0);
    catcher_close(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_full_syslog_drops),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_drops),
        cmocka_unit_test(test_syslog_comes_back),
        cmocka_unit_test(test_stderr),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
