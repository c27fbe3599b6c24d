/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits.c -- what holds the auditor back: limiter, pace, fuse, ages, the page cache. */
#include "tests/format/cases.h"
#include "tools/audit/fuse.h"
#include "tools/audit/halt.h"
#include "tools/audit/limiter.h"
#include "tools/audit/pace.h"
#include "tools/audit/quarantined.h"
#include "tools/audit/residency.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool near(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

static void test_limiter(void **state)
{
    struct limiter l;
    limiter_init(&l, 10);
    assert_true(near(limiter_book(&l, 1, 100.0), 0)); /* the first is free */
    assert_true(near(limiter_book(&l, 1, 100.0), 0.1));
    assert_true(near(limiter_book(&l, 5, 100.0), 0.2));
    assert_true(near(limiter_book(&l, 1, 100.0), 0.7)); /* after the five */
    assert_true(near(limiter_book(&l, 1, 104.0), 0));   /* behind by less than 5 s: catches up */
    for (int i = 0; i < 31; i++)
        assert_true(near(limiter_book(&l, 1, 104.0), 0));
    (void)limiter_book(&l, 1, 104.0); /* the last that is due */
    assert_true(near(limiter_book(&l, 1, 104.0), 0.1));
    assert_true(near(limiter_book(&l, 1, 110.0), 0)); /* behind by more: what is past is past */
    assert_true(near(limiter_book(&l, 1, 110.0), 0.1));
    limiter_release(&l);
}

static void test_unlimited(void **state)
{
    struct limiter l;
    limiter_init(&l, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(near(limiter_book(&l, 1e9, 1.0), 0));
    limiter_release(&l);
}

static void test_pace(void **state)
{
    struct pace p;
    pace_init(&p, 0.010);
    for (int i = 0; i < 100; i++)
        assert_true(near(pace_note(&p, 0.009), 0));
    double rest_s = 0;
    for (int i = 0; i < 200; i++)
        rest_s = pace_note(&p, 0.020);
    assert_true(rest_s > 0.0199 && rest_s < 0.0201); /* twice the limit: half of the time */
    for (int i = 0; i < 200; i++)
        rest_s = pace_note(&p, 0.040);
    assert_true(rest_s > 0.119 && rest_s < 0.121); /* four times: a quarter */
    for (int i = 0; i < 200; i++)
        rest_s = pace_note(&p, 5);
    assert_true(near(rest_s, PACE_REST_MAX_S));
    for (int i = 0; i < 200; i++)
        rest_s = pace_note(&p, 0.001);
    assert_true(near(rest_s, 0));
    pace_init(&p, 0);
    assert_true(near(pace_note(&p, 100), 0));
    assert_int_equal(pace_set_priority("IOPRIO_CLASS_X", 0, 0), -EINVAL);
}

static void examine(struct fuse *f, int count)
{
    for (int i = 0; i < count; i++)
        fuse_examined(f);
}

static void test_fuse(void **state)
{
    struct fuse f;
    bool just_blown;
    fuse_init(&f, 0.05, 3, false);
    for (int i = 0; i < 3; i++) { /* all of them damaged, but few */
        examine(&f, 1);
        assert_true(fuse_allows(&f, &just_blown));
    }
    examine(&f, 77); /* 80: four are 5 %, not more */
    assert_true(fuse_allows(&f, &just_blown));
    assert_false(fuse_allows(&f, &just_blown));
    assert_true(just_blown);
    examine(&f, 1000);
    assert_false(fuse_allows(&f, &just_blown)); /* stays blown in this pass */
    assert_false(just_blown);
    assert_false(fuse_after_pass(&f)); /* which was good all in all */
    assert_false(atomic_load(&f.blown));
    fuse_init(&f, 0.05, 3, true);
    examine(&f, 10);
    for (int i = 0; i < 5; i++)
        assert_false(fuse_allows(&f, &just_blown));
    assert_true(fuse_after_pass(&f));
    fuse_init(&f, 1, 0, false); /* no fuse */
    for (int i = 0; i < 100; i++) {
        examine(&f, 1);
        assert_true(fuse_allows(&f, &just_blown));
    }
}

static void test_ages(void **state)
{
    static const struct {
        const char *text;
        double s;
    } rows[] = {{"0", 0},         {"600", -1},    {"600s", 600}, {"2m", 120}, {"1.5h", 5400},
                {"30d", 2592000}, {"1w", 604800}, {"", -1},      {"d", -1},   {"-1d", -1},
                {"1x", -1},       {"1dd", -1},    {"nan", -1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(near(quarantined_age(rows[i].text), rows[i].s));
}

/* The clock that people set, against the one that nobody can: an hour after the start. */
static void test_clock_that_jumps(void **state)
{
    static const struct {
        double real_s, jumped_s, trusted_s; /* after the start */
    } rows[] = {
        {3600, 0, 3600},
        {3602, 2, 3602},               /* ntpd at work */
        {3600 + 5, 5, 3600 + 5},       /* its slew, within 1 in 1000 */
        {3600 + 60, 60, 3600 + 5.6},   /* a jump: as far as the slew goes, no further */
        {1e9, 1e9 - 3600, 3600 + 5.6}, /* nothing ages by 30 years */
        {-1e6, -1e6 - 3600, -1e6},     /* back: everything is young, nothing goes */
    };
    const struct clock_reading start = {1700000000, 5000};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct clock_reading now = {start.real_s + rows[i].real_s, start.boot_s + 3600};
        double jumped_s, s = trusted_s(&start, &now, &jumped_s);
        assert_true(s - start.real_s > rows[i].trusted_s - 1e-3 &&
                    s - start.real_s < rows[i].trusted_s + 1e-3);
        assert_true(jumped_s > rows[i].jumped_s - 1e-3 && jumped_s < rows[i].jumped_s + 1e-3);
    }
    double jumped_s, real_s = (double)time(NULL);
    assert_true(trusted_now_s(&jumped_s) > real_s - 2);
    assert_true(jumped_s > -1 && jumped_s < 1);
}

static struct limiter shared;

static void *use_shared(void *arg)
{
    for (int i = 0; i < 20; i++)
        limiter_wait(&shared, 1);
    return NULL;
}

/* The rate is everybody's together, not each one's. */
static void test_limiter_is_shared(void **state)
{
    pthread_t threads[4];
    limiter_init(&shared, 400);
    double begin_s = halt_monotonic_s();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(halt_monotonic_s() - begin_s > 79.0 / 400 - 0.001);
    limiter_release(&shared);
}

/* What was in the cache stays, what was not goes. */
static void test_residency(void **state)
{
    char path[] = "/tmp/objsrv-residency-XXXXXX", bytes[16384];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(fsync(fd), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    uint64_t before = residency_look(fd, 0, sizeof(bytes));
    if (before != 0) {
        print_message("  this file system keeps its pages: %#llx; skipped\n",
                      (unsigned long long)before);
        close(fd);
        skip();
    }
    assert_int_equal(pread(fd, bytes, 4096, 4096), 4096); /* a client's page */
    before = residency_look(fd, 0, sizeof(bytes));
    assert_int_equal(before, 2);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(residency_look(fd, 0, sizeof(bytes)), 15);
    residency_restore(fd, 0, sizeof(bytes), before);
    assert_int_equal(residency_look(fd, 0, sizeof(bytes)), 2);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limiter),
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_fuse),
        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_residency),
        cmocka_unit_test(test_clock_that_jumps),
        cmocka_unit_test(test_limiter_is_shared),
    };
    halt_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
