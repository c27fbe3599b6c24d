/* SPDX-License-Identifier: Apache-2.0 */
/* upload_steps.c -- what each step of an upload does (upload.h has the picture).
 *
 * add() writes down the disk operations; done() judges the result. The functions that end in
 * _call run on a pool thread while the upload waits, so they may touch it freely; callers'
 * callbacks come only from done(). */
#include "diskfile/engine/upload.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A sweeper may remove a directory between our mkdir and our linkat, again and again; writers
 * with our very timestamp may take the name or free it, each of them once or twice before it is
 * done. Beyond this something else is wrong. */
#define ATTEMPTS_MAX 200

/* Below this, the bytes come with the first write, which reserves their space itself. */
#define FALLOCATE_MIN_BYTES 65536

/* How often the reserve is looked at while a body of unknown size comes in. */
#define SPACE_CHECK_BYTES (4u << 20)

/* Metadata above this do not fit into the one block (4 KiB, some of it heads and names) that ext4
 * has for all xattrs of a file, however empty the disk. */
#define XATTR_BLOCK_BYTES 3840

static enum upload_state next_or_give_up(struct df_upload *u, enum upload_state s, int res)
{
    return res < 0 ? upload_give_up(u, res) : upload_steps[s].next;
}

/* The op of this code that the step had in the chain just done, or NULL. */
static const struct disk_op *op_of(const struct df_upload *u, enum upload_state s,
                                   enum disk_opcode code)
{
    for (unsigned i = 0; i < u->chain.count; i++)
        if (u->chain.ops[i].tag == s && u->chain.ops[i].code == code)
            return &u->chain.ops[i];
    return NULL;
}

/* ---- LOOK ---- */

/* A body of unknown size is taken whatever is free, as by Swift. But a stand-alone server must not
 * fill its disk: there would be no room for the tombstones by which it could be emptied. */
static bool keeps_reserve(const struct df_upload *u)
{
    const struct df_store *store = u->place.store;
    const struct df_options *o = &store->options;
    bool judged = u->spec.size > 0 || (u->spec.size < 0 && store->placed);
    return u->spec.kind == DF_UPLOAD_DATA && judged &&
           (o->reserve_bytes > 0 || o->reserve_percent > 0);
}

/* Is the reserve still free after so many bytes more? */
static int check_space(const struct df_upload *u, uint64_t coming)
{
    const struct df_options *o = &u->place.store->options;
    if (!keeps_reserve(u))
        return 0;
    struct statvfs vfs;
    if (statvfs(u->place.device->path, &vfs) < 0)
        return -errno;
    double free_bytes = (double)vfs.f_frsize * (double)vfs.f_bavail - (double)coming;
    if (o->reserve_percent > 0) {
        double all = (double)vfs.f_frsize * (double)vfs.f_blocks;
        return free_bytes / all * 100.0 <= o->reserve_percent ? -ENOSPC : 0;
    }
    return free_bytes <= (double)o->reserve_bytes ? -ENOSPC : 0;
}

static int judge_existing(struct df_upload *u)
{
    struct load_spec spec = {
        .now = u->spec.now, .open_expired = u->spec.open_expired, .wish = u->spec.wish};
    struct object_state state = {.fd = -1};
    int r = hashdir_load(&u->place, &spec, &state);
    if (r == 0)
        r = u->calls.judge(u->arg, u, &state.info);
    object_state_release(&state);
    return r;
}

static int look_call(void *arg)
{
    struct df_upload *u = arg;
    int r = store_device_check(u->place.store, u->place.device);
    if (r == 0)
        r = store_write_check(u->place.store, u->place.device);
    if (r == 0 && u->calls.judge)
        r = judge_existing(u);
    if (r == 0)
        r = check_space(u, u->spec.size > 0 ? (uint64_t)u->spec.size : 0);
    if (r < 0)
        return r;
    u->existed_len = hashdir_existing(&u->place);
    memcpy(u->open_path, u->place.dir, u->existed_len);
    u->open_path[u->existed_len] = '\0';
    return 0;
}

static struct disk_op *add_call(struct df_upload *u, struct disk_chain *chain, int (*call)(void *))
{
    struct disk_op *op = disk_chain_add(chain, DISK_CALL);
    op->call = call;
    op->arg = u;
    return op;
}

