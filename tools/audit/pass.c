/* SPDX-License-Identifier: Apache-2.0 */
/* pass.c -- see pass.h. */
#include "tools/audit/pass.h"
#include "tools/audit/halt.h"
#include "tools/audit/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

const char *audit_type_name(enum audit_type t)
{
    static const char *const names[] = {
        [AUDIT_ALL] = "ALL", [AUDIT_ZBF] = "ZBF", [AUDIT_SWEEP] = "SWEEP"};
    return names[t];
}

/* The workers of one policy of one device, and what they share. */
struct crew {
    struct pass *pass;
    struct device *device;
    struct tally *tally;
    const struct df_policy *policy;
    int objects_fd;
    pthread_mutex_t lock; /* of the list */
    struct partition_list list;
    struct md5_combiner combiner;
    bool keeps_status;
    double saved_s;
};

static bool ends(const struct crew *c)
{
    return halted() || atomic_load(&c->device->vanished);
}

/* ---- partitions ---- */

/* Every minute, and on a change: what a restart must know. */
static void keep(struct crew *c, bool end)
{
    double now_s = halt_monotonic_s();
    int r = 0;
    if (c->keeps_status)
        r = status_write(&c->list, c->objects_fd, c->device->state_fd,
                         audit_type_name(c->pass->type), end);
    if (r == 0 && !c->pass->run->dry_run && (end || now_s - c->saved_s > STATUS_MIN_AGE_S)) {
        c->saved_s = now_s;
        r = device_save(c->device);
    }
    if (r < 0) {
        report_found(FOUND_DEVICE, c->device->name, NULL,
                     "where the pass is cannot be written down: %s", strerror(-r));
        c->keeps_status = false;
    }
}

/* false: no more. */
static bool take_partition(struct crew *c, unsigned *ret)
{
    pthread_mutex_lock(&c->lock);
    bool more = c->list.next < c->list.count && !ends(c);
    if (more) {
        *ret = c->list.next++;
        keep(c, false);
    }
    pthread_mutex_unlock(&c->lock);
    return more;
}

static void finish_partition(struct crew *c, unsigned i, uint64_t objects, uint64_t bytes)
{
    const char *name = partition_list_name(&c->list, i);
    if (c->pass->type == AUDIT_ALL) {
        pthread_mutex_lock(&c->device->lock);
        /* Without memory the partition counts as not verified, which harms nobody. */
        (void)coverage_verified(&c->device->coverage, c->policy->index, name,
                                (uint32_t)trusted_now_s(NULL), (uint32_t)objects, bytes);
        pthread_mutex_unlock(&c->device->lock);
    }
    pthread_mutex_lock(&c->lock);
    partition_list_finished(&c->list, i);
    pthread_mutex_unlock(&c->lock);
    atomic_fetch_add(&c->tally->partitions_done, 1);
}

static struct worker *worker_new(struct crew *c)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->pass = c->pass;
    w->device = c->device;
    w->tally = c->tally;
    w->policy = c->policy;
    w->objects_fd = c->objects_fd;
    if (verifier_new(&c->device->pace, &c->pass->run->bytes, &w->verifier) < 0) {
        free(w);
        return NULL;
    }
    verifier_combine(w->verifier, &c->combiner);
    return w;
}

static void worker_free(struct worker *w)
{
    verifier_free(w->verifier);
    free(w);
}

static void *work(void *arg)
{
    struct crew *c = arg;
    struct worker *w = worker_new(c);
    unsigned i;
    if (!w) {
        atomic_store(&c->pass->failed, true);
        return NULL;
    }
    while (take_partition(c, &i)) {
        uint64_t objects = w->examined, bytes = w->bytes;
        if (!device_has_vanished(c->device))
            walk_partition(w, partition_list_name(&c->list, i));
        if (!ends(c))
            finish_partition(c, i, w->examined - objects, w->bytes - bytes);
    }
    worker_free(w);
    return NULL;
}

/* ---- a policy of a device ---- */

