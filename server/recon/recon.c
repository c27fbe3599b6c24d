/* SPDX-License-Identifier: Apache-2.0 */
/* recon.c -- from a path below /recon/ to a source, and its JSON to the client. */
#include "server/recon/recon.h"
#include "server/loop.h"
#include "server/node/config.h"
#include "server/node/python_json.h"
#include "server/offload.h"
#include "server/recon/sources.h"
#include "server/verbs/path.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- which path asks for what ---- */

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define REPLICATION "replication_time", "replication_stats", "replication_last"
#define AUDITS(kind)                                                                               \
    KEYS(#kind "_audits_passed", #kind "_auditor_pass_completed", #kind "_audits_since",           \
         #kind "_audits_failed")

enum { ANY_TYPE = 1, MAY_BE_MISSING = 2 };

struct endpoint {
    const char *check;
    const char *type; /* what stands behind it; NULL: nothing */
    unsigned flags;   /* ANY_TYPE: or anything */
    int (*source)(const struct recon_places *p, json_t **ret);
    const char *file; /* of the cache, if there is no source */
    const char *const *keys;
};

/* clang-format off */
static const struct endpoint endpoints[] = {
    {"mem", NULL, ANY_TYPE, recon_mem, NULL, NULL},
    {"load", NULL, ANY_TYPE, recon_load, NULL, NULL},
    {"devices", NULL, ANY_TYPE, recon_devices, NULL, NULL},
    {"mounted", NULL, ANY_TYPE, recon_mounted, NULL, NULL},
    {"unmounted", NULL, ANY_TYPE, recon_unmounted, NULL, NULL},
    {"diskusage", NULL, ANY_TYPE, recon_disk_usage, NULL, NULL},
    {"ringmd5", NULL, ANY_TYPE, recon_ring_md5, NULL, NULL},
    {"swiftconfmd5", NULL, ANY_TYPE, recon_swift_conf_md5, NULL, NULL},
    {"quarantined", NULL, ANY_TYPE, recon_quarantined, NULL, NULL},
    {"sockstat", NULL, ANY_TYPE, recon_sockstat, NULL, NULL},
    {"version", NULL, ANY_TYPE, recon_version, NULL, NULL},
    {"time", NULL, ANY_TYPE, recon_time, NULL, NULL},
    {"async", NULL, ANY_TYPE, NULL, "object.recon", KEYS("async_pending", "async_pending_last")},
    {"replication", NULL, 0, NULL, "object.recon",
     KEYS(REPLICATION, "object_replication_time", "object_replication_last")},
    {"replication", "object", 0, NULL, "object.recon",
     KEYS(REPLICATION, "object_replication_time", "object_replication_last")},
    {"replication", "container", 0, NULL, "container.recon", KEYS(REPLICATION)},
    {"replication", "account", 0, NULL, "account.recon", KEYS(REPLICATION)},
    {"updater", "object", 0, NULL, "object.recon", KEYS("object_updater_sweep")},
    {"updater", "container", 0, NULL, "container.recon", KEYS("container_updater_sweep")},
    {"auditor", "object", 0, NULL, "object.recon",
     KEYS("object_auditor_stats_ALL", "object_auditor_stats_ZBF")},
    {"auditor", "container", 0, NULL, "container.recon", AUDITS(container)},
    {"auditor", "account", 0, NULL, "account.recon", AUDITS(account)},
    {"expirer", "object", 0, NULL, "object.recon",
     KEYS("object_expiration_pass", "expired_last_pass")},
    {"reconstruction", "object", 0, NULL, "object.recon",
     KEYS("object_reconstruction_last", "object_reconstruction_time")},
    {"driveaudit", NULL, ANY_TYPE, NULL, "drive.recon", KEYS("drive_audit_errors")},
    {"sharding", NULL, ANY_TYPE, NULL, "container.recon",
     KEYS("sharding_stats", "sharding_time", "sharding_last")},
    {"relinker", NULL, ANY_TYPE | MAY_BE_MISSING, NULL, "relinker.recon", KEYS("devices", "workers")},
};
/* clang-format on */

static bool matches(const struct endpoint *e, struct slice check, const struct slice *type)
{
    if (!slice_eq(check, slice_of(e->check)))
        return false;
    if (e->flags & ANY_TYPE)
        return true;
    return type == NULL ? e->type == NULL : e->type != NULL && slice_eq(*type, slice_of(e->type));
}

/* "/recon/<check>" or "/recon/<check>/<type>". */
static const struct endpoint *find(struct slice path)
{
    struct slice check = {path.at + strlen("/recon/"), path.len - strlen("/recon/")}, type;
    const char *slash = memchr(check.at, '/', check.len);
    if (slash != NULL) {
        type = (struct slice){slash + 1, check.len - (size_t)(slash + 1 - check.at)};
        check.len = (size_t)(slash - check.at);
    }
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
        if (matches(&endpoints[i], check, slash != NULL ? &type : NULL))
            return &endpoints[i];
    return NULL;
}

/* ---- where things are ---- */

static struct recon_places places;
static pthread_once_t places_copied = PTHREAD_ONCE_INIT;
static const struct config *places_from;
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;

static void copy_places(void)
{
    const struct config *c = places_from;
    places.devices = strdup(c->devices);
    places.cache = strdup(c->recon_cache_path);
    places.swift_dir = strdup(c->swift_dir);
    places.swift_conf = strdup(c->swift_conf_file);
    places.policies = calloc(c->policy_count, sizeof(*places.policies));
    for (unsigned i = 0; places.policies != NULL && i < c->policy_count; i++)
        places.policies[i] = c->policies[i].df.index;
    places.policy_count = places.policies != NULL ? c->policy_count : 0;
}

/* The process has one configuration; a thread may outlive it. NULL: no memory. */
static const struct recon_places *places_of(const struct config *c)
{
    pthread_mutex_lock(&places_lock);
    places_from = c;
    (void)pthread_once(&places_copied, copy_places);
    pthread_mutex_unlock(&places_lock);
    bool good = places.devices && places.cache && places.swift_dir && places.swift_conf;
    return good ? &places : NULL;
}

/* ---- one question ---- */

struct question {
    struct offload_work work;
    struct request *request; /* the loop's alone */
    const struct endpoint *endpoint;
    const struct recon_places *places;
    int res;
    char *text;
    size_t len;
};

static struct question *question_of(struct offload_work *work)
{
    return (struct question *)((char *)work - offsetof(struct question, work));
}

static void run(struct offload_work *work)
{
    struct question *q = question_of(work);
    const struct endpoint *e = q->endpoint;
    json_t *value = NULL;
    if (e->source != NULL)
        q->res = e->source(q->places, &value);
    else
        q->res = recon_cached(q->places->cache, e->file, e->keys, (e->flags & MAY_BE_MISSING) != 0,
                              &value);
    if (q->res == 0 && (q->text = python_json_dumps(value, false, &q->len)) == NULL)
        q->res = -ENOMEM;
    json_decref(value);
}

static void release(struct offload_work *work)
{
    free(question_of(work)->text);
    free(question_of(work));
}

static void answer_error(struct request *r, int status)
{
    reply_text(r, status, "Internal server error.");
    request_done(r);
}

static void done(struct offload_work *work)
{
    struct question *q = question_of(work);
    struct request *r = q->request;
    r->state = NULL;
    if (q->res < 0) {
        release(work);
        answer_error(r, 500);
        return;
    }
    reply_begin(r, 200);
    reply_header(r, "Content-Type", SLICE("application/json"));
    reply_send(r, q->text, q->len); /* copied or sent */
    release(work);
    request_done(r);
}

static void on_gone(struct request *r)
{
    struct question *q = r->state;
    if (q == NULL)
        return; /* the reply is out: request_done() comes by itself */
    r->state = NULL;
    offload_forget(&q->work);
    request_done(r);
}

static const char *step_of(const struct request *r)
{
    return "looking";
}

static const struct handler recon_handler = {.name = "recon", .gone = on_gone, .step = step_of};

static void ask(struct request *r, const struct endpoint *e)
{
    const struct recon_places *p = places_of(r->loop->config);
    struct question *q = p != NULL ? calloc(1, sizeof(*q)) : NULL;
    if (q == NULL) {
        answer_error(r, 500);
        return;
    }
    q->work = (struct offload_work){.run = run, .done = done, .free = release};
    q->request = r;
    q->endpoint = e;
    q->places = p;
    r->state = q;
    r->handler = &recon_handler;
    if (offload_run(r->loop->offload, &q->work) < 0) {
        r->handler = NULL;
        free(q);
        answer_error(r, 503);
    }
}

static void answer_unknown(struct request *r)
{
    char *quoted = arena_alloc(r->arena, 3 * r->path.len + 1);
    const char *text = NULL;
    if (quoted != NULL) {
        (void)path_quote(r->path, quoted);
        text = arena_printf(r->arena, "Invalid path: %s", quoted);
    }
    reply_text(r, text != NULL ? 404 : 500, text != NULL ? text : "");
    request_done(r);
}

void recon_answer(struct request *r)
{
    const struct endpoint *e = find(r->path);
    if (e != NULL)
        ask(r, e);
    else
        answer_unknown(r);
}
