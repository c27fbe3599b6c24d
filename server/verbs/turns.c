/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/turns.h"
#include "server/loop.h"
#include <pthread.h>
#include <stdlib.h>

#define SHARDS  256
#define WAIT_MS 1

/* The turns that are held, in short lists by key. */
static struct shard {
    pthread_mutex_t lock;
    struct turn *held;
} shards[SHARDS] = {[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

/* FNV-1a, with a byte between the parts that UTF-8 does not have. */
static uint64_t key_of(const struct df_name *name)
{
    const struct slice parts[] = {name->container, SLICE("\xff"), name->object};
    uint64_t hash = 14695981039346656037u;
    for (unsigned p = 0; p < sizeof(parts) / sizeof(parts[0]); p++)
        for (size_t i = 0; i < parts[p].len; i++)
            hash = (hash ^ (unsigned char)parts[p].at[i]) * 1099511628211u;
    return hash;
}

static struct shard *shard_of(const struct turn *turn)
{
    return &shards[(turn->key ^ turn->key >> 32) % SHARDS];
}

static bool try_take(struct turn *turn)
{
    struct shard *s = shard_of(turn);
    pthread_mutex_lock(&s->lock);
    const struct turn *other = s->held;
    while (other && other->key != turn->key)
        other = other->next;
    if (!other) {
        turn->next = s->held;
        s->held = turn;
        turn->held = true;
    }
    pthread_mutex_unlock(&s->lock);
    return turn->held;
}

void turn_give(struct turn *turn)
{
    if (!turn->held)
        return;
    struct shard *s = shard_of(turn);
    pthread_mutex_lock(&s->lock);
    struct turn **at = &s->held;
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    pthread_mutex_unlock(&s->lock);
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
    turn->key = key_of(name);
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