static void look_add(struct df_upload *u, struct disk_chain *chain)
{
    add_call(u, chain, look_call);
}

static enum upload_state look_done(struct df_upload *u, int res)
{
    return next_or_give_up(u, U_LOOK, res);
}

/* ---- OPEN ---- */

/* tmp[-N]/objsrv-...: never listed, swept when the store is opened. */
static int name_tmp(struct df_upload *u)
{
    static atomic_ulong serial;
    const struct object_place *p = &u->place;
    int device_len = (int)p->device_len;
    int n = u->place.policy->index == 0
                ? snprintf(u->tmp_path, sizeof(u->tmp_path), "%.*s/tmp", device_len, p->dir)
                : snprintf(u->tmp_path, sizeof(u->tmp_path), "%.*s/tmp-%u", device_len, p->dir,
                           p->policy->index);
    if (mkdir(u->tmp_path, 0755) < 0 && errno != EEXIST)
        return -errno;
    snprintf(u->tmp_path + n, sizeof(u->tmp_path) - (size_t)n, "/objsrv-%ld-%lu", (long)getpid(),
             atomic_fetch_add(&serial, 1));
    return 0;
}

/* The sweep of temporary names passes over locked files: they have a living writer. */
static int lock_tmp(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int open_named_call(void *arg)
{
    struct df_upload *u = arg;
    int r = name_tmp(u);
    if (r < 0)
        return r;
    u->fd = open(u->tmp_path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (u->fd < 0)
        return -errno;
    u->tmp_named = true;
    return lock_tmp(u->fd);
}

static bool has_tmpfile(const struct df_upload *u)
{
    return !atomic_load_explicit(&u->place.device->no_tmpfile, memory_order_relaxed);
}

static void add_fallocate(struct df_upload *u, struct disk_chain *chain)
{
    if (!u->place.store->options.fallocate || u->spec.size <= FALLOCATE_MIN_BYTES)
        return;
    struct disk_op *op = disk_chain_add(chain, DISK_FALLOCATE);
    op->fd = &u->fd;
    op->flags = FALLOC_FL_KEEP_SIZE;
    op->len = (size_t)u->spec.size;
    op->may_fail = true; /* open_done() judges: a file system without it is no error */
}

static void open_add(struct df_upload *u, struct disk_chain *chain)
{
    u->named = !has_tmpfile(u);
    if (!u->named) {
        struct disk_op *op = disk_chain_add(chain, DISK_OPENAT);
        op->fd = &u->fd;
        op->name = u->open_path;
        op->flags = O_TMPFILE | O_WRONLY | O_CLOEXEC;
        op->mode = 0644;
    } else {
        add_call(u, chain, open_named_call);
    }
    add_fallocate(u, chain);
}

static bool means_no_tmpfile(int res)
{
    return res == -EOPNOTSUPP || res == -EISDIR || res == -EINVAL;
}

/* A sweeper took the directory. EPERM is ext4's word when that happens within the open. */
static bool means_swept(const struct df_upload *u, int res)
{
    return res == -ENOENT || (res == -EPERM && !u->named);
}

static bool no_space(int res)
{
    return res == -ENOSPC || res == -EDQUOT;
}

static enum upload_state open_done(struct df_upload *u, int res)
{
    if (res < 0 && !u->named && means_no_tmpfile(res)) {
        atomic_store_explicit(&u->place.device->no_tmpfile, true, memory_order_relaxed);
        return U_OPEN;
    }
    if (means_swept(u, res) && u->attempts++ < ATTEMPTS_MAX)
        return U_LOOK; /* find the nearest one again */
    if (res < 0)
        return upload_give_up(u, res);
    u->attempts = 0;
    /* Bytes that went out in the same chain have found their space by themselves. */
    const struct disk_op *space = op_of(u, U_OPEN, DISK_FALLOCATE);
    if (space && no_space(space->res) && u->run[u->run_count - 1] == U_OPEN)
        return upload_give_up(u, space->res);
    if (u->calls.began && !u->committed && !u->aborted)
        u->calls.began(u->arg);
    return upload_steps[U_OPEN].next;
}

/* ---- DATA ---- */

static int space_call(void *arg)
{
    struct df_upload *u = arg;
    return check_space(u, u->writing_len);
}

/* A body whose size was known has had its space judged by LOOK. */
static bool is_space_due(const struct df_upload *u)
{
    return u->spec.size < 0 && keeps_reserve(u) &&
           u->size / SPACE_CHECK_BYTES != (u->size + u->writing_len) / SPACE_CHECK_BYTES;
}

static void data_add(struct df_upload *u, struct disk_chain *chain)
{
    u->writing = (char *)u->given;
    u->writing_len = u->given_len;
    u->given_len = 0;

    if (is_space_due(u))
        add_call(u, chain, space_call);
    struct disk_op *op = disk_chain_add(chain, DISK_WRITE);
    op->fd = &u->fd;
    op->buf = u->writing;
    op->len = u->writing_len;
    op->off = (off_t)u->size;

    if (u->unsynced + u->writing_len >= u->place.store->options.bytes_per_sync) {
        op = disk_chain_add(chain, DISK_FDATASYNC);
        op->fd = &u->fd;
    }
}

static enum upload_state data_done(struct df_upload *u, int res)
{
    if (res < 0)
        return upload_give_up(u, res);
    u->size += u->writing_len;
    u->unsynced += u->writing_len;
    if (u->unsynced >= u->place.store->options.bytes_per_sync)
        u->unsynced = 0;
    u->writing = NULL;
    if (u->calls.drained)
        u->calls.drained(u->arg);
    return upload_steps[U_DATA].next;
}

/* ---- META ---- */

static const char *const chunk_names[UPLOAD_XATTR_CHUNKS] = {
    XATTR_METADATA,     XATTR_METADATA "1", XATTR_METADATA "2", XATTR_METADATA "3",
    XATTR_METADATA "4", XATTR_METADATA "5", XATTR_METADATA "6", XATTR_METADATA "7",
};

static void add_setxattr(struct df_upload *u, struct disk_chain *chain, const char *name,
                         void *value, size_t len)
{
    struct disk_op *op = disk_chain_add(chain, DISK_FSETXATTR);
    op->fd = &u->fd;
    op->name = name;
    op->buf = value;
    op->len = len;
}

static void meta_add(struct df_upload *u, struct disk_chain *chain)
{
    for (size_t at = 0, n = 0; at < u->pickle_len; at += XATTR_CHUNK_BYTES, n++) {
        size_t len = u->pickle_len - at;
        add_setxattr(u, chain, chunk_names[n], u->pickle + at,
                     len < XATTR_CHUNK_BYTES ? len : XATTR_CHUNK_BYTES);
    }
    add_setxattr(u, chain, XATTR_CHECKSUM, u->checksum, HASH_HEX_LEN);
}

static enum upload_state meta_done(struct df_upload *u, int res)
{
    /* The file system's limit for xattrs: ENOSPC on ext4, E2BIG or ERANGE elsewhere. */
    if (res == -ERANGE || (res == -ENOSPC && u->pickle_len > XATTR_BLOCK_BYTES))
        res = -E2BIG;
    return next_or_give_up(u, U_META, res);
}

/* ---- SYNC ---- */

static bool short_form(const struct df_upload *u)
{
    return atomic_load_explicit(&u->place.device->form, memory_order_relaxed) == COMMIT_SHORT;
}

static void sync_add(struct df_upload *u, struct disk_chain *chain)
{
    struct disk_op *op;
    if (short_form(u)) {
        op = disk_chain_add(chain, DISK_SYNC_RANGE);
        op->flags =
            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    } else {
        op = disk_chain_add(chain, DISK_FSYNC);
    }
    op->fd = &u->fd;
}

static enum upload_state sync_done(struct df_upload *u, int res)
{
    return next_or_give_up(u, U_SYNC, res);
}

/* ---- PLACE ---- */

/* Stand-alone: from here until the name is given nobody else publishes in this partition, so
 * what the judge sees now is still so when the name appears. */
static int lock_and_judge(struct df_upload *u)
{
    if (u->lock_fd >= 0)
        return 0;
    int r = hashdir_lock(&u->place, &u->lock_fd);
    if (r < 0)
        return r;
    u->place.locked = true;
    return u->calls.judge ? judge_existing(u) : 0;
}

/* I10: one cheap look, so that no fault of ours can give a name to half a body. */
static int check_whole(const struct df_upload *u)
{
    struct stat st;
    if (fstat(u->fd, &st) < 0)
        return -errno;
    return (uint64_t)st.st_size == u->appended ? 0 : -EIO;
}

/* I6. Nobody replicates a node that runs alone. */
static int mark_suffix(struct df_upload *u)
{
    if (u->place.store->options.data_dir_count > 0)
        return 0;
    hashdir_hashes_identity(&u->place, &u->hashes_seen);
    return hashdir_invalidate(&u->place);
}

static int place_call(void *arg)
{
    struct df_upload *u = arg;
    int r = check_whole(u);
    if (r < 0)
        return r;
    r = u->spec.recheck ? lock_and_judge(u) : mark_suffix(u);
    if (r < 0)
        return r;
    unsigned existed_len = u->existed_len;
    r = hashdir_make(&u->place, &existed_len);
    if (existed_len < u->existed_len)
        u->existed_len = existed_len;
    return r;
}

static void place_add(struct df_upload *u, struct disk_chain *chain)
{
    add_call(u, chain, place_call);
}

static enum upload_state place_done(struct df_upload *u, int res)
{
    return next_or_give_up(u, U_PLACE, res);
}

/* ---- LINK ---- */

static void add_unlock(struct df_upload *u, struct disk_chain *chain)
{
    if (!u->spec.recheck)
        return;
    struct disk_op *op = disk_chain_add(chain, DISK_CLOSE);
    op->fd = &u->lock_fd;
    op->may_fail = true; /* the lock goes with the descriptor whatever close says */
}

static void link_add(struct df_upload *u, struct disk_chain *chain)
{
    struct disk_op *op;
    if (u->named || u->tmp_named) {
        op = disk_chain_add(chain, DISK_RENAMEAT);
        op->name = u->tmp_path;
        op->flags = RENAME_NOREPLACE;
    } else {
        op = disk_chain_add(chain, DISK_LINKAT);
        op->fd = &u->fd;
    }
    op->name2 = u->target;
    add_unlock(u, chain);
}

static enum upload_state link_done(struct df_upload *u, int res)
{
    if (res == -EEXIST && u->attempts++ < ATTEMPTS_MAX)
        return U_REPLACE;
    if (res == -ENOENT && u->attempts++ < ATTEMPTS_MAX)
        return U_PLACE; /* a sweeper took the directory: make it again */
    if (res < 0)
        return upload_give_up(u, res);
    u->linked = true;
    u->tmp_named = false;
    return upload_steps[U_LINK].next;
}

/* ---- REPLACE: EEXIST, design decision 4 ---- */

static int name_tmp_call(void *arg)
{
    struct df_upload *u = arg;
    int r = name_tmp(u);
    return r < 0 ? r : lock_tmp(u->fd);
}

/* Ours gets a private name and is renamed over: at no moment is there neither. */
static void replace_by_rename(struct df_upload *u, struct disk_chain *chain)
{
    struct disk_op *op;
    if (!u->tmp_named) {
        add_call(u, chain, name_tmp_call);
        op = disk_chain_add(chain, DISK_LINKAT);
        op->fd = &u->fd;
        op->name2 = u->tmp_path;
    }
    op = disk_chain_add(chain, DISK_RENAMEAT);
    op->name = u->tmp_path;
    op->name2 = u->target;
}

static void replace_add(struct df_upload *u, struct disk_chain *chain)
{
    if (u->place.store->options.on_existing == DF_EXISTING_RENAME) {
        replace_by_rename(u, chain);
        add_unlock(u, chain);
        return;
    }
    struct disk_op *op = disk_chain_add(chain, DISK_UNLINKAT);
    op->name = u->target;
    link_add(u, chain);
}

static enum upload_state replace_done(struct df_upload *u, int res)
{
    bool rename_form = u->place.store->options.on_existing == DF_EXISTING_RENAME;
    const struct disk_op *link = op_of(u, U_REPLACE, DISK_LINKAT);
    if (rename_form && link && link->res == 0)
        u->tmp_named = true;
    if (res == -ENOENT && u->attempts++ < ATTEMPTS_MAX)
        return rename_form ? U_PLACE : U_LINK;
    if (res == -EEXIST && !rename_form && u->attempts++ < ATTEMPTS_MAX)
        return U_REPLACE;
    if (res < 0)
        return upload_give_up(u, res);
    u->linked = true;
    u->tmp_named = false;
    return upload_steps[U_REPLACE].next;
}

/* ---- CONFIRM ---- */

/* All of them: a directory that was there when we looked may be another upload's, made a
 * moment ago and not durable yet. */
static int sync_dirs_call(void *arg)
{
    struct df_upload *u = arg;
    struct stat st;
    int r = hashdir_sync(&u->place, u->place.device_len);
    /* Whoever came later has taken our name away, and with it the directory: nothing is left
     * of ours to make durable. A path that fails while the name lives is an error. */
    if (r == -ENOENT && fstat(u->fd, &st) == 0 && st.st_nlink == 0)
        return 0;
    return r;
}

/* XFS answers 0 to a directory fsync, and now and then to a file's, after it has shut down;
 * fgetxattr sees the shutdown (reliability 1.4). */
static void add_confirmation(struct df_upload *u, struct disk_chain *chain,
                             int (*sync_dirs)(void *arg))
{
    struct disk_op *op = disk_chain_add(chain, DISK_FSYNC);
    op->fd = &u->fd;
    if (!short_form(u))
        add_call(u, chain, sync_dirs);
    op = disk_chain_add(chain, DISK_FGETXATTR);
    op->fd = &u->fd;
    op->name = XATTR_CHECKSUM;
    op->buf = u->check;
    op->len = sizeof(u->check);
}

static int link_pending_call(void *arg)
{
    struct df_upload *u = arg;
    hashdir_link_pending(&u->place, u->target, u->spec.next_part_power);
    return 0;
}

static void confirm_add(struct df_upload *u, struct disk_chain *chain)
{
    add_confirmation(u, chain, sync_dirs_call);
    if (u->fragment != FILE_NO_FRAGMENT && u->spec.next_part_power > 0)
        add_call(u, chain, link_pending_call)->may_fail = true; /* CLEAN tries again */
}

static enum upload_state confirm_done(struct df_upload *u, int res)
{
    return res < 0 ? upload_give_up(u, res) : upload_onward(u, U_CONFIRM);
}

/* ---- DURABLE ---- */

/* Again: a rehash may have taken the mark of PLACE since, and seen the pending fragment only. */
static int mark_call(void *arg)
{
    return mark_suffix(arg);
}

static void durable_add(struct df_upload *u, struct disk_chain *chain)
{
    add_call(u, chain, mark_call);
    struct disk_op *op = disk_chain_add(chain, DISK_RENAMEAT);
    op->name = u->target;
    op->name2 = u->durable_target;
}

static enum upload_state durable_done(struct df_upload *u, int res)
{
    return res == -ENOENT ? U_OVERTAKEN : next_or_give_up(u, U_DURABLE, res);
}

static int overtaken_call(void *arg)
{
    struct df_upload *u = arg;
    return hashdir_is_overtaken(&u->place, u->spec.timestamp);
}

static void overtaken_add(struct df_upload *u, struct disk_chain *chain)
{
    add_call(u, chain, overtaken_call);
}

/* A fragment that vanished without a trace was lost, not "not found". */
static enum upload_state overtaken_done(struct df_upload *u, int res)
{
    return next_or_give_up(u, U_OVERTAKEN, res == -ENOENT ? -EIO : res);
}

static int sync_dir_call(void *arg)
{
    struct df_upload *u = arg;
    return hashdir_sync(&u->place, u->place.dir_len);
}

/* As CONFIRM; of the directories only the last has changed since. */
static void settle_add(struct df_upload *u, struct disk_chain *chain)
{
    add_confirmation(u, chain, sync_dir_call);
}

static enum upload_state settle_done(struct df_upload *u, int res)
{
    return next_or_give_up(u, U_SETTLE, res);
}

/* ---- CLEAN ---- */

/* I6: was the suffix hashed between the mark and the new name? */
static void mark_again(struct df_upload *u)
{
    struct file_identity now;
    if (u->place.store->options.data_dir_count > 0)
        return;
    hashdir_hashes_identity(&u->place, &now);
    int r = file_identity_eq(&now, &u->hashes_seen) ? 0 : hashdir_invalidate(&u->place);
    if (r < 0) /* the object is stored all the same, and replicated when the suffix changes next */
        store_event(u->place.store, DF_EVENT_WARNING, "cannot mark the suffix of %s again: %s",
                    u->target, strerror(-r));
}

static int clean_call(void *arg)
{
    struct df_upload *u = arg;
    u->place.locked = false; /* LINK has given it back */
    mark_again(u);
    unsigned power = u->spec.next_part_power;
    if (power > 0 && u->fragment == FILE_NO_FRAGMENT)
        hashdir_link_next_power(&u->place, u->target, power);
    else if (power > 0)
        hashdir_rename_next_power(&u->place, u->target, u->durable_target, power);
    return hashdir_clean(&u->place, df_now());
}

static void clean_add(struct df_upload *u, struct disk_chain *chain)
{
    add_call(u, chain, clean_call)->may_fail =
        true; /* the object is durable; the next visit cleans */
}

static enum upload_state clean_done(struct df_upload *u, int res)
{
    return upload_onward(u, U_CLEAN);
}

/* ---- CLOSE ---- */

static int unmake_call(void *arg)
{
    struct df_upload *u = arg;
    hashdir_unmake(&u->place, u->existed_len);
    return 0;
}

static void add_close(struct disk_chain *chain, int *fd)
{
    struct disk_op *op = disk_chain_add(chain, DISK_CLOSE);
    op->fd = fd;
    op->may_fail = true; /* synced before, or given up: nothing left to lose */
}

static void close_add(struct df_upload *u, struct disk_chain *chain)
{
    bool failed = u->err != 0;
    if (failed && u->tmp_named) {
        struct disk_op *op = disk_chain_add(chain, DISK_UNLINKAT);
        op->name = u->tmp_path;
        op->may_fail = true; /* swept at the next start */
    }
    if (u->lock_fd >= 0)
        add_close(chain, &u->lock_fd);
    add_close(chain, &u->fd);
    if (failed && !u->linked)
        add_call(u, chain, unmake_call)->may_fail = true;
}

static enum upload_state close_done(struct df_upload *u, int res)
{
    return U_END;
}

/* U_WAIT, U_HOLD and U_END are awaited or final, never added to a chain. */
/* clang-format off */
const struct upload_step upload_steps[U_STATES] = {
    [U_LOOK]    = { "look",    U_OPEN,    look_add,    look_done    },
    [U_OPEN]    = { "open",    U_WAIT,    open_add,    open_done    },
    [U_WAIT]    = { "body",    U_WAIT,    NULL,        NULL         },
    [U_DATA]    = { "data",    U_WAIT,    data_add,    data_done    },
    [U_META]    = { "meta",    U_SYNC,    meta_add,    meta_done    },
    [U_SYNC]    = { "sync",    U_PLACE,   sync_add,    sync_done    },
    [U_PLACE]   = { "place",   U_LINK,    place_add,   place_done   },
    [U_LINK]    = { "link",    U_CONFIRM, link_add,    link_done    },
    [U_REPLACE] = { "replace", U_CONFIRM, replace_add, replace_done },
    [U_CONFIRM] = { "confirm", U_CLEAN,   confirm_add, confirm_done },
    [U_HOLD]      = { "hold",      U_HOLD,   NULL,          NULL           },
    [U_DURABLE]   = { "durable",   U_SETTLE, durable_add,   durable_done   },
    [U_OVERTAKEN] = { "overtaken", U_CLOSE,  overtaken_add, overtaken_done },
    [U_SETTLE]    = { "settle",    U_CLEAN,  settle_add,    settle_done    },
    [U_CLEAN]   = { "clean",   U_CLOSE,   clean_add,   clean_done   },
    [U_CLOSE]   = { "close",   U_END,     close_add,   close_done   },
    [U_END]     = { "end",     U_END,     NULL,        NULL         },
};
/* clang-format on */
