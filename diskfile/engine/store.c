/* SPDX-License-Identifier: Apache-2.0 */
/* store.c -- a df_store: its options, its table of devices, which of them are usable.
 *
 * The table is a list that only grows, so it is read without a lock; `grow` serialises those
 * who add to it and those who probe. */
#include "diskfile/engine/store.h"
#include "diskfile/engine/identity.h"
#include "diskfile/engine/probe.h"
#include "diskfile/format/md5.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_PER_DEVICE  8
#define RING_OPS_PER_DEVICE 64
#define REQUESTS_PER_DEVICE 1024
#define POOL_IDLE_S         10

struct store_private {
    struct store_device *_Atomic devices;
    pthread_mutex_t grow;
    struct disk_device *nowhere;
    struct identity *identity; /* stand-alone, else NULL */
    const char *engine;
    char engine_why[192];
    char *problem; /* df_store_open() only */
    size_t problem_len;
};

void store_event(const struct df_store *store, enum df_event_kind kind, const char *format, ...)
{
    char text[2 * PATH_MAX];
    if (!store->options.event)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    store->options.event(store->options.event_arg, kind, text);
}

__attribute__((format(printf, 3, 4))) static int refuse(struct df_store *store, int error,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(store->own->problem, store->own->problem_len, format, args);
    va_end(args);
    return error;
}

const struct df_policy *store_policy(const struct df_store *store, unsigned index)
{
    for (unsigned i = 0; i < store->options.policy_count; i++)
        if (store->options.policies[i].index == index)
            return &store->options.policies[i];
    return NULL;
}

struct disk_device *store_nowhere(const struct df_store *store)
{
    return store->own->nowhere;
}

const char *df_store_engine(const struct df_store *store, const char **ret_why)
{
    *ret_why = store->own->engine_why;
    return store->own->engine;
}

/* ---- the table ---- */

static struct disk_device_limits limits_of(const struct df_options *o)
{
    return (struct disk_device_limits){
        .threads_max = o->threads_per_device ? o->threads_per_device : THREADS_PER_DEVICE,
        .ring_ops_max = o->ring_ops_per_device ? o->ring_ops_per_device : RING_OPS_PER_DEVICE,
        .requests_max = o->requests_per_device ? o->requests_per_device : REQUESTS_PER_DEVICE,
        .idle_s = POOL_IDLE_S,
    };
}

static void device_free(struct store_device *d)
{
    if (d->pool)
        disk_device_free(d->pool);
    pthread_mutex_destroy(&d->probing);
    free(d->name);
    free(d->path);
    free(d);
}

static int device_new(const struct df_store *store, const char *name, const char *path,
                      struct store_device **ret_device)
{
    struct disk_device_limits limits = limits_of(&store->options);
    struct store_device *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->name = strdup(name);
    d->path = strdup(path);
    atomic_init(&d->probed_dev, DEVICE_UNPROBED);
    atomic_init(&d->form, COMMIT_FULL);
    pthread_mutex_init(&d->probing, NULL);
    int r = d->name && d->path ? disk_device_new(name, &limits, &d->pool) : -ENOMEM;
    if (r < 0) {
        d->pool = NULL;
        device_free(d);
        return r;
    }
    *ret_device = d;
    return 0;
}

static struct store_device *find(const struct df_store *store, struct slice name)
{
    struct store_device *d = atomic_load_explicit(&store->own->devices, memory_order_acquire);
    while (d && !slice_eq(slice_of(d->name), name))
        d = atomic_load_explicit(&d->next, memory_order_acquire);
    return d;
}

/* Under `grow`. At the end, so that they stay in the order in which they were found. */
static void add(struct df_store *store, struct store_device *d)
{
    struct store_device *_Atomic *at = &store->own->devices;
    for (struct store_device *o; (o = atomic_load_explicit(at, memory_order_relaxed));)
        at = &o->next;
    atomic_store_explicit(at, d, memory_order_release);
}

/* quote_plus() leaves it as it is, and it is a name below the devices' directory. */
static bool name_is_plain(struct slice name)
{
    if (name.len == 0 || name.len > NAME_MAX || slice_eq(name, SLICE(".")) ||
        slice_eq(name, SLICE("..")))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-' && c != '~')
            return false;
    }
    return true;
}