static void note_partitions(struct crew *c)
{
    struct coverage *coverage = &c->device->coverage;
    if (c->pass->type != AUDIT_ALL || c->list.resumed)
        return;
    int r = 0;
    pthread_mutex_lock(&c->device->lock);
    for (unsigned i = 0; i < c->list.count && r == 0; i++)
        r = coverage_seen(coverage, c->policy->index, partition_list_name(&c->list, i));
    if (r == 0)
        coverage_forget_unseen(coverage, c->policy->index);
    pthread_mutex_unlock(&c->device->lock);
}

static int load_list(struct crew *c)
{
    int bad_file;
    const char *type = c->pass->type == AUDIT_SWEEP ? NULL : audit_type_name(c->pass->type);
    int r = partition_list_load(&c->list, c->objects_fd, type, &bad_file);
    if (bad_file)
        report_line(LOG_LEVEL_WARNING, "Loading auditor_status_%s.json of %s failed (%s)", type,
                    c->device->sd.path,
                    bad_file == -EBADMSG ? "no such JSON" : strerror(-bad_file));
    if (r == 0)
        atomic_fetch_add(&c->tally->partitions, c->list.count);
    return r;
}

/* As many as there are partitions for, the last of them in this thread. */
static void run_workers(struct crew *c)
{
    unsigned count = (unsigned)c->pass->run->settings->workers_per_device;
    if (count > c->list.count)
        count = c->list.count;
    pthread_t threads[64];
    unsigned started = 0;
    md5_combiner_init(&c->combiner, count);
    while (started + 1 < count && pthread_create(&threads[started], NULL, work, c) == 0)
        started++;
    work(c);
    while (started > 0)
        pthread_join(threads[--started], NULL);
    md5_combiner_release(&c->combiner);
}

static void run_policy(struct pass *p, unsigned at, const struct df_policy *policy)
{
    struct crew c = {.pass = p,
                     .device = p->devices[at],
                     .tally = &p->tallies[at],
                     .policy = policy,
                     .saved_s = halt_monotonic_s()};
    char objects[24];
    policy_path_component("objects", policy->index, objects);
    c.objects_fd =
        openat(c.device->root_fd, objects, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c.objects_fd < 0 && errno == ENOENT)
        return;
    int r = c.objects_fd < 0 ? -errno : load_list(&c);
    if (r < 0) {
        atomic_store(&p->failed, true);
        tally_one(&c.tally->errors);
        report_found(FOUND_ERROR, c.device->name, c.device->sd.path, "%s: %s", objects,
                     strerror(-r));
    } else {
        c.keeps_status = p->type != AUDIT_SWEEP && !p->run->dry_run && c.device->state_fd >= 0;
        pthread_mutex_init(&c.lock, NULL);
        note_partitions(&c);
        run_workers(&c);
        keep(&c, true);
        pthread_mutex_destroy(&c.lock);
    }
    partition_list_release(&c.list);
    if (c.objects_fd >= 0)
        close(c.objects_fd);
}

/* ---- a device ---- */

static void sweep_beside_objects(struct pass *p, unsigned at)
{
    struct crew c = {
        .pass = p, .device = p->devices[at], .tally = &p->tallies[at], .objects_fd = -1};
    struct worker *w = worker_new(&c);
    if (!w) {
        atomic_store(&p->failed, true);
        return;
    }
    orphans_of_device(w);
    worker_free(w);
}

static void settle_fuse(struct pass *p, struct device *d)
{
    if (p->type == AUDIT_SWEEP || p->run->dry_run || halted() || atomic_load(&d->vanished))
        return;
    bool was = d->coverage.fuse_blown[p->type == AUDIT_ZBF];
    bool blown = fuse_after_pass(&d->fuse[p->type == AUDIT_ZBF]);
    pthread_mutex_lock(&d->lock);
    d->coverage.fuse_blown[p->type == AUDIT_ZBF] = blown;
    d->coverage.dirty = d->coverage.dirty || was != blown;
    pthread_mutex_unlock(&d->lock);
}

