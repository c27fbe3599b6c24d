/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_parts.c -- arena, status table, questions to a head, deadlines. */
#include "server/http/deadline.h"
#include "server/http/request.h"
#include "server/http/status.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_arena(void **state)
{
    (void)state;
    struct arena *a = arena_new(100000);
    for (int round = 0; round < 3; round++) {
        char *seen[50];
        for (int i = 0; i < 50; i++) {
            seen[i] = arena_alloc(a, 1000);
            assert_non_null(seen[i]);
            assert_int_equal((uintptr_t)seen[i] % 16, 0);
            for (int k = 0; k < 1000; k++)
                assert_int_equal(seen[i][k], 0);
            memset(seen[i], i + 1, 1000);
        }
        for (int i = 0; i < 50; i++)
            assert_int_equal(seen[i][999], i + 1);
        assert_non_null(arena_alloc(a, 20000)); /* bigger than a block */
        assert_null(arena_alloc(a, 50000));     /* over the limit */
        assert_null(arena_alloc(a, SIZE_MAX));
        arena_reset(a);
    }
    assert_string_equal(arena_text(a, SLICE("abc")), "abc");
    assert_string_equal(arena_text(a, (struct slice){NULL, 0}), "");
    assert_string_equal(arena_printf(a, "%d-%s", 7, "x"), "7-x");
    arena_free(a);
}

static void test_status(void **state)
{
    static const struct {
        int err, status;
    } rows[] = {
        {-ENOENT, 404},    {-EEXIST, 403}, {-EBADMSG, 422}, {-ECANCELED, 499}, {-ECONNRESET, 499},
        {-ETIMEDOUT, 408}, {-EBUSY, 503},  {-ENOSPC, 507},  {-EDQUOT, 507},    {-ENODEV, 507},
        {-ENOTSUP, 507},   {-EIO, 507},    {-EROFS, 507},   {-EACCES, 500},    {-EINVAL, 500},
        {-EPROTO, 499},    {-EMFILE, 503}, {-ENFILE, 503},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(status_of_errno(rows[i].err), rows[i].status);
    assert_string_equal(status_title(416), "Requested Range Not Satisfiable");
    assert_string_equal(status_text(404), "The resource could not be found.");
    assert_null(status_text(201));
    assert_string_equal(status_title(299), "Unknown");
}

static void test_headers(void **state)
{
    struct header headers[] = {
        {SLICE("X-One"), SLICE("Yes")}, {SLICE("x-two"), SLICE("0")}, {SLICE("X"), SLICE("")}};
    struct request r = {.headers = headers, .header_count = 3};
    (void)state;
    assert_true(slice_eq(*request_header(&r, "x-ONE"), SLICE("Yes")));
    assert_null(request_header(&r, "X-On"));
    assert_int_equal(request_header_value(&r, "nothing").len, 0);
    assert_true(request_header_true(&r, "X-One"));
    assert_false(request_header_true(&r, "X-Two"));
    assert_false(request_header_true(&r, "X"));
}

/* ---- deadlines ---- */

struct timed {
    struct deadline d;
    uint64_t wanted, came;
};

static uv_loop_t loop;
static struct deadlines wheel;

static void on_passed(struct deadline *d)
{
    ((struct timed *)d)->came = uv_now(&loop);
}

static void test_deadlines(void **state)
{
    enum { COUNT = 200 };
    static struct timed t[COUNT];
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    deadlines_init(&wheel, &loop, on_passed);
    for (unsigned i = 0; i < COUNT; i++) { /* set, and most set again: later, sooner, never */
        deadline_set(&wheel, &t[i].d, 50 + i);
        if (i % 4 == 1)
            deadline_set(&wheel, &t[i].d, 300 + i);
        if (i % 4 == 2) {
            deadline_set(&wheel, &t[i].d, 5000);
            deadline_remove(&wheel, &t[i].d);
            deadline_set(&wheel, &t[i].d, 5000);
            deadline_set(&wheel, &t[i].d, 1);
        }
        if (i % 4 == 3)
            deadline_clear(&t[i].d);
        if (i % 8 == 7)
            deadline_remove(&wheel, &t[i].d);
        t[i].wanted = t[i].d.at_ms;
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* ends: the timer stops with the last deadline */
    for (unsigned i = 0; i < COUNT; i++) {
        if (t[i].wanted == 0) {
            assert_int_equal(t[i].came, 0);
            continue;
        }
        assert_true(t[i].came >= t[i].wanted);
        assert_true(t[i].came < t[i].wanted + 2500); /* it moved forward */
    }
    assert_int_equal(wheel.count, 0);
    deadlines_close(&wheel);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