/* Under `grow`. Looks below options.devices for a name that nobody has used before. */
static int discover(struct df_store *store, struct slice name, struct store_device **ret_device)
{
    char path[PATH_MAX], text[NAME_MAX + 1];
    struct stat st;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    if (snprintf(path, sizeof(path), "%s/%s", store->options.devices, text) >= (int)sizeof(path))
        return -ENODEV;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return -ENODEV;
    int r = device_new(store, text, path, ret_device);
    if (r == 0)
        add(store, *ret_device);
    return r;
}

int store_device(struct df_store *store, struct slice name, struct store_device **ret_device)
{
    struct store_device *d = find(store, name);
    if (d) {
        *ret_device = d;
        return 0;
    }
    if (store_stand_alone(store) || !name_is_plain(name))
        return -ENODEV;
    pthread_mutex_lock(&store->own->grow);
    int r = 0;
    d = find(store, name);
    if (d)
        *ret_device = d;
    else
        r = discover(store, name, ret_device);
    pthread_mutex_unlock(&store->own->grow);
    return r;
}

/* ---- usable? ---- */

static bool has_stub(const char *path)
{
    char stub[PATH_MAX + 16];
    struct stat st;
    snprintf(stub, sizeof(stub), "%s/.ismount", path);
    return stat(stub, &st) == 0 && S_ISREG(st.st_mode);
}

bool store_is_mounted(const char *path, struct stat *ret_st)
{
    char parent[PATH_MAX + 16];
    struct stat up;
    if (lstat(path, ret_st) < 0)
        return false;
    if (S_ISLNK(ret_st->st_mode))
        return has_stub(path) && stat(path, ret_st) == 0;
    snprintf(parent, sizeof(parent), "%s/..", path);
    if (lstat(parent, &up) < 0)
        return false;
    return ret_st->st_dev != up.st_dev || ret_st->st_ino == up.st_ino || has_stub(path);
}

/* Is the directory there that it should be? */
static bool is_usable(struct df_store *store, const struct store_device *d, struct stat *ret_st)
{
    if (store->options.mount_check && !store->own->identity)
        return store_is_mounted(d->path, ret_st) && S_ISDIR(ret_st->st_mode);
    if (store->own->identity && identity_check(store->own->identity, d->index) < 0)
        return false;
    return stat(d->path, ret_st) == 0 && S_ISDIR(ret_st->st_mode);
}

static int probe(struct df_store *store, struct store_device *d, dev_t dev)
{
    struct probe found;
    pthread_mutex_lock(&store->own->grow);
    int r = 0;
    if (atomic_load(&d->probed_dev) != dev) {
        r = probe_directory(d->path, &found);
        if (r == 0) {
            memcpy(d->fs_type, found.fs_type, sizeof(d->fs_type));
            atomic_store(&d->no_tmpfile, found.no_tmpfile);
            atomic_store(&d->form, found.form);
            atomic_store(&d->probed_dev, (unsigned long long)dev);
        } else {
            atomic_store(&d->no_tmpfile, false);
            atomic_store(&d->form, COMMIT_FULL);
            atomic_store(&d->probed_dev, DEVICE_UNPROBED);
        }
    }
    pthread_mutex_unlock(&store->own->grow);
    return r;
}

/* Also the probe's own error, which store_device_check() passes over. */
static int check_and_probe(struct df_store *store, struct store_device *d)
{
    struct stat st;
    if (!is_usable(store, d, &st))
        return -ENODEV;
    if (atomic_load_explicit(&d->probed_dev, memory_order_acquire) == st.st_dev)
        return 0;
    return probe(store, d, st.st_dev);
}

int store_device_check(struct df_store *store, struct store_device *device)
{
    int r = check_and_probe(store, device);
    return r == -ENODEV || r == -ENOTSUP ? r : 0;
}

/* ---- writable? ---- */

static bool blames_the_disk(int error)
{
    return error == -EIO || error == -EROFS || error == -ESHUTDOWN || error == -EUCLEAN;
}

void store_write_failed(struct df_store *store, struct store_device *d, int error)
{
    if (blames_the_disk(error) && !atomic_exchange(&d->distrusted, true))
        store_event(store, DF_EVENT_ERROR,
                    "device %s (%s): a write failed: %s; none is tried until a probe succeeds",
                    d->name, d->path, strerror(-error));
}

int store_write_check(struct df_store *store, struct store_device *d)
{
    if (!atomic_load_explicit(&d->distrusted, memory_order_relaxed))
        return 0;
    if (pthread_mutex_trylock(&d->probing) != 0)
        return -ENODEV;
    int r = probe_writes(d->path);
    if (r == 0 && atomic_exchange(&d->distrusted, false))
        store_event(store, DF_EVENT_WARNING, "device %s (%s): a probe succeeded, writes go on",
                    d->name, d->path);
    pthread_mutex_unlock(&d->probing);
    return r == -ENOSPC || r == -EDQUOT ? r : r < 0 ? -ENODEV : 0;
}

