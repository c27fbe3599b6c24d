/* SPDX-License-Identifier: Apache-2.0 */
/* hashes.c -- df_hashes_get() and df_hashes_forget(): partition_hashes.h on threads of the device's
 * pool.
 *
 * One DISK_CALL for each piece of work. The device's queue is first come, first served, so that
 * whoever wants to read or write an object waits for one piece at most on each thread. */
#include "diskfile/engine/partition_hashes.h"
#include "diskfile/engine/thread.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE_NS 20000000u

struct hashes_request {
    struct df_thread *thread;
    struct inflight inflight;
    void (*done)(void *arg, int res, const struct df_hashes *found);
    void *arg;
    struct store_device *device;
    bool admitted;
    int err; /* of the request itself */
    struct partition_hashes work;
    char *forget; /* suffixes to mark stale, and no more; or NULL */
    size_t forget_len;
    char *pickle;
    size_t pickle_len;
    struct disk_chain chain;
};

static struct hashes_request *request_of(struct disk_chain *chain)
{
    return (struct hashes_request *)((char *)chain - offsetof(struct hashes_request, chain));
}

/* ---- on the pool thread ---- */

static int encode(struct hashes_request *q)
{
    enum suffix_form form =
        q->work.place.policy->erasure_coded ? SUFFIX_FORM_REPLY_KNOWN_ONLY : SUFFIX_FORM_REPLY;
    return suffix_hashes_encode(q->work.hashes, form, &q->pickle, &q->pickle_len);
}

/* 1: not done yet. */
static int work_call(void *arg)
{
    struct hashes_request *q = arg;
    int r = q->err;
    if (r == 0)
        r = store_device_check(q->thread->store, q->device);
    if (r < 0)
        return r;
    if (q->forget)
        return partition_hashes_forget(&q->work.place, (struct slice){q->forget, q->forget_len});
    r = partition_hashes_work(&q->work, PIECE_NS);
    return r == 0 ? encode(q) : r;
}

/* ---- on the loop thread ---- */

static void request_free(struct hashes_request *q)
{
    if (q->admitted)
        disk_device_leave(q->device->pool);
    partition_hashes_release(&q->work);
    free(q->forget);
    free(q->pickle);
    free(q);
}

static void submit(struct hashes_request *q);

static void work_done(struct disk_chain *chain)
{
    struct hashes_request *q = request_of(chain);
    int res = chain->ops[0].res;
    if (res > 0 && !q->thread->hurried) {
        submit(q);
        return;
    }
    if (res > 0) /* what was hashed is forgotten */
        res = -ECANCELED;
    const struct df_hashes found = {.pickle = {q->pickle, q->pickle_len}, .hashed = q->work.hashed};
    inflight_remove(&q->inflight);
    q->done(q->arg, res, &found);
    request_free(q);
}

static void submit(struct hashes_request *q)
{
    struct disk_device *pool = q->admitted ? q->device->pool : store_nowhere(q->thread->store);
    disk_chain_init(&q->chain, pool, work_done);
    struct disk_op *op = disk_chain_add(&q->chain, DISK_CALL);
    op->call = work_call;
    op->arg = q;
    q->thread->disk->submit(q->thread->disk, &q->chain);
}

static const char *step_name(const struct inflight *op)
{
    return "suffix hashes";
}

static int prepare(struct hashes_request *q, unsigned policy_index, struct slice device,
                   struct slice partition)
{
    struct df_store *store = q->thread->store;
    const struct df_policy *policy = store_policy(store, policy_index);
    if (!policy)
        return -EINVAL;
    int r = store_device(store, device, &q->device);
    if (r == 0)
        r = partition_hashes_init(&q->work, store, q->device, policy, partition);
    if (r < 0)
        return r;
    q->admitted = disk_device_admit(q->device->pool);
    return q->admitted ? 0 : -EBUSY;
}

/* `take_forget`: malloc'd. */
static bool start(struct df_thread *t, unsigned policy, struct slice device, struct slice partition,
                  struct slice take_forget,
                  void (*done)(void *arg, int res, const struct df_hashes *found), void *arg)
{
    struct hashes_request *q = calloc(1, sizeof(*q));
    if (!q) {
        free((char *)take_forget.at);
        return false;
    }
    q->thread = t;
    q->done = done;
    q->arg = arg;
    q->forget = (char *)take_forget.at;
    q->forget_len = take_forget.len;
    q->err = prepare(q, policy, device, partition);
    inflight_add(t, &q->inflight, arg, step_name);
    submit(q);
    return true;
}

bool df_hashes_get(struct df_thread *t, unsigned policy, struct slice device,
                   struct slice partition,
                   void (*done)(void *arg, int res, const struct df_hashes *found), void *arg)
{
    return start(t, policy, device, partition, (struct slice){NULL, 0}, done, arg);
}

bool df_hashes_forget(struct df_thread *t, unsigned policy, struct slice device,
                      struct slice partition, struct slice suffixes,
                      void (*done)(void *arg, int res, const struct df_hashes *found), void *arg)
{
    char *copy = malloc(suffixes.len + 1);
    if (!copy)
        return false;
    if (suffixes.len > 0)
        memcpy(copy, suffixes.at, suffixes.len);
    return start(t, policy, device, partition, (struct slice){copy, suffixes.len}, done, arg);
}
