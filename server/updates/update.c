/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/update.h"
#include "server/metrics/metrics.h"
#include "server/node/log.h"
#include "server/updates/client.h"
#include "server/updates/update_headers.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/path.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define ARENA_LIMIT (1u << 20)

struct update_sending {
    struct update *update;
    struct update_target target;
    char *bytes;
    size_t len;
    struct slice container_path; /* to be saved with */
    struct update_sending *next; /* that waits to be saved */
};

struct updates {
    struct loop *loop;
    void (*idle)(struct loop *loop);
    struct client *client;
    struct update list; /* head of a ring */
};

/* ---- life ---- */

struct update *update_new(struct updates *u)
{
    struct update *up = calloc(1, sizeof(*up));
    struct arena *arena = up ? arena_new(ARENA_LIMIT) : NULL;
    if (!arena) {
        free(up);
        return NULL;
    }
    up->arena = arena;
    up->owner = u;
    return up;
}

void update_drop(struct update *up)
{
    metadata_release(&up->headers);
    arena_free(up->arena);
    free(up);
}

static void on_wait_closed(uv_handle_t *handle)
{
    update_drop(handle->data);
}

/* Once. */
static void settle(struct update *up)
{
    void (*settled)(void *arg) = up->settled;
    up->settled = NULL;
    (void)uv_timer_stop(&up->wait);
    if (settled)
        settled(up->arg);
}

static void end(struct update *up)
{
    struct updates *u = up->owner;
    up->prev->next = up->next;
    up->next->prev = up->prev;
    uv_close((uv_handle_t *)&up->wait, on_wait_closed);
    settle(up);
    if (updates_idle(u))
        u->idle(u->loop);
}

static void start_sending(struct update_sending *s);

static void sending_over(struct update_sending *s)
{
    struct update *up = s->update;
    if (up->started < up->targets.count)
        start_sending(&up->sendings[up->started++]);
    else if (--up->open == 0)
        end(up);
}

/* ---- what could not be told ---- */

static void log_lost(const struct update *up, int err)
{
    log_line(LOG_LEVEL_ERROR,
             "ERROR container update of %s /%.*s/%.*s/%.*s is lost: cannot write async_pending on "
             "%.*s: %s (txn: %.*s)",
             up->op, (int)up->account.len, up->account.at, (int)up->container.len, up->container.at,
             (int)up->object.len, up->object.at, (int)up->device.len, up->device.at, strerror(-err),
             (int)up->trans_id.len, up->trans_id.at);
}

static void save_first(struct update *up);

static void on_saved(void *arg, int res)
{
    struct update_sending *s = arg;
    struct update *up = s->update;
    up->saves = s->next;
    up->is_saved = res == 0;
    up->saved_path = s->container_path;
    if (up->saves)
        save_first(up);
    if (res == 0)
        metric_shared_add(METRIC_async_pendings);
    else
        log_lost(s->update, res);
    sending_over(s);
}

/* Overrides may have put any text there. */
static struct timestamp time_of(const struct update *up)
{
    static const char *const names[] = {"X-Meta-Timestamp", "X-Timestamp"};
    struct timestamp ts;
    for (unsigned i = 0; i < 2; i++) {
        const struct slice *text = metadata_get(&up->headers, names[i]);
        if (text)
            return timestamp_parse(*text, &ts) == 0 ? ts : up->timestamp;
    }
    return up->timestamp;
}

/* They all have one file: one after the other, and the last one's path is what stays. */
static void save_first(struct update *up)
{
    struct update_sending *s = up->saves;
    const struct pending_update pending = {.op = slice_of(up->op),
                                           .account = up->account,
                                           .container = up->container,
                                           .object = up->object,
                                           .headers = &up->headers,
                                           .container_path = s->container_path};
    if (!df_pending_write(up->owner->loop->disk, up->device, up->policy, time_of(up), &pending,
                          on_saved, s))
        on_saved(s, -ENOMEM);
}

