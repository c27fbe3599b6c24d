/* SPDX-License-Identifier: Apache-2.0 */
/* device.c -- see device.h. */
#include "tools/audit/device.h"
#include "diskfile/engine/identity_file.h"
#include "tools/audit/listing.h"
#include "tools/audit/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void device_release(struct device *d)
{
    device_let_go(d);
    coverage_release(&d->coverage);
    pthread_mutex_destroy(&d->lock);
    free(d->name);
    free(d->sd.path);
}

void device_list_free(struct device_list *l)
{
    for (unsigned i = 0; i < l->count; i++)
        device_release(&l->devices[i]);
    free(l->devices);
    *l = (struct device_list){0};
}

/* ---- which there are ---- */

static int add(struct device_list *l, const char *name, const char *path)
{
    struct device *grown = realloc(l->devices, (l->count + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    l->devices = grown;
    struct device *d = &grown[l->count];
    *d = (struct device){.name = strdup(name), .root_fd = -1, .state_fd = -1, .lock_fd = -1};
    d->sd.path = strdup(path);
    l->count++;
    if (!d->name || !d->sd.path)
        return -ENOMEM;
    d->sd.name = d->name;
    return 0;
}

static bool wanted(const char *name, const char *const *only)
{
    if (!only || !only[0])
        return true;
    for (; *only; only++)
        if (strcmp(*only, name) == 0)
            return true;
    return false;
}

/* What Swift's servers take for a device's name: percent-quoting must not change it. */
static bool is_device_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~") ==
           strlen(name);
}

static int by_name(const void *a, const void *b)
{
    const struct device *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int load_swift(struct settings *s, const char *const *only, struct device_list *l,
                      char *problem, size_t problem_len)
{
    struct listing dir;
    struct listing_entry e;
    char path[PATH_MAX];
    int fd = open(s->config->devices, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : listing_open(&dir, fd, ".");
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        snprintf(problem, problem_len, "devices = %s: %s", s->config->devices, strerror(-r));
        return r;
    }
    while ((r = listing_next(&dir, &e)) > 0) {
        bool may_be = e.kind == ENTRY_DIRECTORY || e.kind == ENTRY_LINK;
        if (!may_be || !is_device_name(e.name) || !wanted(e.name, only))
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", s->config->devices, e.name) >= (int)sizeof(path))
            continue;
        if ((r = add(l, e.name, path)) < 0)
            break;
    }
    listing_close(&dir);
    if (l->count > 1)
        qsort(l->devices, l->count, sizeof(l->devices[0]), by_name);
    for (unsigned i = 0; i < l->count; i++)
        l->devices[i].sd.name = l->devices[i].name;
    return r;
}

static int read_identity(const char *path, struct identity_file *ret)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = identity_file_read(fd, ret);
    close(fd);
    return r;
}

static const char *identity_problem(int error)
{
    return error == -EBADMSG ? "damaged or of another version" : strerror(-error);
}

static int take_hash_key(struct settings *s, const struct identity_file *file)
{
    char *key = strdup(file->hash_key);
    if (!key)
        return -ENOMEM;
    s->config->hash_prefix = slice_of(key);
    s->config->hash_suffix = SLICE("");
    s->store.options.hash_key = (struct hash_key){slice_of(key), SLICE("")};
    return 0;
}

/* The server names them d0, d1, ... in the order of their identity; so do we. By the hash key of
 * one store all objects of another look damaged. */
static int load_standalone(struct settings *s, const char *const *only, struct device_list *l,
                           char *problem, size_t problem_len)
{
    static struct identity_file file; /* large */
    const struct text_list *dirs = &s->config->data_dirs;
    const char *first = NULL, *unread = NULL;
    char store[IDENTITY_ID_LEN + 1];
    int r = 0, unread_res = 0;
    for (unsigned i = 0; i < dirs->count && r == 0; i++) {
        char name[16];
        int res = read_identity(dirs->items[i], &file);
        if (res == 0 && first && strcmp(store, file.store) != 0) {
            snprintf(problem, problem_len,
                     "data directories %s and %s are of different stores: nothing was touched",
                     first, dirs->items[i]);
            return -EINVAL;
        }
        if (res == 0 && !first) {
            first = dirs->items[i];
            memcpy(store, file.store, sizeof(store));
            r = take_hash_key(s, &file);
        }
        if (res < 0 && res != -ENOENT) {
            unread = dirs->items[i];
            unread_res = res;
        }
        snprintf(name, sizeof(name), "d%d",
                 res == 0 ? identity_file_find(&file, file.self) : (int)i);
        if (r == 0 && wanted(name, only))
            r = add(l, name, dirs->items[i]);
    }
    if (r == 0 && !first && unread) {
        snprintf(problem, problem_len, "%s/" IDENTITY_FILE ": %s", unread,
                 identity_problem(unread_res));
        r = unread_res;
    } else if (r == 0 && !first) {
        snprintf(problem, problem_len,
                 "no objsrv-identity in %s%s: mount the disk, or start the server once",
                 dirs->items[0], dirs->count > 1 ? " nor in the others" : "");
        r = -ENOENT;
    }
    return r;
}

int device_list_load(struct settings *s, const char *const *only, struct device_list *ret,
                     char *problem, size_t problem_len)
{
    snprintf(problem, problem_len, "devices: out of memory");
    *ret = (struct device_list){.store = &s->store};
    int r = s->config->standalone ? load_standalone(s, only, ret, problem, problem_len)
                                  : load_swift(s, only, ret, problem, problem_len);
    for (unsigned i = 0; i < ret->count; i++) { /* they move no more */
        pthread_mutex_init(&ret->devices[i].lock, NULL);
        pace_init(&ret->devices[i].pace, s->latency_limit);
    }
    if (r < 0)
        device_list_free(ret);
    return r;
}

/* ---- claiming ---- */

static int check_data_dir(const struct device *d)
{
    static struct identity_file file; /* large */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    int r = read_identity(d->sd.path, &file);
    pthread_mutex_unlock(&lock);
    return r == -ENOENT ? -ENODEV : r;
}

/* A disk that fails is not one that is merely not there: -ENODEV. */
static int check_usable(const struct device *d, const struct settings *s)
{
    struct stat st;
    if (s->config->standalone)
        return check_data_dir(d);
    bool there =
        s->config->mount_check ? store_is_mounted(d->sd.path, &st) : stat(d->sd.path, &st) == 0;
    if (there && S_ISDIR(st.st_mode))
        return 0;
    return stat(d->sd.path, &st) < 0 && errno != ENOENT && errno != ENOTDIR ? -errno : -ENODEV;
}

const char *device_problem(int error)
{
    switch (error) {
    case -ENODEV:
        return "not mounted";
    case -EWOULDBLOCK:
        return "another auditor is at work there: left it";
    case -EBADMSG:
        return IDENTITY_FILE ": damaged or of another version";
    default:
        return strerror(-error);
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int open_state_directory(struct device *d)
{
    d->state_fd =
        openat(d->root_fd, DEVICE_STATE_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return d->state_fd < 0 ? -errno : 0;
}

static int lock_state(struct device *d, int flags)
{
    d->lock_fd = openat(d->state_fd, "lock", flags | O_NOFOLLOW | O_CLOEXEC, 0644);
    return d->lock_fd < 0 || flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

/* On a device that cannot be written to, nobody else can sweep either. */
static int open_state(struct device *d)
{
    if (mkdirat(d->root_fd, DEVICE_STATE_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return errno == EROFS ? 0 : -errno;
    int r = open_state_directory(d);
    if (r == 0)
        r = lock_state(d, O_RDWR | O_CREAT);
    if (r == -EROFS) {
        close_fd(&d->state_fd);
        return 0;
    }
    return r;
}

/* Where no lock lies, no auditor has ever been at work, and none is made for a look. */
static int look_at_state(struct device *d)
{
    int r = open_state_directory(d);
    if (r == 0)
        r = lock_state(d, O_RDONLY);
    return r == -ENOENT ? 0 : r;
}

int device_claim(struct device *d, const struct settings *s, bool only_looks)
{
    struct stat st = {0};
    int r = check_usable(d, s);
    if (r < 0)
        return r;
    d->root_fd = open(d->sd.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = d->root_fd < 0 || fstat(d->root_fd, &st) < 0 ? -errno
        : only_looks                                 ? look_at_state(d)
                                                     : open_state(d);
    d->dev = st.st_dev;
    atomic_store(&d->vanished, false);
    coverage_release(&d->coverage);
    if (r == 0 && d->state_fd >= 0 && coverage_load(&d->coverage, d->state_fd) < 0)
        coverage_release(&d->coverage); /* what was known is lost, not the objects */
    for (int i = 0; i < 2; i++)
        fuse_init(&d->fuse[i], s->quarantine_fuse / 100, (uint64_t)s->quarantine_fuse_min,
                  d->coverage.fuse_blown[i]);
    if (r < 0)
        device_let_go(d);
    return r;
}

int device_peek(struct device *d)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" DEVICE_STATE_DIRECTORY, d->sd.path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = coverage_load(&d->coverage, fd);
    close(fd);
    return r;
}

void device_let_go(struct device *d)
{
    close_fd(&d->lock_fd);
    close_fd(&d->state_fd);
    close_fd(&d->root_fd);
}

bool device_has_vanished(struct device *d)
{
    struct stat st;
    if (atomic_load_explicit(&d->vanished, memory_order_relaxed))
        return true;
    if (stat(d->sd.path, &st) == 0 && st.st_dev == d->dev)
        return false;
    if (!atomic_exchange(&d->vanished, true))
        report_found(FOUND_DEVICE, d->name, NULL, "no longer mounted at %s: left it", d->sd.path);
    return true;
}

int device_save(struct device *d)
{
    if (d->state_fd < 0)
        return 0;
    pthread_mutex_lock(&d->lock);
    int r = coverage_save(&d->coverage, d->state_fd);
    pthread_mutex_unlock(&d->lock);
    return r;
}
