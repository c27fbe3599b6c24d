/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.h -- many deadlines, most of them moved long before they come: one timer for all.
 *
 * A wheel of slots of 100 ms. deadline_set() to a later time writes one number; an entry found in
 * its slot too early is put where it belongs. So a deadline comes up to 100 ms late, never early.
 * The timer runs only while there is a deadline. Embedded in its owner; one thread. */
#ifndef OBJSRV_DEADLINE_H
#define OBJSRV_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct deadline {
    uint64_t at_ms; /* uv_now(); 0: none */
    uint64_t slot;  /* tick at which it is looked at, while linked */
    struct deadline *next, **link;
};

enum { DEADLINE_SLOTS = 256, DEADLINE_TICK_MS = 100 };

struct deadlines {
    uv_timer_t timer;
    void (*passed)(struct deadline *d); /* may set it again, or free its owner */
    uint64_t tick;                      /* the last one done */
    unsigned count;                     /* linked */
    struct deadline *slots[DEADLINE_SLOTS];
};

void deadlines_init(struct deadlines *w, uv_loop_t *loop, void (*passed)(struct deadline *d));
void deadlines_close(struct deadlines *w); /* closes the timer's handle */

void deadline_set(struct deadlines *w, struct deadline *d, uint64_t in_ms);
void deadline_clear(struct deadline *d);                       /* it will not come */
void deadline_remove(struct deadlines *w, struct deadline *d); /* and its memory may go */
uint64_t deadline_left_ms(struct deadlines *w, const struct deadline *d); /* 0: passed */

#endif