static void save(struct update_sending *s, struct slice container_path)
{
    struct update *up = s->update;
    struct update_sending **end = &up->saves;
    s->container_path = container_path;
    if (!up->saves && up->is_saved && slice_eq(up->saved_path, container_path)) {
        sending_over(s);
        return;
    }
    while (*end)
        end = &(*end)->next;
    *end = s;
    if (up->saves == s)
        save_first(up);
}

/* ---- the reply ---- */

static void log_status(const struct update_sending *s, int status)
{
    log_line(LOG_LEVEL_ERROR,
             "ERROR Container update failed (saving for async update later): %d response from "
             "%.*s/%.*s (txn: %.*s)",
             status, (int)s->target.host.len, s->target.host.at, (int)s->target.device.len,
             s->target.device.at, (int)s->update->trans_id.len, s->update->trans_id.at);
}

static void log_failure(const struct update_sending *s, const char *cause)
{
    log_line(LOG_LEVEL_ERROR,
             "ERROR container update failed with %.*s/%.*s (saving for async update later): %s "
             "(txn: %.*s)",
             (int)s->target.host.len, s->target.host.at, (int)s->target.device.len,
             s->target.device.at, cause, (int)s->update->trans_id.len, s->update->trans_id.at);
}

static void save_redirected(struct update_sending *s, const struct client_reply *reply)
{
    struct update *up = s->update;
    const char *problem;
    struct slice path = redirect_path(up->arena, reply, &problem);
    if (problem)
        log_line(LOG_LEVEL_ERROR,
                 "Container update failed for %.*s; problem with redirect location: %s (txn: %.*s)",
                 (int)up->object.len, up->object.at, problem, (int)up->trans_id.len,
                 up->trans_id.at);
    save(s, path.len ? path : up->container_path);
}

static void on_reply(void *arg, enum client_error error, const struct client_reply *reply)
{
    struct update_sending *s = arg;
    struct update *up = s->update;
    if (error == CLIENT_OK && reply->status / 100 == 2) {
        sending_over(s);
    } else if (error == CLIENT_OK && reply->status == 301) {
        save_redirected(s, reply);
    } else {
        if (error == CLIENT_OK)
            log_status(s, reply->status);
        else
            log_failure(s, client_error_text(error));
        save(s, up->container_path);
    }
}

/* ---- sending ---- */

struct text {
    char *at;
    size_t len;
};

static void add(struct text *t, struct slice s)
{
    memcpy(t->at + t->len, s.at, s.len);
    t->len += s.len;
}

static void add_quoted(struct text *t, struct slice s)
{
    t->len += path_quote(s, t->at + t->len);
}

static size_t room_for(const struct update *up, const struct update_target *target)
{
    size_t room = 256 + 3 * (target->device.len + up->targets.partition.len + up->account.len +
                             up->container.len + up->container_path.len + up->object.len);
    for (unsigned i = 0; i < up->headers.count; i++)
        room += up->headers.items[i].key.len + up->headers.items[i].value.len + 4;
    return room + target->host.len;
}

static void add_path(struct text *t, const struct update *up, const struct update_target *target)
{
    const struct slice slash = SLICE("/");
    add(t, slash);
    add_quoted(t, target->device);
    add(t, slash);
    add_quoted(t, up->targets.partition);
    add(t, slash);
    if (up->container_path.len > 0) {
        add_quoted(t, up->container_path);
    } else {
        add_quoted(t, up->account);
        add(t, slash);
        add_quoted(t, up->container);
    }
    add(t, slash);
    add_quoted(t, up->object);
}

static void add_header(struct text *t, struct slice name, struct slice value)
{
    add(t, name);
    add(t, SLICE(": "));
    add(t, value);
    add(t, SLICE("\r\n"));
}

