/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/tell.h"
#include "server/node/log.h"
#include "server/updates/queue_row.h"
#include "server/updates/update.h"
#include <errno.h>

/* Updates made from one request, to be done one after the other. */
struct telling {
    struct tell tell;
    struct update *row_put, *row_delete, *containers;
    uint64_t wait_ms;             /* for the containers */
    const struct handler *before; /* of the request */
};

static void on_gone(struct request *r)
{
    /* told() is still to come; the reply is a no-op then. */
}

static const char *step_of(const struct request *r)
{
    return "updating containers";
}

static const struct handler telling_handler = {.name = "update", .gone = on_gone, .step = step_of};

static struct slice trans_id_of(const struct request *r)
{
    const struct slice *id = request_header(r, "X-Trans-Id");
    return id ? *id : SLICE("-");
}

/* ---- one after the other ---- */

static void go_on(void *arg);

static void start(struct telling *t, struct update **at, uint64_t wait_ms)
{
    struct update *up = *at;
    *at = NULL;
    if (update_start(up, wait_ms, go_on, t) < 0)
        go_on(t);
}

static void go_on(void *arg)
{
    struct telling *t = arg;
    if (t->row_put)
        start(t, &t->row_put, 0);
    else if (t->row_delete)
        start(t, &t->row_delete, 0);
    else if (t->containers)
        start(t, &t->containers, t->wait_ms);
    else {
        t->tell.request->handler = t->before;
        t->tell.told(t->tell.arg);
    }
}

/* ---- making updates ---- */

static struct telling *telling_new(const struct tell *tell)
{
    struct telling *t = arena_alloc(tell->request->arena, sizeof(*t));
    if (t)
        t->tell = *tell;
    return t;
}

static void begin(struct telling *t)
{
    struct request *r = t->tell.request;
    t->before = r->handler;
    if (t->row_put || t->row_delete || t->containers)
        r->handler = &telling_handler;
    go_on(t);
}

static void log_no_memory(const struct tell *tell)
{
    const struct request *r = tell->request;
    struct slice id = trans_id_of(r);
    log_line(LOG_LEVEL_ERROR, "ERROR container update is lost: no memory: %.*s %.*s (txn: %.*s)",
             (int)r->method.len, r->method.at, (int)r->target.len, r->target.at, (int)id.len,
             id.at);
}

static struct slice kept(struct update *up, struct slice text, int *res)
{
    char *copy = arena_text(up->arena, text);
    if (!copy)
        *res = -ENOMEM;
    return (struct slice){copy, copy ? text.len : 0};
}

static int keep_targets(struct update *up, const struct targets *targets)
{
    int res = 0;
    up->targets = *targets;
    up->targets.partition = kept(up, targets->partition, &res);
    up->targets.at = arena_alloc(up->arena, targets->count * sizeof(*targets->at));
    for (unsigned i = 0; up->targets.at && i < targets->count; i++) {
        up->targets.at[i].host = kept(up, targets->at[i].host, &res);
        up->targets.at[i].device = kept(up, targets->at[i].device, &res);
    }
    return up->targets.at ? res : -ENOMEM;
}

/* An update that has everything but its headers. NULL: no memory. */
static struct update *update_for(const struct tell *tell, const char *op, struct slice account,
                                 struct slice container, struct slice object,
                                 const struct targets *targets)
{
    struct update *up = update_new(tell->request->loop->updates);
    int res = 0;
    if (!up)
        return NULL;
    up->op = op;
    up->account = kept(up, account, &res);
    up->container = kept(up, container, &res);
    up->object = kept(up, object, &res);
    up->device = kept(up, tell->target->name.device, &res);
    up->trans_id = kept(up, trans_id_of(tell->request), &res);
    up->policy = tell->target->name.policy;
    up->timestamp = tell->timestamp;
    if (res == 0)
        res = keep_targets(up, targets);
    if (res == 0)
        return up;
    update_drop(up);
    return NULL;
}

