/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ssync/admission.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { FIRST_STEP_MS = 5, STEP_MS_MAX = 100 };

static atomic_uint talking; /* conversations of all loops */

static bool take_place(int64_t most)
{
    if (atomic_fetch_add(&talking, 1) < (unsigned)most || most == 0)
        return true;
    atomic_fetch_sub(&talking, 1);
    return false;
}

static void answer(struct admission *a, enum admission_result result)
{
    a->admitted(a->arg, result);
}

static void try_locks(struct admission *a);

static void on_timer(uv_timer_t *timer)
{
    try_locks(timer->data);
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

static void try_later(struct admission *a)
{
    a->step_ms = a->step_ms * 2 < STEP_MS_MAX ? a->step_ms * 2 : STEP_MS_MAX;
    (void)uv_timer_start(a->timer, on_timer, a->step_ms, 0); /* open, with a callback */
}

/* Where `held` ends tells which lock it was: the device's are for who has the partition's. */
static void note_held(struct admission *a, const char *held)
{
    static const char of_partition[] = "/.lock-replication";
    size_t len = strlen(held), mark = sizeof(of_partition) - 1;
    bool partition = len >= mark && strcmp(held + len - mark, of_partition) == 0;
    uint64_t now_ms = uv_now(&a->loop->uv);
    if (!partition && a->partition_ms == 0)
        a->partition_ms = now_ms;
    a->waited_s = (double)a->loop->config->replication_lock_timeout;
    if (!partition) /* the last attempt comes a little late */
        a->waited_s =
            a->partition_ms < a->until_ms ? (double)(a->until_ms - a->partition_ms) / 1000.0 : 0;
    (void)snprintf(a->held, sizeof(a->held), "%s", held);
}

static void on_tried(void *arg, int res, struct df_conversation *take, const char *held)
{
    struct admission *a = arg;
    a->trying = false;
    a->locks = take;
    a->err = res;
    if (res == -EAGAIN)
        note_held(a, held);
    if (a->ended || res == 0)
        answer(a, ADMISSION_GRANTED);
    else if (res != -EAGAIN)
        answer(a, ADMISSION_FAILED);
    else if (uv_now(&a->loop->uv) >= a->until_ms)
        answer(a, ADMISSION_LOCKED);
    else
        try_later(a);
}

static void try_locks(struct admission *a)
{
    unsigned slots = (unsigned)a->loop->config->replication_concurrency_per_device;
    a->trying = df_converse(a->loop->disk, a->partition, slots, on_tried, a);
    if (a->trying)
        return;
    a->err = -ENOMEM;
    answer(a, ADMISSION_FAILED);
}

void admission_ask(struct admission *a, struct loop *loop, const struct df_partition *partition,
                   void (*admitted)(void *arg, enum admission_result result), void *arg)
{
    const struct config *c = loop->config;
    *a = (struct admission){.loop = loop, .partition = partition, .admitted = admitted, .arg = arg};
    a->placed = take_place(c->replication_concurrency);
    if (!a->placed) {
        answer(a, ADMISSION_FULL);
        return;
    }
    a->timer = calloc(1, sizeof(*a->timer));
    if (a->timer == NULL) {
        a->err = -ENOMEM;
        answer(a, ADMISSION_FAILED);
        return;
    }
    (void)uv_timer_init(&loop->uv, a->timer); /* cannot fail */
    a->timer->data = a;
    a->step_ms = FIRST_STEP_MS;
    a->until_ms = uv_now(&loop->uv) + (uint64_t)c->replication_lock_timeout * 1000;
    try_locks(a);
}

bool admission_end(struct admission *a)
{
    a->ended = true;
    if (a->timer != NULL)
        uv_close((uv_handle_t *)a->timer, free_timer);
    a->timer = NULL;
    if (a->trying)
        return false;
    if (a->locks != NULL)
        df_conversation_end(a->locks);
    a->locks = NULL;
    if (a->placed)
        atomic_fetch_sub(&talking, 1);
    a->placed = false;
    return true;
}