static void run_device(struct pass *p, unsigned at)
{
    struct device *d = p->devices[at];
    const struct df_options *o = &p->run->settings->store.options;
    if (d->root_fd < 0)
        return;
    if (d->coverage.fuse_blown[p->type == AUDIT_ZBF])
        report_found(FOUND_FUSE, d->name, NULL,
                     "it blew in an earlier pass: damage is reported only until a pass finds less, "
                     "or --reset-fuse");
    sweep_beside_objects(p, at);
    for (unsigned i = 0; i < o->policy_count && !halted() && !device_has_vanished(d); i++)
        run_policy(p, at, &o->policies[i]);
    if (atomic_load(&d->vanished))
        atomic_store(&p->failed, true);
    settle_fuse(p, d);
    if (!p->run->dry_run)
        (void)device_save(d); /* keep() has complained already */
}

static void clear_status(struct pass *p, struct device *d)
{
    const struct df_options *o = &p->run->settings->store.options;
    for (unsigned i = 0; i < o->policy_count; i++) {
        char objects[24];
        policy_path_component("objects", o->policies[i].index, objects);
        int fd = openat(d->root_fd, objects, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue;
        (void)status_clear(fd, audit_type_name(p->type)); /* a read-only disk has kept none */
        close(fd);
    }
}

void pass_run(struct pass *p)
{
    pass_log_begin(p);
    for (unsigned i = 0; i < p->device_count && !halted(); i++)
        run_device(p, i);
    if (halted())
        atomic_store(&p->failed, true);
    for (unsigned i = 0; i < p->device_count && !halted(); i++)
        if (p->devices[i]->root_fd >= 0 && !atomic_load(&p->devices[i]->vanished) &&
            p->type != AUDIT_SWEEP && !p->run->dry_run)
            clear_status(p, p->devices[i]);
    pass_log_end(p);
}

/* ---- */

static int by_name(const void *a, const void *b)
{
    const struct device *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* "sda1,sdb1" for the log, "sda1sdb1" for recon. */
static void name_devices(struct pass *p)
{
    size_t shown = 0, keyed = 0;
    shown += (size_t)snprintf(p->description, sizeof(p->description), " - %s",
                              p->type == AUDIT_ALL ? "parallel, " : "");
    for (unsigned i = 0; i < p->device_count; i++) {
        const char *name = p->devices[i]->name;
        if (shown < sizeof(p->description))
            shown += (size_t)snprintf(p->description + shown, sizeof(p->description) - shown,
                                      "%s%s", i ? "," : "", name);
        if (keyed < sizeof(p->recon_key))
            keyed +=
                (size_t)snprintf(p->recon_key + keyed, sizeof(p->recon_key) - keyed, "%s", name);
    }
}

int pass_init(struct pass *p, struct run *run, enum audit_type type, struct device **devices,
              unsigned count, bool named)
{
    *p = (struct pass){.run = run, .type = type, .device_count = count, .named = named};
    p->devices = calloc(count + 1, sizeof(struct device *));
    p->tallies = calloc(count + 1, sizeof(*p->tallies));
    p->sizes = calloc(run->settings->sizes.count + 1, sizeof(*p->sizes));
    pthread_mutex_init(&p->log_lock, NULL);
    if (!p->devices || !p->tallies || !p->sizes) {
        pass_release(p);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < count; i++)
        p->devices[i] = devices[i];
    if (count > 1)
        qsort(p->devices, count, sizeof(struct device *), by_name);
    if (named)
        name_devices(p);
    return 0;
}

void pass_release(struct pass *p)
{
    pthread_mutex_destroy(&p->log_lock);
    free(p->devices);
    free(p->tallies);
    free(p->sizes);
}

struct tally_sum pass_sum(const struct pass *p)
{
    struct tally_sum sum = {0};
    for (unsigned i = 0; i < p->device_count; i++)
        tally_add(&sum, &p->tallies[i]);
    return sum;
}