/* ---- what there is ---- */

/* Makes all directories below options.devices known. */
static void scan(struct df_store *store)
{
    DIR *dir = opendir(store->options.devices);
    if (!dir) {
        store_event(store, DF_EVENT_WARNING, "devices directory %s: %s", store->options.devices,
                    strerror(errno));
        return;
    }
    struct store_device *ignored;
    for (struct dirent *e; (e = readdir(dir));)
        (void)store_device(store, slice_of(e->d_name), &ignored); /* not one: not remembered */
    closedir(dir);
}

void df_store_each_device(struct df_store *store,
                          void (*each)(void *arg, const char *device, const char *path,
                                       const char *found),
                          void *arg)
{
    char found[96];
    if (!store_stand_alone(store))
        scan(store);
    for (struct store_device *d = atomic_load(&store->own->devices); d; d = atomic_load(&d->next)) {
        int r = check_and_probe(store, d);
        if (r < 0)
            snprintf(found, sizeof(found), r == -ENODEV ? "not mounted" : "not probed: %s",
                     strerror(-r));
        else
            snprintf(found, sizeof(found), "%s, %s, %s commit", d->fs_type,
                     atomic_load(&d->no_tmpfile) ? "named temporary files" : "O_TMPFILE",
                     atomic_load(&d->form) == COMMIT_SHORT ? "short" : "full");
        each(arg, d->name, d->path, found);
    }
}

/* ---- opening ---- */

static char *copy_bytes(struct slice from)
{
    char *copy = malloc(from.len + 1);
    if (!copy)
        return NULL;
    if (from.len > 0)
        memcpy(copy, from.at, from.len);
    copy[from.len] = '\0';
    return copy;
}

static int copy_options(struct df_store *store, const struct df_options *from)
{
    struct df_options *o = &store->options;
    *o = *from;
    struct df_policy *policies = calloc(from->policy_count + 1, sizeof(*policies));
    if (policies && from->policy_count > 0)
        memcpy(policies, from->policies, from->policy_count * sizeof(*policies));
    o->policies = policies;
    o->devices = from->devices ? strdup(from->devices) : NULL;
    o->data_dirs = NULL; /* the identity has them */
    o->locks = NULL;
    o->lock_count = 0;
    o->hash_key.prefix.at = copy_bytes(from->hash_key.prefix);
    o->hash_key.suffix.at = copy_bytes(from->hash_key.suffix);
    bool good = policies && o->hash_key.prefix.at && o->hash_key.suffix.at &&
                (o->devices || !from->devices);
    return good ? 0 : -ENOMEM;
}

static int adopt_hash_key(struct df_store *store, const char *key)
{
    char *copy = strdup(key);
    if (!copy)
        return -ENOMEM;
    free((char *)store->options.hash_key.prefix.at);
    store->options.hash_key.prefix = (struct slice){copy, strlen(copy)};
    return 0;
}

static int open_data_dirs(struct df_store *store, const struct df_options *options)
{
    struct store_private *own = store->own;
    int r = identity_open(options->data_dirs, options->data_dir_count, options->locks,
                          options->lock_count, &own->identity, own->problem, own->problem_len);
    if (r < 0)
        return r;
    if (identity_is_new(own->identity))
        store_event(store, DF_EVENT_WARNING,
                    "new store, without any key, in %s%s (if there should be keys: its disk is not "
                    "mounted)",
                    identity_path(own->identity, 0),
                    options->data_dir_count > 1 ? " and the other data_dirs" : "");
    store->part_power = identity_part_power(own->identity);
    store->placed = calloc(options->data_dir_count, sizeof(struct store_device *));
    r = store->placed ? adopt_hash_key(store, identity_hash_key(own->identity)) : -ENOMEM;
    for (unsigned i = 0; i < options->data_dir_count && r == 0; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%u", i);
        r = device_new(store, name, identity_path(own->identity, i), &store->placed[i]);
        if (r == 0) {
            store->placed[i]->index = i;
            add(store, store->placed[i]);
        }
    }
    return r < 0 ? refuse(store, r, "out of memory") : 0;
}

