/* SPDX-License-Identifier: Apache-2.0 */
#include "diskfile/engine/chore.h"

#include <stddef.h>

static int run_call(void *arg)
{
    struct chore *c = arg;
    int r = c->err;
    if (r == 0)
        r = store_device_check(c->thread->store, c->device);
    return r < 0 ? r : c->run(c);
}

static void run_done(struct disk_chain *chain)
{
    struct chore *c = (struct chore *)((char *)chain - offsetof(struct chore, chain));
    inflight_remove(&c->inflight);
    c->done(c, disk_chain_result(chain));
}

static const char *step_name(const struct inflight *op)
{
    return ((const struct chore *)((const char *)op - offsetof(struct chore, inflight)))->name;
}

void chore_start(struct chore *c, struct df_thread *t, struct slice device, void *owner)
{
    c->thread = t;
    c->err = store_device(t->store, device, &c->device);
    inflight_add(t, &c->inflight, owner, step_name);
    disk_chain_init(&c->chain, c->err == 0 ? c->device->pool : store_nowhere(t->store), run_done);
    struct disk_op *op = disk_chain_add(&c->chain, DISK_CALL);
    op->call = run_call;
    op->arg = c;
    t->disk->submit(t->disk, &c->chain);
}
