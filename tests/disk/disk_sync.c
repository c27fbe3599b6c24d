/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/disk/disk_sync.h"

static struct disk_sync *of(struct disk *d)
{
    return CONTAINER_OF(d, struct disk_sync, base);
}

static void sync_submit(struct disk *d, struct disk_chain *chain)
{
    struct disk_sync *s = of(d);
    chain->disk = d;
    for (unsigned i = 0; i < chain->count && !s->stopped; i++) {
        struct disk_op *op = &chain->ops[i];
        atomic_store(&chain->at, i);
        uint64_t start = disk_now_ns();
        op->res = s->run_op(s, op);
        op->took_ns = disk_now_ns() - start;
        if (disk_op_failed(op)) {
            disk_chain_cancel(chain, i + 1);
            break;
        }
    }
    if (!s->stopped)
        done_list_post(&s->done, chain);
}

static void sync_flush(struct disk *d)
{
    (void)d;
}

static void sync_reap(struct disk *d)
{
    struct disk_chain *next, *chain = done_list_take(&of(d)->done);
    for (; chain; chain = next) {
        next = chain->next;
        chain->done(chain);
    }
}

static int sync_fd(struct disk *d)
{
    return of(d)->done.event_fd;
}

static void sync_free(struct disk *d)
{
    done_list_release(&of(d)->done);
}

int disk_sync_init(struct disk_sync *s, const char *name,
                   int (*run_op)(struct disk_sync *s, struct disk_op *op))
{
    s->base = (struct disk){name, sync_submit, sync_flush, sync_reap, sync_fd, sync_free};
    s->run_op = run_op;
    s->stopped = false;
    return done_list_init(&s->done);
}