/* `policy`: what the container is told; the queue's containers are always of policy 0. */
static int add_sender(struct update *up, const struct request *r, unsigned policy)
{
    const struct config *c = r->loop->config;
    const char *listen_address =
        arena_printf(r->arena, "%s:%lld", c->bind_ip, (long long)c->bind_port);
    return listen_address ? headers_of_sender(&up->headers, r, listen_address, policy) : -ENOMEM;
}

/* ---- the queue of expiring objects ---- */

static bool container_of_row(const struct tell *tell, int64_t delete_at, bool put,
                             char text[QUEUE_CONTAINER_MAX])
{
    const struct request *r = tell->request;
    const struct config *c = r->loop->config;
    const struct df_name *name = &tell->target->name;
    const struct hash_key key = {c->hash_prefix, c->hash_suffix};
    struct slice sent = request_header_value(r, "X-Delete-At-Container");
    struct object_hash hash;
    if (put && queue_container_sent(sent, text))
        return true;
    hash_path(&key, name->account, name->container, name->object, &hash);
    queue_container(delete_at, c->expiring_objects_container_divisor, &hash, text);
    return !put;
}

static struct slice queue_account(const struct request *r)
{
    const struct config *c = r->loop->config;
    const char *text = arena_printf(r->arena, "%s%s", c->auto_create_account_prefix,
                                    c->expiring_objects_account_name);
    return text ? slice_of(text) : SLICE(".expiring_objects");
}

static struct update *row_update(const struct tell *tell, int64_t delete_at, bool put,
                                 const struct targets *targets)
{
    const struct request *r = tell->request;
    char container[QUEUE_CONTAINER_MAX];
    if (!container_of_row(tell, delete_at, put, container))
        log_line(LOG_LEVEL_WARNING,
                 "X-Delete-At-Container is missing or no number: the expiring object is queued in "
                 "the container that this node's options make, %s (txn: %.*s)",
                 container, (int)trans_id_of(r).len, trans_id_of(r).at);
    struct slice object = queue_object(r->arena, delete_at, &tell->target->name);
    struct update *up = object.at ? update_for(tell, put ? "PUT" : "DELETE", queue_account(r),
                                               slice_of(container), object, targets)
                                  : NULL;
    if (up && headers_of_queue_row(&up->headers, tell->timestamp, put) == 0 &&
        add_sender(up, r, 0) == 0) {
        up->one_by_one = true;
        return up;
    }
    if (up)
        update_drop(up);
    log_no_memory(tell);
    return NULL;
}

static void make_row_put(struct telling *t, int64_t delete_at)
{
    struct targets targets;
    if (targets_of_queue(t->tell.request, &targets) < 0)
        log_no_memory(&t->tell);
    else if (targets.count > 0)
        t->row_put = row_update(&t->tell, delete_at, true, &targets);
}

/* Nobody knows which container the row went to at its time: the updater is to find out. */
static void make_row_delete(struct telling *t, int64_t delete_at)
{
    const struct request *r = t->tell.request;
    struct update_target nobody = {{"", 0}, {"", 0}};
    const struct targets targets = {.partition = {"", 0}, .at = &nobody, .count = 1};
    if (!request_header(r, "X-Backend-Clean-Expiring-Object-Queue") ||
        request_header_true(r, "X-Backend-Clean-Expiring-Object-Queue"))
        t->row_delete = row_update(&t->tell, delete_at, false, &targets);
}

static void make_rows(struct telling *t, int64_t old_expiry, int64_t new_expiry)
{
    if (old_expiry == new_expiry || request_header_true(t->tell.request, "X-Backend-Replication"))
        return;
    if (new_expiry != 0)
        make_row_put(t, new_expiry);
    if (old_expiry != 0)
        make_row_delete(t, old_expiry);
}

/* ---- the containers ---- */

