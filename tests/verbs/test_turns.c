/* SPDX-License-Identifier: Apache-2.0 */
/* test_turns.c -- one key's writers one after the other; other keys do not wait. */
#include "server/loop.h"
#include "server/verbs/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static bool take(struct turn *turn, struct loop *loop, const char *container, const char *object)
{
    unsigned granted = 0;
    const struct df_name name = {.container = slice_of(container), .object = slice_of(object)};
    turn_take(turn, loop, &name, count, &granted);
    return granted == 1;
}

/* As many as wait for a disk that hangs; then more than any table has places. */
static void test_other_keys_do_not_wait(void **state)
{
    enum { HELD = 2000, OTHERS = 100000 };
    static struct turn held[HELD];
    static struct loop loop;
    char key[32];
    for (unsigned i = 0; i < HELD; i++) {
        snprintf(key, sizeof(key), "held%u", i);
        assert_true(take(&held[i], &loop, "c", key));
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        struct turn turn = {0};
        snprintf(key, sizeof(key), "other%u", i);
        assert_true(take(&turn, &loop, "c", key));
        turn_give(&turn);
    }
    for (unsigned i = 0; i < HELD; i++)
        turn_give(&held[i]);
}

static void test_same_key_waits(void **state)
{
    struct loop loop = {0};
    struct turn first = {0}, second = {0}, other = {0};
    const struct df_name name = {.container = SLICE("c"), .object = SLICE("key")};
    unsigned granted = 0;
    assert_int_equal(uv_loop_init(&loop.uv), 0);
    assert_true(take(&first, &loop, "c", "key"));
    turn_take(&second, &loop, &name, count, &granted);
    assert_true(take(&other, &loop, "ck", "ey")); /* another key, though the same letters */
    for (int i = 0; i < 3; i++)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(granted, 0);
    turn_give(&first);
    turn_give(&first); /* not held any more: nothing */
    (void)uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(granted, 1);
    assert_true(second.held);
    turn_give(&second);
    turn_give(&other);
    assert_int_equal(uv_loop_close(&loop.uv), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_keys_do_not_wait),
        cmocka_unit_test(test_same_key_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
