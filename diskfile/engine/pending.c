/* SPDX-License-Identifier: Apache-2.0 */
/* pending.c -- writes an async_pending file (on-disk-format 16).
 *
 *   tmp[-N]/objsrv-*.tmp: write, fsync -> rename -> async_pending[-N]/<suffix>/<hash>-<time>
 *   -> fsync of the directories
 *
 * One blocking call on a thread of the device's pool. */
#include "diskfile/engine/directory.h"
#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/thread.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct pending {
    struct df_thread *thread;
    struct inflight inflight;
    void (*done)(void *arg, int res);
    void *arg;
    struct store_device *device; /* NULL: `err` */
    unsigned policy;
    int err;
    char name[HASH_HEX_LEN + 1 + TIMESTAMP_TEXT_MAX]; /* <hash>-<time> */
    char suffix[4];
    char *bytes;
    size_t len;
    struct disk_chain chain;
};

struct paths {
    char tmp_dir[PATH_MAX], tmp[PATH_MAX];
    char pending_dir[PATH_MAX], suffix_dir[PATH_MAX], file[PATH_MAX];
};

static bool join(char path[PATH_MAX], const char *directory, const char *name)
{
    return (size_t)snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
}

static int fill_paths(const struct pending *p, struct paths *ret)
{
    static atomic_ulong serial;
    char tmp_name[64], component[24];
    snprintf(tmp_name, sizeof(tmp_name), "objsrv-%ld-p%lu.tmp", (long)getpid(),
             atomic_fetch_add(&serial, 1));
    policy_path_component("tmp", p->policy, component);
    bool fits =
        join(ret->tmp_dir, p->device->path, component) && join(ret->tmp, ret->tmp_dir, tmp_name);
    policy_path_component("async_pending", p->policy, component);
    fits = fits && join(ret->pending_dir, p->device->path, component) &&
           join(ret->suffix_dir, ret->pending_dir, p->suffix) &&
           join(ret->file, ret->suffix_dir, p->name);
    return fits ? 0 : -ENAMETOOLONG;
}

static int make_directory(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* The updater removes a directory that it has emptied: between mkdir and rename, too. */
static int publish(const struct paths *paths)
{
    for (int attempt = 0;; attempt++) {
        int r = make_directory(paths->pending_dir);
        if (r == 0)
            r = make_directory(paths->suffix_dir);
        if (r == 0 && rename(paths->tmp, paths->file) < 0)
            r = -errno;
        if (r != -ENOENT || attempt == 16)
            return r;
    }
}

static int sync_directories(const struct pending *p, const struct paths *paths)
{
    int r = directory_sync(paths->suffix_dir);
    if (r == 0)
        r = directory_sync(paths->pending_dir);
    return r == 0 ? directory_sync(p->device->path) : r;
}

static int write_file(const struct pending *p, const struct paths *paths)
{
    /* Locked: the sweep of temporary names at a start passes over it. */
    int fd = open(paths->tmp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : disk_write_full(fd, p->bytes, p->len, 0);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0)
        r = publish(paths);
    if (r < 0)
        (void)unlink(paths->tmp); /* swept at the next start */
    close(fd);
    return r;
}

static int write_call(void *arg)
{
    struct pending *p = arg;
    struct paths *paths = malloc(sizeof(*paths));
    int r = p->err;
    if (r == 0 && !paths)
        r = -ENOMEM;
    if (r == 0)
        r = store_device_check(p->thread->store, p->device);
    if (r == 0)
        r = fill_paths(p, paths);
    if (r == 0)
        r = make_directory(paths->tmp_dir);
    if (r == 0)
        r = write_file(p, paths);
    if (r == 0)
        r = sync_directories(p, paths);
    free(paths);
    return r;
}

static void free_pending(struct pending *p)
{
    free(p->bytes);
    free(p);
}

static void write_done(struct disk_chain *chain)
{
    struct pending *p = (struct pending *)((char *)chain - offsetof(struct pending, chain));
    inflight_remove(&p->inflight);
    p->done(p->arg, disk_chain_result(chain));
    free_pending(p);
}

static const char *step_name(const struct inflight *op)
{
    return "async_pending";
}

static void name_file(struct pending *p, struct timestamp timestamp,
                      const struct pending_update *update)
{
    struct object_hash hash;
    char time[TIMESTAMP_TEXT_MAX];
    hash_path(&p->thread->store->options.hash_key, update->account, update->container,
              update->object, &hash);
    timestamp_internal(timestamp, time);
    snprintf(p->name, sizeof(p->name), "%s-%s", hash.hex, time);
    snprintf(p->suffix, sizeof(p->suffix), "%s", hash_suffix(&hash));
}

bool df_pending_write(struct df_thread *t, struct slice device, unsigned policy,
                      struct timestamp timestamp, const struct pending_update *update,
                      void (*done)(void *arg, int res), void *arg)
{
    struct pending *p = calloc(1, sizeof(*p));
    if (!p || pending_encode(update, &p->bytes, &p->len) < 0) {
        free(p);
        return false;
    }
    p->thread = t;
    p->policy = policy;
    p->done = done;
    p->arg = arg;
    p->err = store_device(t->store, device, &p->device);
    name_file(p, timestamp, update);
    inflight_add(t, &p->inflight, arg, step_name);
    disk_chain_init(&p->chain, p->err == 0 ? p->device->pool : store_nowhere(t->store), write_done);
    struct disk_op *op = disk_chain_add(&p->chain, DISK_CALL);
    op->call = write_call;
    op->arg = p;
    t->disk->submit(t->disk, &p->chain);
    return true;
}
