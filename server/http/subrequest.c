/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/subrequest.h"
#include "server/http/conn_own.h"
#include <assert.h>
#include <stdlib.h>

enum { REPLY_MAX = 1024 }; /* of its body: for a log line */

struct subrequest {
    struct exchange x;
    const struct subrequest_calls *calls;
    void *arg;
    struct loop *loop;
    size_t reply_len;
    char reply[REPLY_MAX];
};

static struct subrequest *subrequest_of(struct exchange *x)
{
    return (struct subrequest *)((char *)x - offsetof(struct subrequest, x));
}

struct subrequest *subrequest_new(struct loop *loop, const struct subrequest_calls *calls,
                                  void *arg)
{
    struct subrequest *s = calloc(1, sizeof(*s));
    if (s == NULL || (s->x.r.arena = arena_new(ARENA_LIMIT)) == NULL) {
        free(s);
        return NULL;
    }
    s->loop = loop;
    s->calls = calls;
    s->arg = arg;
    return s;
}

void subrequest_free(struct subrequest *s)
{
    if (s == NULL)
        return;
    arena_free(s->x.r.arena);
    free(s->x.head);
    free(s);
}

struct request *subrequest_reset(struct subrequest *s)
{
    struct exchange *x = &s->x;
    arena_reset(x->r.arena);
    *x = (struct exchange){.head = x->head, .head_room = x->head_room, .r.arena = x->r.arena};
    x->r.loop = s->loop;
    x->r.started_ns = uv_hrtime();
    x->r.reply_length = -1;
    x->r.state_bits = HEAD_KEEP_ALIVE;
    x->body = BODY_WAIT;
    s->reply_len = 0;
    return &x->r;
}

struct request *subrequest_request(struct subrequest *s)
{
    return &s->x.r;
}

bool subrequest_wants(const struct subrequest *s)
{
    return s->x.body == BODY_READ && !s->x.done;
}

void subrequest_data(struct subrequest *s, const char *at, size_t len)
{
    struct exchange *x = &s->x;
    assert(subrequest_wants(s));
    x->more = false;
    bool go_on = x->sink.data(&x->r, at, len);
    if (!go_on && !x->more && x->body == BODY_READ)
        x->body = BODY_PAUSED;
}

void subrequest_end(struct subrequest *s)
{
    assert(subrequest_wants(s));
    s->x.body = BODY_DONE;
    s->x.sink.end(&s->x.r);
}

void subrequest_fail(struct subrequest *s, int err)
{
    struct exchange *x = &s->x;
    if (x->done || (x->body != BODY_READ && x->body != BODY_PAUSED))
        return;
    x->body = BODY_FAILED;
    x->told = true;
    x->sink.failed(&x->r, err);
}

struct slice subrequest_reply(const struct subrequest *s)
{
    return (struct slice){s->reply, s->reply_len};
}

/* ---- the verb's side ---- */

void subrequest_read(struct exchange *x)
{
    struct subrequest *s = subrequest_of(x);
    s->calls->wants(s->arg);
}

bool subrequest_body_is_here(const struct exchange *x)
{
    const struct subrequest *s =
        (const struct subrequest *)((const char *)x - offsetof(struct subrequest, x));
    return x->r.content_length <= s->calls->have(s->arg);
}

void subrequest_replied(struct exchange *x, const void *body, size_t len)
{
    struct subrequest *s = subrequest_of(x);
    s->reply_len = len < REPLY_MAX ? len : REPLY_MAX;
    if (len > 0)
        memcpy(s->reply, body, s->reply_len);
}

void subrequest_over(struct exchange *x)
{
    struct subrequest *s = subrequest_of(x);
    s->calls->over(s->arg);
}