static void log_mismatch(const struct request *r)
{
    struct slice hosts = request_header_value(r, "X-Container-Host");
    struct slice devices = request_header_value(r, "X-Container-Device");
    log_line(LOG_LEVEL_ERROR,
             "ERROR Container update failed: different numbers of hosts and devices in request: "
             "\"%.*s\" vs \"%.*s\" (txn: %.*s)",
             (int)hosts.len, hosts.at, (int)devices.len, devices.at, (int)trans_id_of(r).len,
             trans_id_of(r).at);
}

static int keep_container_path(struct update *up, const struct request *r)
{
    struct slice bad, path = target_container_path(r, &bad);
    int res = 0;
    if (bad.len > 0)
        log_line(LOG_LEVEL_ERROR,
                 "Invalid X-Backend-Container-Path, should be of the form 'account/container' but "
                 "got %.*s (txn: %.*s)",
                 (int)bad.len, bad.at, (int)trans_id_of(r).len, trans_id_of(r).at);
    if (path.len > 0)
        up->container_path = kept(up, path, &res);
    return res;
}

/* The update of the containers without its own headers; NULL: there is none to be made. */
static struct update *container_update(struct telling *t, const char *op)
{
    const struct tell *tell = &t->tell;
    const struct df_name *name = &tell->target->name;
    struct targets targets;
    int res = targets_of_container(tell->request, &targets);
    if (res == -EINVAL)
        log_mismatch(tell->request);
    if (res == -ENOMEM)
        log_no_memory(tell);
    if (res < 0 || targets.count == 0)
        return NULL;
    struct update *up =
        update_for(tell, op, name->account, name->container, name->object, &targets);
    if (!up)
        log_no_memory(tell);
    return up;
}

/* `res`: whether the headers of its own could be made. */
static void finish_container_update(struct telling *t, struct update *up, int res)
{
    const struct request *r = t->tell.request;
    if (res == 0)
        res = keep_container_path(up, r);
    if (res == 0)
        res = add_sender(up, r, t->tell.target->name.policy);
    if (res < 0) {
        update_drop(up);
        log_no_memory(&t->tell);
        return;
    }
    double wait_ms = r->loop->config->container_update_timeout * 1000.0;
    t->wait_ms = wait_ms >= 1.0 ? (uint64_t)wait_ms : 1;
    t->containers = up;
}

/* ---- the verbs ---- */

/* NULL: said already, and told. */
static struct telling *telling_or_told(const struct tell *tell)
{
    struct telling *t = telling_new(tell);
    if (!t) {
        log_no_memory(tell);
        tell->told(tell->arg);
    }
    return t;
}

void tell_put(const struct tell *tell, int64_t old_expiry, int64_t new_expiry,
              const struct put_facts *facts)
{
    struct telling *t = telling_or_told(tell);
    if (!t)
        return;
    make_rows(t, old_expiry, new_expiry);
    struct update *up = container_update(t, "PUT");
    if (up)
        finish_container_update(t, up, headers_of_put(&up->headers, tell->request, facts));
    begin(t);
}

void tell_post_queue(const struct tell *tell, int64_t old_expiry, int64_t new_expiry)
{
    struct telling *t = telling_or_told(tell);
    if (!t)
        return;
    make_rows(t, old_expiry, new_expiry);
    begin(t);
}

void tell_post(const struct tell *tell, const struct post_facts *facts)
{
    struct telling *t = telling_or_told(tell);
    if (!t)
        return;
    struct update *up = container_update(t, "PUT");
    if (up)
        finish_container_update(t, up, headers_of_post(&up->headers, facts));
    begin(t);
}

void tell_delete(const struct tell *tell, int64_t old_expiry, bool deleted)
{
    struct telling *t = telling_or_told(tell);
    if (!t)
        return;
    make_rows(t, old_expiry, 0);
    struct update *up = deleted ? container_update(t, "DELETE") : NULL;
    if (up)
        finish_container_update(t, up, headers_of_delete(&up->headers, tell->timestamp));
    begin(t);
}
