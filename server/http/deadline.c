/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.c -- see deadline.h. */
#include "server/http/deadline.h"
#include <assert.h>
#include <string.h>

static uint64_t now_ms(const struct deadlines *w)
{
    return uv_now(w->timer.loop);
}

static void unlink_entry(struct deadlines *w, struct deadline *d)
{
    assert(d->link != NULL);
    *d->link = d->next;
    if (d->next != NULL)
        d->next->link = d->link;
    d->link = NULL;
    w->count--;
}

static void link_entry(struct deadlines *w, struct deadline *d)
{
    uint64_t due = d->at_ms / DEADLINE_TICK_MS + 1;
    if (due <= w->tick)
        due = w->tick + 1;
    if (due > w->tick + DEADLINE_SLOTS - 1)
        due = w->tick + DEADLINE_SLOTS - 1;
    struct deadline **head = &w->slots[due % DEADLINE_SLOTS];
    d->slot = due;
    d->next = *head;
    d->link = head;
    if (d->next != NULL)
        d->next->link = &d->next;
    *head = d;
    w->count++;
}

static void run_slot(struct deadlines *w, uint64_t now)
{
    struct deadline *d = w->slots[w->tick % DEADLINE_SLOTS];
    struct deadline *due = NULL;
    while (d != NULL) {
        struct deadline *next = d->next;
        unlink_entry(w, d);
        if (d->at_ms != 0 && d->at_ms > now)
            link_entry(w, d);
        else if (d->at_ms != 0) {
            d->link = &due; /* a list of its own: passed() may remove others of it */
            d->next = due;
            if (due != NULL)
                due->link = &d->next;
            due = d;
            w->count++;
        }
        d = next;
    }
    while (due != NULL) {
        d = due;
        unlink_entry(w, d);
        if (d->at_ms == 0 || d->at_ms > now) {
            if (d->at_ms != 0)
                link_entry(w, d);
            continue;
        }
        d->at_ms = 0;
        w->passed(d);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct deadlines *w = timer->data;
    uint64_t now = now_ms(w);
    while (w->tick < now / DEADLINE_TICK_MS) {
        w->tick++;
        run_slot(w, now);
    }
    if (w->count == 0)
        uv_timer_stop(&w->timer);
}

void deadlines_init(struct deadlines *w, uv_loop_t *loop, void (*passed)(struct deadline *d))
{
    memset(w, 0, sizeof(*w));
    (void)uv_timer_init(loop, &w->timer); /* cannot fail */
    w->timer.data = w;
    w->passed = passed;
}

void deadlines_close(struct deadlines *w)
{
    uv_close((uv_handle_t *)&w->timer, NULL);
}

void deadline_set(struct deadlines *w, struct deadline *d, uint64_t in_ms)
{
    d->at_ms = now_ms(w) + (in_ms > 0 ? in_ms : 1);
    if (w->count == 0 && !uv_is_active((uv_handle_t *)&w->timer)) {
        w->tick = now_ms(w) / DEADLINE_TICK_MS;
        (void)uv_timer_start(&w->timer, on_tick, DEADLINE_TICK_MS, DEADLINE_TICK_MS);
    }
    if (d->link != NULL && d->slot > d->at_ms / DEADLINE_TICK_MS + 1)
        unlink_entry(w, d);
    if (d->link == NULL)
        link_entry(w, d);
}

void deadline_clear(struct deadline *d)
{
    d->at_ms = 0;
}

void deadline_remove(struct deadlines *w, struct deadline *d)
{
    d->at_ms = 0;
    if (d->link != NULL)
        unlink_entry(w, d);
}

uint64_t deadline_left_ms(struct deadlines *w, const struct deadline *d)
{
    return d->at_ms > now_ms(w) ? d->at_ms - now_ms(w) : 0;
}