/* Every device that is there: what it can do, and no leftovers of ours on it. */
static int probe_all(struct df_store *store)
{
    for (struct store_device *d = atomic_load(&store->own->devices); d; d = atomic_load(&d->next)) {
        int r = check_and_probe(store, d);
        if (r == -ENODEV && !store_stand_alone(store))
            continue;
        if (r == -ENOTSUP)
            return refuse(store, r,
                          "device %s (%s) keeps no user extended attributes, in which object "
                          "metadata is stored: mount it with user_xattr, or make it ext4 or XFS",
                          d->name, d->path);
        if (r < 0)
            store_event(store, DF_EVENT_WARNING, "device %s (%s) could not be probed: %s", d->name,
                        d->path, strerror(-r));
        else
            probe_sweep(d->path);
    }
    return 0;
}

static const struct store_device *first_with_tmpfile(const struct df_store *store)
{
    for (struct store_device *d = atomic_load(&store->own->devices); d; d = atomic_load(&d->next))
        if (atomic_load(&d->probed_dev) != DEVICE_UNPROBED && !atomic_load(&d->no_tmpfile))
            return d;
    return NULL;
}

static int choose_engine(struct df_store *store)
{
    struct store_private *own = store->own;
    own->engine = "threads";
    if (store->options.engine == DF_ENGINE_THREADS) {
        snprintf(own->engine_why, sizeof(own->engine_why), "as configured");
        return 0;
    }
    char reason[128] = "";
    const struct store_device *d = first_with_tmpfile(store);
    int r = disk_uring_selftest(d ? d->path : NULL, reason);
    if (r < 0 && store->options.engine == DF_ENGINE_URING)
        return refuse(store, r,
                      "io_engine = uring does not work here (%s): allow io_uring, or configure "
                      "io_engine = auto or threads",
                      reason);
    if (r == 0)
        own->engine = "uring";
    snprintf(own->engine_why, sizeof(own->engine_why), "%s",
             r < 0                                      ? reason
             : store->options.engine == DF_ENGINE_URING ? "as configured"
                                                        : "io_uring passed its self-test");
    return 0;
}

static int open_parts(struct df_store *store, const struct df_options *options)
{
    struct disk_device_limits limits = {
        .threads_max = 1, .idle_s = POOL_IDLE_S, .ring_ops_max = 1, .requests_max = 1};
    int r = copy_options(store, options);
    if (r == 0 && md5_algorithm() == NULL)
        return refuse(store, -ENOTSUP,
                      "libcrypto gives no MD5 here (FIPS mode?), by which this format names and "
                      "checks objects: allow its default provider to this program (OPENSSL_CONF)");
    if (r == 0)
        r = disk_device_new("nowhere", &limits, &store->own->nowhere);
    if (r < 0)
        return refuse(store, r, "%s", strerror(-r));
    if (store_stand_alone(store))
        r = open_data_dirs(store, options);
    else
        scan(store);
    if (r == 0)
        r = probe_all(store);
    return r < 0 ? r : choose_engine(store);
}

int df_store_open(const struct df_options *options, struct df_store **ret_store, char *problem,
                  size_t problem_len)
{
    problem[0] = '\0';
    struct df_store *store = calloc(1, sizeof(*store));
    struct store_private *own = calloc(1, sizeof(*own));
    if (!store || !own) {
        free(store);
        free(own);
        snprintf(problem, problem_len, "out of memory");
        return -ENOMEM;
    }
    store->own = own;
    own->problem = problem;
    own->problem_len = problem_len;
    pthread_mutex_init(&own->grow, NULL);
    int r = open_parts(store, options);
    if (r < 0) {
        df_store_close(store);
        return r;
    }
    own->problem = NULL;
    *ret_store = store;
    return 0;
}

unsigned df_store_locks(const struct df_store *store, int *ret_fds, unsigned most)
{
    return store->own->identity ? identity_locks(store->own->identity, ret_fds, most) : 0;
}

void df_store_close(struct df_store *store)
{
    if (!store)
        return;
    struct store_private *own = store->own;
    for (struct store_device *d = atomic_load(&own->devices), *next; d; d = next) {
        next = atomic_load(&d->next);
        device_free(d);
    }
    if (own->nowhere)
        disk_device_free(own->nowhere);
    identity_close(own->identity);
    pthread_mutex_destroy(&own->grow);
    free(own);
    free(store->placed);
    free((char *)store->options.hash_key.prefix.at);
    free((char *)store->options.hash_key.suffix.at);
    free((char *)store->options.devices);
    free((struct df_policy *)store->options.policies);
    free(store);
}
