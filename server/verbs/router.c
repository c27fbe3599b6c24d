/* SPDX-License-Identifier: Apache-2.0 */
/* router.c -- from a request's head to the verb that answers it (http-api 2). */
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include "server/recon/recon.h"
#include "server/ssync/ssync.h"
#include "server/verbs/answer.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/path.h"
#include "server/verbs/ratelimit.h"
#include "server/verbs/target.h"
#include "server/verbs/unsupported.h"
#include "server/verbs/verbs.h"
#include <stdlib.h>
#include <unistd.h>

/* ---- filters: no access line, no numbers of theirs ---- */

static void answer_healthcheck(struct request *r)
{
    const char *path = r->loop->config->disable_path;
    bool disabled = path && path[0] && access(path, F_OK) == 0;
    reply_text(r, disabled ? 503 : 200, disabled ? "DISABLED BY FILE" : "OK");
    request_done(r);
}

static void answer_metrics(struct request *r)
{
    struct metrics_text t = metrics_expose();
    if (t.text == NULL) {
        answer_status(r, 500);
        return;
    }
    reply_begin(r, 200);
    reply_header(r, "Content-Type", SLICE("text/plain; version=0.0.4; charset=utf-8"));
    reply_send(r, t.text, t.len);
    free(t.text);
    request_done(r);
}

/* No object has such a path: in a cluster it has five parts, stand-alone two. */
static bool asks_metrics(const struct request *r)
{
    return r->loop->config->metrics && slice_eq(r->path, SLICE("/metrics")) &&
           (slice_eq(r->method, SLICE("GET")) || is_head(r));
}

static bool asks_recon(const struct request *r)
{
    static const char prefix[] = "/recon/";
    size_t len = sizeof(prefix) - 1;
    return r->loop->config->recon && r->path.len >= len && memcmp(r->path.at, prefix, len) == 0;
}

typedef void (*answerer)(struct request *r);

/* The filter that answers this request, or NULL: none does. */
/* Swift's answers any method. Alone, 200 to a PUT would mean that something was stored. */
static bool asks_health(const struct request *r)
{
    const struct config *c = r->loop->config;
    if (!slice_eq(r->path, SLICE("/healthcheck")))
        return false;
    return c->standalone ? slice_eq(r->method, SLICE("GET")) || is_head(r) : c->healthcheck;
}

static answerer filter_of(struct request *r)
{
    const struct config *c = r->loop->config;
    if (asks_health(r))
        return answer_healthcheck;
    if (asks_metrics(r))
        return answer_metrics;
    if (asks_recon(r))
        return recon_answer;
    return c->ratelimit && !ratelimit_allows(r) ? ratelimit_answer : NULL;
}

/* ---- Swift's URLs ---- */

/* X-Backend-Storage-Policy-Index. */
static bool find_policy(struct request *r, const struct config_policy **ret_policy,
                        struct refusal *ret_why)
{
    struct slice text = request_header_value(r, "X-Backend-Storage-Policy-Index");
    int64_t index = 0;
    bool ok = text.len == 0 || (integer_parse(text, &index) == 0 && index >= 0);
    *ret_policy =
        ok && index <= UINT32_MAX ? config_policy(r->loop->config, (unsigned)index) : NULL;
    if (*ret_policy)
        return true;
    *ret_why = (struct refusal){
        .status = 503,
        .text = arena_printf(r->arena, "No policy with index %.*s", (int)text.len, text.at)};
    return false;
}

static bool refuse_name(struct request *r, struct refusal *ret_why, int status, const char *format,
                        struct slice name)
{
    char *quoted = arena_alloc(r->arena, 3 * name.len + 1);
    *ret_why = (struct refusal){.status = status};
    if (quoted) {
        path_quote(name, quoted);
        ret_why->text = arena_printf(r->arena, "%s%s", format, quoted);
    } else {
        ret_why->status = 500;
    }
    return false;
}

static bool find_target(struct request *r, const struct config_policy *policy, struct target *ret,
                        struct refusal *ret_why)
{
    struct object_path p;
    if (!path_split(r->path, &p))
        return refuse_name(r, ret_why, 400, "Invalid path: ", r->path);
    if (!path_component_safe(p.device) && !memchr(p.device.at, 0, p.device.len))
        return refuse_name(r, ret_why, 400, "Invalid device: ", p.device);
    if (!path_component_safe(p.partition))
        return refuse_name(r, ret_why, 400, "Invalid partition: ", p.partition);
    const char *problem =
        path_reserved_problem(&p, slice_of(r->loop->config->auto_create_account_prefix));
    if (problem) {
        *ret_why = (struct refusal){.status = 400, .text = problem, .html = true};
        return false;
    }
    *ret = (struct target){
        .name = {policy->df.index, p.device, p.partition, p.account, p.container, p.object}};
    return true;
}

