/* SPDX-License-Identifier: Apache-2.0 */
/* disk_threads.c -- the back end of plain system calls: a chain is one job on one thread
 * of its device's pool, from the first op to the last. Two thread switches per chain, and
 * every result is seen before the next op starts. */
#include "diskfile/disk/chain.h"
#include <errno.h>
#include <stdlib.h>

struct threads_disk {
    struct disk base;
    struct done_list done;
};

static struct threads_disk *of(struct disk *d)
{
    return CONTAINER_OF(d, struct threads_disk, base);
}

/* Pool thread. */
static void run_chain(struct disk_job *job)
{
    struct disk_chain *chain = CONTAINER_OF(job, struct disk_chain, job);
    disk_chain_run(chain);
    done_list_post(&of(chain->disk)->done, chain);
}

static void threads_submit(struct disk *d, struct disk_chain *chain)
{
    chain->disk = d;
    chain->job.run = run_chain;
    disk_device_queue(chain->device, &chain->job);
}

static void threads_flush(struct disk *d)
{
    (void)d; /* jobs start when they are submitted */
}

static void threads_reap(struct disk *d)
{
    struct disk_chain *next, *chain = done_list_take(&of(d)->done);
    for (; chain; chain = next) {
        next = chain->next;
        chain->done(chain);
    }
}

static int threads_fd(struct disk *d)
{
    return of(d)->done.event_fd;
}

static void threads_free(struct disk *d)
{
    done_list_release(&of(d)->done);
    free(of(d));
}

int disk_threads_new(struct disk **ret_disk)
{
    struct threads_disk *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->base = (struct disk){"threads",    threads_submit, threads_flush,
                            threads_reap, threads_fd,     threads_free};
    int r = done_list_init(&t->done);
    if (r < 0) {
        free(t);
        return r;
    }
    *ret_disk = &t->base;
    return 0;
}
