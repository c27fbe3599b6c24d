/* SPDX-License-Identifier: Apache-2.0 */
/* conversation.c -- the locks under which one node talks to another about a partition
 * (on-disk-format 11): <partition>/.lock-replication, then <device>/.lock, .lock-1, ... of which
 * there are as many as conversations a device may have.
 *
 * One attempt, both or none: who waits tries again, so nobody holds one lock while he waits for
 * the other, and no thread of the pool waits at all. */
#include "diskfile/engine/chore.h"
#include "diskfile/engine/hashdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct df_conversation {
    int partition_fd, device_fd; /* -1: none */
};

struct conversing {
    struct chore chore;
    struct df_partition partition;
    unsigned slots;
    void (*done)(void *arg, int res, struct df_conversation *take, const char *held);
    void *arg;
    struct df_conversation *lock;
    struct object_place place;
    char held[PATH_MAX + 32];
};

static struct conversing *conversing_of(struct chore *c)
{
    return (struct conversing *)((char *)c - offsetof(struct conversing, chore));
}

static int lock_partition(struct conversing *v)
{
    static const char name[] = ".lock-replication";
    int r = hashdir_try_lock(&v->place, name);
    if (r == -EAGAIN)
        snprintf(v->held, sizeof(v->held), "%.*s/%s", (int)v->place.partition_len, v->place.dir,
                 name);
    if (r >= 0)
        v->lock->partition_fd = r;
    return r < 0 ? r : 0;
}

/* 0: it is ours. */
static int try_slot(struct conversing *v, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        v->lock->device_fd = fd;
        return 0;
    }
    int r = -errno;
    close(fd);
    return r == -EWOULDBLOCK ? -EAGAIN : r;
}

static int lock_device(struct conversing *v)
{
    const char *device = v->chore.device->path;
    char path[PATH_MAX + 32];
    snprintf(v->held, sizeof(v->held), "%s/.lock", device);
    int r = v->slots == 0 ? 0 : -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < v->slots; i++) {
        if (i == 0)
            snprintf(path, sizeof(path), "%s/.lock", device);
        else
            snprintf(path, sizeof(path), "%s/.lock-%u", device, i);
        r = try_slot(v, path);
    }
    return r;
}

static int converse_run(struct chore *c)
{
    struct conversing *v = conversing_of(c);
    const struct df_policy *policy = store_policy(c->thread->store, v->partition.policy);
    if (!policy)
        return -EINVAL;
    int r = place_of_directory(c->thread->store, c->device, policy, v->partition.partition,
                               SLICE("000"), SLICE("0"), &v->place);
    if (r == 0)
        r = lock_partition(v);
    return r == 0 ? lock_device(v) : r;
}

static void converse_done(struct chore *c, int res)
{
    struct conversing *v = conversing_of(c);
    if (res < 0) {
        df_conversation_end(v->lock);
        v->lock = NULL;
    }
    v->done(v->arg, res, v->lock, v->held);
    free(v);
}

bool df_converse(struct df_thread *t, const struct df_partition *p, unsigned slots,
                 void (*done)(void *arg, int res, struct df_conversation *take, const char *held),
                 void *arg)
{
    struct conversing *v = calloc(1, sizeof(*v));
    struct df_conversation *lock = malloc(sizeof(*lock));
    if (!v || !lock) {
        free(v);
        free(lock);
        return false;
    }
    *lock = (struct df_conversation){-1, -1};
    v->chore =
        (struct chore){.name = "replication lock", .run = converse_run, .done = converse_done};
    v->partition = *p;
    v->slots = slots;
    v->done = done;
    v->arg = arg;
    v->lock = lock;
    chore_start(&v->chore, t, p->device, arg);
    return true;
}

void df_conversation_end(struct df_conversation *take)
{
    if (take->device_fd >= 0)
        close(take->device_fd);
    if (take->partition_fd >= 0)
        close(take->partition_fd);
    free(take);
}
