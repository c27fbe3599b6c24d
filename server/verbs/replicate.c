/* SPDX-License-Identifier: Apache-2.0 */
/* replicate.c -- REPLICATE: what other nodes ask before they send anything (http-api 14).
 *
 *   /device/partition             the hashes of its suffixes, as a pickled dict
 *   /device/partition/abc-def     files came by rsync: these suffixes changed. A pickled None
 *
 * Not here: what a hash is made of, and pickles of them (diskfile/). */
#include "server/loop.h"
#include "server/verbs/answer.h"
#include "server/verbs/target.h"

/* pickle.dumps(None, protocol=2) */
#define PICKLED_NONE SLICE("\x80\x02N.")

struct replicate {
    struct request *request;
    struct target target;
    char times[32];
};

static void answer_pickle(struct request *r, struct slice pickle)
{
    reply_begin(r, 200);
    reply_header(r, "Content-Type", SLICE("text/html; charset=UTF-8")); /* so says Swift */
    reply_send(r, pickle.at, pickle.len);
    request_done(r);
}

static void on_hashes(void *arg, int res, const struct df_hashes *found)
{
    struct replicate *v = arg;
    struct request *r = v->request;
    snprintf(v->times, sizeof(v->times), "hashed=%u", found->hashed);
    r->times = v->times;
    if (res < 0)
        answer_errno(r, res, v->target.name.device);
    else
        answer_pickle(r, found->pickle);
}

static void on_forgotten(void *arg, int res, const struct df_hashes *found)
{
    struct replicate *v = arg;
    (void)found;
    if (res < 0)
        answer_errno(v->request, res, v->target.name.device);
    else
        answer_pickle(v->request, PICKLED_NONE);
}

static void on_gone(struct request *r)
{
    /* The hashes are kept on the disk for whoever asks next; the reply is a no-op then. A stop does
     * not wait for them: df_thread_hurry(). */
}

static const char *step_of(const struct request *r)
{
    const struct replicate *v = r->state;
    return v->target.rest.len > 0 ? "marking suffixes" : "hashing suffixes";
}

static const struct handler replicate_handler = {
    .name = "REPLICATE", .gone = on_gone, .step = step_of};

void replicate_start(struct request *r, const struct target *target)
{
    struct replicate *v = arena_alloc(r->arena, sizeof(*v));
    if (!v) {
        answer_status(r, 500);
        return;
    }
    *v = (struct replicate){.request = r, .target = *target};
    r->handler = &replicate_handler;
    r->state = v;
    const struct df_name *n = &v->target.name;
    struct df_thread *disk = r->loop->disk;
    bool started = target->rest.len > 0
                       ? df_hashes_forget(disk, n->policy, n->device, n->partition, target->rest,
                                          on_forgotten, v)
                       : df_hashes_get(disk, n->policy, n->device, n->partition, on_hashes, v);
    if (!started)
        answer_status(r, 500);
}
