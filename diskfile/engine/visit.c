/* SPDX-License-Identifier: Apache-2.0 */
/* visit.c -- looking at hash directories for whoever replicates, by hash and not by name.
 *
 * What cannot be read (no name in its metadata, another object's name, an I/O error) is shown as
 * "would not tell": the other node then sends the object again, which is safe. Taking it for
 * present would let that node delete the only good copy. */
#include "diskfile/engine/chore.h"
#include "diskfile/engine/hashdir.h"

#include <errno.h>
#include <stdlib.h>

struct visiting {
    struct chore chore;
    struct df_partition partition;
    struct df_visit visit;
    const struct df_policy *policy;
    void (*done)(void *arg, int res);
    void *arg;
    struct object_place place;
};

static struct visiting *visiting_of(struct chore *c)
{
    return (struct visiting *)((char *)c - offsetof(struct visiting, chore));
}

static int find_place(struct visiting *v, const char *hash)
{
    struct slice suffix = {hash + HASH_HEX_LEN - 3, 3}, name = {hash, HASH_HEX_LEN};
    return place_of_directory(v->chore.thread->store, v->chore.device, v->policy,
                              v->partition.partition, suffix, name, &v->place);
}

static bool show(struct visiting *v, unsigned i, int error, struct timestamp *ret_ts)
{
    const struct load_spec spec = {.now = df_now(),
                                   .open_expired = true,
                                   .wish = v->visit.wish,
                                   .by_directory = true,
                                   .let_strangers_be = true,
                                   .list_pending = true};
    struct object_state state;
    int r = hashdir_load(&v->place, &spec, &state);
    if (error == 0 && r < 0)
        error = r;
    bool again = v->visit.see(v->arg, i, r == 0 ? &state.info : NULL, error, ret_ts);
    if (r == 0)
        object_state_release(&state);
    return again;
}

static void visit_one(struct visiting *v, unsigned i)
{
    struct timestamp ts = {0};
    int r = find_place(v, v->visit.hashes[i]);
    if (r < 0) {
        (void)v->visit.see(v->arg, i, NULL, r, &ts);
        return;
    }
    (void)hashdir_clean(&v->place, df_now()); /* what it does not do stays for the next visit */
    if (!show(v, i, 0, &ts))
        return;
    r = hashdir_make_durable(&v->place, ts, v->visit.wish->index);
    (void)show(v, i, r, &ts);
}

static int visit_run(struct chore *c)
{
    struct visiting *v = visiting_of(c);
    v->policy = store_policy(c->thread->store, v->partition.policy);
    if (!v->policy)
        return -EINVAL;
    for (unsigned i = 0; i < v->visit.count; i++)
        visit_one(v, i);
    return store_device_check(c->thread->store, c->device); /* else all would seem absent */
}

static void visit_done(struct chore *c, int res)
{
    struct visiting *v = visiting_of(c);
    v->done(v->arg, res);
    free(v);
}

bool df_visit(struct df_thread *t, const struct df_partition *p, const struct df_visit *visit,
              void (*done)(void *arg, int res), void *arg)
{
    struct visiting *v = calloc(1, sizeof(*v));
    if (!v)
        return false;
    v->chore = (struct chore){.name = "visit", .run = visit_run, .done = visit_done};
    v->partition = *p;
    v->visit = *visit;
    v->done = done;
    v->arg = arg;
    chore_start(&v->chore, t, p->device, arg);
    return true;
}

static int check_run(struct chore *c)
{
    return 0; /* usable: else it would not be called */
}

bool df_device_check(struct df_thread *t, const struct df_partition *p,
                     void (*done)(void *arg, int res), void *arg)
{
    struct visiting *v = calloc(1, sizeof(*v));
    if (!v)
        return false;
    v->chore = (struct chore){.name = "device check", .run = check_run, .done = visit_done};
    v->done = done;
    v->arg = arg;
    chore_start(&v->chore, t, p->device, arg);
    return true;
}