/* "/device/partition", and whatever follows. */
static bool find_partition(struct request *r, const struct config_policy *policy,
                           struct target *ret, struct refusal *ret_why)
{
    struct slice device, partition, rest;
    if (!path_split_partition(r->path, &device, &partition, &rest))
        return refuse_name(r, ret_why, 400, "Invalid path: ", r->path);
    if (!path_component_safe(device) && !memchr(device.at, 0, device.len))
        return refuse_name(r, ret_why, 400, "Invalid device: ", device);
    if (!path_component_safe(partition))
        return refuse_name(r, ret_why, 400, "Invalid partition: ", partition);
    *ret = (struct target){
        .name = {.policy = policy->df.index, .device = device, .partition = partition},
        .rest = rest};
    return true;
}

enum { NAMES_OBJECT = 1, REPLICATION = 2 };

static const struct {
    const char *method;
    int kind;
    void (*start)(struct request *r, const struct target *target);
} methods[] = {
    {"GET", NAMES_OBJECT, get_start},       {"HEAD", NAMES_OBJECT, get_start},
    {"PUT", NAMES_OBJECT, put_swift},       {"POST", NAMES_OBJECT, post_swift},
    {"DELETE", NAMES_OBJECT, delete_swift}, {"REPLICATE", REPLICATION, replicate_start},
    {"SSYNC", REPLICATION, NULL},           {"OPTIONS", 0, NULL},
};

#define METHODS (sizeof methods / sizeof *methods)

static unsigned find_method(const struct request *r)
{
    unsigned i = 0;
    while (i < METHODS && !slice_eq(r->method, slice_of(methods[i].method)))
        i++;
    return i;
}

static void object_dispatch(struct request *r, unsigned method)
{
    const struct config_policy *policy;
    struct target target;
    struct refusal why;
    if (!find_policy(r, &policy, &why) || !find_target(r, policy, &target, &why))
        answer_refusal(r, &why);
    else if (memchr(target.name.device.at, 0, target.name.device.len)) {
        r->untimed = slice_eq(r->method, SLICE("PUT"));
        reply_default_device(r, 507, target.name.device);
        request_done(r);
    } else {
        r->device = target.name.device;
        methods[method].start(r, &target);
    }
}

static void ssync_dispatch(struct request *r)
{
    const struct config_policy *policy;
    struct refusal why;
    if (find_policy(r, &policy, &why))
        ssync_start(r, policy);
    else
        answer_refusal(r, &why);
}

static void replication_dispatch(struct request *r, unsigned method)
{
    const struct config_policy *policy;
    struct target target;
    struct refusal why;
    if (!methods[method].start) {
        answer_unsupported(r, methods[method].method);
    } else if (!find_policy(r, &policy, &why) || !find_partition(r, policy, &target, &why)) {
        answer_refusal(r, &why);
    } else {
        r->device = target.name.device;
        methods[method].start(r, &target);
    }
}

static void answer_unknown_method(struct request *r)
{
    r->untimed = true;
    answer_status(r, 405);
}

static void swift_dispatch(struct request *r)
{
    unsigned method = find_method(r);
    if (!utf8_valid(r->path))
        answer_refusal(r, &(struct refusal){.status = 412,
                                            .text = "Invalid UTF8 or contains NULL",
                                            .html = true});
    else if (method == METHODS ||
             (methods[method].kind == REPLICATION && !r->loop->config->replication_server))
        answer_unknown_method(r);
    else if (slice_eq(r->method, SLICE("SSYNC")))
        ssync_dispatch(r);
    else if (methods[method].kind == REPLICATION)
        replication_dispatch(r, method);
    else if (methods[method].kind == NAMES_OBJECT)
        object_dispatch(r, method);
    else
        options_swift(r);
}

void router_dispatch_part(struct request *r)
{
    metric_add(r->loop->metrics, METRIC_requests_begun, 1);
    swift_dispatch(r);
}

void router_dispatch(struct request *r)
{
    answerer filter = filter_of(r);
    if (filter != NULL) {
        r->filtered = true;
        filter(r);
        return;
    }
    metric_add(r->loop->metrics, METRIC_requests_begun, 1);
    if (r->loop->config->standalone)
        standalone_dispatch(r);
    else
        swift_dispatch(r);
}
