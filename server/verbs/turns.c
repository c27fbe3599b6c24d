/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/turns.h"
#include "server/loop.h"
#include <stdatomic.h>
#include <stdlib.h>

#define TURNS   65536
#define WAIT_MS 1

static atomic_flag turns[TURNS];

/* FNV-1a: only has to spread. */
static unsigned index_of(const struct df_name *name)
{
    const struct slice parts[2] = {name->container, name->object};
    uint32_t hash = 2166136261u;
    for (unsigned p = 0; p < 2; p++)
        for (size_t i = 0; i < parts[p].len; i++)
            hash = (hash ^ (unsigned char)parts[p].at[i]) * 16777619u;
    return (hash ^ hash >> 16) % TURNS;
}

static bool try_take(struct turn *turn)
{
    turn->held = !atomic_flag_test_and_set_explicit(&turns[turn->index], memory_order_acquire);
    return turn->held;
}

void turn_give(struct turn *turn)
{
    if (turn->held)
        atomic_flag_clear_explicit(&turns[turn->index], memory_order_release);
    turn->held = false;
}

struct wait {
    uv_timer_t timer;
    struct turn *turn;
    void (*granted)(void *arg);
    void *arg;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_time(uv_timer_t *timer)
{
    struct wait *w = timer->data;
    if (!try_take(w->turn))
        return;
    uv_close((uv_handle_t *)timer, on_closed);
    w->granted(w->arg);
}

void turn_take(struct turn *turn, struct loop *loop, const struct df_name *name,
               void (*granted)(void *arg), void *arg)
{
    turn->index = index_of(name);
    struct wait *w = try_take(turn) ? NULL : malloc(sizeof *w);
    if (!w) {
        granted(arg);
        return;
    }
    *w = (struct wait){.turn = turn, .granted = granted, .arg = arg};
    uv_timer_init(&loop->uv, &w->timer); /* cannot fail, like the start below */
    w->timer.data = w;
    uv_timer_start(&w->timer, on_time, WAIT_MS, WAIT_MS);
}