/* The request as bytes, for one target. 0 or -ENOMEM. */
static int write_request(struct update_sending *s)
{
    const struct update *up = s->update;
    struct text t = {arena_alloc(up->arena, room_for(up, &s->target)), 0};
    if (!t.at)
        return -ENOMEM;
    add(&t, slice_of(up->op));
    add(&t, SLICE(" "));
    add_path(&t, up, &s->target);
    add(&t, SLICE(" HTTP/1.1\r\n"));
    add_header(&t, SLICE("Host"), s->target.host);
    add_header(&t, SLICE("Accept-Encoding"), SLICE("identity"));
    for (unsigned i = 0; i < up->headers.count; i++)
        add_header(&t, up->headers.items[i].key, up->headers.items[i].value);
    add(&t, SLICE("\r\n"));
    s->bytes = t.at;
    s->len = t.len;
    return 0;
}

static void start_sending(struct update_sending *s)
{
    struct update *up = s->update;
    if (!target_reachable(&up->targets, (unsigned)(s - up->sendings)))
        save(s, up->container_path);
    else if (!headers_sendable(&up->headers)) {
        log_failure(s, "a header cannot be sent");
        save(s, up->container_path);
    } else if (write_request(s) < 0 ||
               !client_send(up->owner->client, s->target.host, s->bytes, s->len, on_reply, s)) {
        log_failure(s, strerror(ENOMEM));
        save(s, up->container_path);
    }
}

static void on_wait_over(uv_timer_t *timer)
{
    settle(timer->data);
}

static void enlist(struct update *up)
{
    struct update *head = &up->owner->list;
    up->prev = head->prev;
    up->next = head;
    up->prev->next = up->next->prev = up;
}

int update_start(struct update *up, uint64_t wait_ms, void (*settled)(void *arg), void *arg)
{
    unsigned count = up->targets.count;
    up->sendings = arena_alloc(up->arena, count * sizeof(*up->sendings));
    if (!up->sendings) {
        log_lost(up, -ENOMEM);
        update_drop(up);
        return -ENOMEM;
    }
    up->settled = settled;
    up->arg = arg;
    up->wait.data = up;
    (void)uv_timer_init(&up->owner->loop->uv, &up->wait); /* cannot fail, like the start below */
    if (wait_ms > 0)
        (void)uv_timer_start(&up->wait, on_wait_over, wait_ms, 0);
    enlist(up);
    for (unsigned i = 0; i < count; i++)
        up->sendings[i] = (struct update_sending){.update = up, .target = up->targets.at[i]};
    up->started = up->open = up->one_by_one ? 1 : count;
    for (unsigned i = 0, first = up->started; i < first; i++)
        start_sending(&up->sendings[i]);
    return 0;
}

/* ---- a loop's share ---- */

static uint64_t ms_of(double seconds)
{
    uint64_t ms = (uint64_t)(seconds * 1000.0 + 0.5);
    return ms > 0 ? ms : 1;
}

int updates_open(struct loop *loop, void (*idle)(struct loop *loop), struct updates **ret_updates)
{
    const struct config *c = loop->config;
    const struct client_limits limits = {.conn_timeout_ms = ms_of(c->conn_timeout),
                                         .node_timeout_ms = ms_of(c->node_timeout),
                                         .keep_ms = (uint64_t)(c->update_keep_alive * 1000.0),
                                         .per_host = (unsigned)c->update_connections};
    struct updates *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    u->loop = loop;
    u->idle = idle;
    u->list.prev = u->list.next = &u->list;
    u->client = client_new(&loop->uv, &limits);
    if (!u->client) {
        free(u);
        return -ENOMEM;
    }
    *ret_updates = u;
    return 0;
}

bool updates_idle(const struct updates *u)
{
    return u->list.next == &u->list;
}

void updates_stop(struct updates *u)
{
    client_stop(u->client);
}

void updates_close(struct updates *u)
{
    client_close(u->client);
}

void updates_free(struct updates *u)
{
    if (!u)
        return;
    client_free(u->client);
    free(u);
}
