/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/disk/disk_order.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void breach(struct disk_order *o, const char *what, const char *path)
{
    if (!o->violation[0])
        (void)snprintf(o->violation, sizeof o->violation, "%s: %s", what, path);
}

/* ---- files ---- */

static struct disk_order_file *find_file(struct disk_order *o, dev_t dev, ino_t ino)
{
    for (unsigned i = 0; i < o->file_count; i++)
        if (o->files[i].dev == dev && o->files[i].ino == ino)
            return &o->files[i];
    return NULL;
}

static struct disk_order_file *file_of_fd(struct disk_order *o, int fd, struct stat *st)
{
    if (fstat(fd, st) < 0)
        return NULL;
    struct disk_order_file *file = find_file(o, st->st_dev, st->st_ino);
    if (!file) {
        assert(o->file_count < DISK_ORDER_MAX);
        file = &o->files[o->file_count++];
        *file = (struct disk_order_file){.dev = st->st_dev, .ino = st->st_ino};
    }
    return file;
}

/* ---- names ---- */

static struct disk_order_name *find_name(struct disk_order *o, const char *path)
{
    for (unsigned i = 0; i < o->name_count; i++)
        if (strcmp(o->names[i].path, path) == 0)
            return &o->names[i];
    return NULL;
}

static void forget_name(struct disk_order *o, const char *path)
{
    struct disk_order_name *name = find_name(o, path);
    if (name)
        *name = o->names[--o->name_count];
}

/* The text up to the last '/', empty for the root and for relative names. */
static void parent_of(const char *path, char parent[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    (void)snprintf(parent, PATH_MAX, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static void note_name(struct disk_order *o, const char *path)
{
    char parent[PATH_MAX];
    struct stat st, parent_st;
    parent_of(path, parent);
    if (stat(path, &st) < 0 || stat(parent[0] ? parent : "/", &parent_st) < 0) {
        breach(o, "named a moment ago and gone", path);
        return;
    }
    forget_name(o, path);
    assert(o->name_count < DISK_ORDER_MAX);
    struct disk_order_name *name = &o->names[o->name_count++];
    *name = (struct disk_order_name){.dev = st.st_dev,
                                     .ino = st.st_ino,
                                     .parent_dev = parent_st.st_dev,
                                     .parent_ino = parent_st.st_ino,
                                     .made = o->clock};
    (void)snprintf(name->path, sizeof name->path, "%s", path);
    struct disk_order_file *file = find_file(o, st.st_dev, st.st_ino);
    if (file)
        file->changed = o->clock;
}

/* ---- what each op means ---- */

static void before_naming(struct disk_order *o, const struct disk_order_file *file,
                          const char *path)
{
    if (file && file->data_dirty)
        breach(o, "named before its data was on the device", path);
    if (file && file->xattr_dirty && o->full_form)
        breach(o, "named before its xattrs were synced", path);
}

static void synced(struct disk_order *o, struct disk_order_file *file, const struct stat *st)
{
    bool is_dir = S_ISDIR(st->st_mode);
    file->data_dirty = file->xattr_dirty = false;
    for (unsigned i = 0; i < o->name_count; i++) {
        struct disk_order_name *name = &o->names[i];
        bool in_it = is_dir && name->parent_dev == st->st_dev && name->parent_ino == st->st_ino;
        bool in_journal = !is_dir && !o->full_form && name->made <= file->changed;
        if (in_it || in_journal)
            name->durable = true;
    }
}

static bool syncs_all_data(const struct disk_op *op)
{
    int wait = SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    return op->off == 0 && op->len == 0 && (op->flags & wait) == wait;
}

static void after_fd_op(struct disk_order *o, const struct disk_op *op)
{
    struct stat st;
    struct disk_order_file *file = file_of_fd(o, *op->fd, &st);
    if (!file)
        return;
    if (op->code == DISK_OPENAT && (op->flags & (O_CREAT | O_TMPFILE)) != 0 &&
        S_ISREG(st.st_mode) && st.st_size == 0) /* new, or as good: an inode number comes back */
        *file = (struct disk_order_file){st.st_dev, st.st_ino, false, false, o->clock};
    if (op->code == DISK_WRITE)
        file->data_dirty = true;
    if (op->code == DISK_FSETXATTR)
        file->xattr_dirty = true;
    if (op->code == DISK_WRITE || op->code == DISK_FSETXATTR)
        file->changed = o->clock;
    if (op->code == DISK_FDATASYNC || (op->code == DISK_SYNC_RANGE && syncs_all_data(op)))
        file->data_dirty = false;
    if (op->code == DISK_FSYNC)
        synced(o, file, &st);
}

static void before_op(struct disk_order *o, const struct disk_op *op)
{
    struct stat st;
    if (op->code == DISK_LINKAT)
        before_naming(o, file_of_fd(o, *op->fd, &st), op->name2);
    if (op->code == DISK_RENAMEAT && stat(op->name, &st) == 0)
        before_naming(o, find_file(o, st.st_dev, st.st_ino), op->name2);
}

static void after_op(struct disk_order *o, const struct disk_op *op, bool is_new)
{
    switch (op->code) {
    case DISK_LINKAT:
        note_name(o, op->name2);
        break;
    case DISK_RENAMEAT:
        forget_name(o, op->name);
        note_name(o, op->name2);
        break;
    case DISK_UNLINKAT:
        forget_name(o, op->name);
        break;
    case DISK_MKDIRAT:
        if (is_new)
            note_name(o, op->name);
        break;
    case DISK_CLOSE:
    case DISK_CALL:
        break;
    default:
        after_fd_op(o, op);
    }
    if (op->code == DISK_OPENAT && (op->flags & O_CREAT) && is_new)
        note_name(o, op->name);
}

static int order_run_op(struct disk_sync *s, struct disk_op *op)
{
    struct disk_order *o = CONTAINER_OF(s, struct disk_order, fault.sync);
    struct stat st;
    bool is_new = (op->code == DISK_MKDIRAT || op->code == DISK_OPENAT) && lstat(op->name, &st) < 0;
    o->clock++;
    before_op(o, op);
    int res = disk_fault_run_op(s, op);
    if (res >= 0)
        after_op(o, op, is_new);
    return res;
}

/* ---- the verdict ---- */

int disk_order_new(bool full_form, struct disk_order **ret_order)
{
    struct disk_order *o = calloc(1, sizeof *o);
    if (!o)
        return -ENOMEM;
    o->full_form = full_form;
    int r = disk_sync_init(&o->fault.sync, "order", order_run_op);
    o->fault.err = -EIO;
    if (r < 0) {
        free(o);
        return r;
    }
    *ret_order = o;
    return 0;
}

void disk_order_free(struct disk_order *o)
{
    o->fault.sync.base.free(&o->fault.sync.base);
    free(o);
}

const char *disk_order_violation(const struct disk_order *o)
{
    return o->violation[0] ? o->violation : NULL;
}

const char *disk_order_check_acknowledged(struct disk_order *o, const char *path)
{
    static _Thread_local char why[PATH_MAX + 64];
    const struct disk_order_name *name = find_name(o, path);
    if (!name)
        return "this name was never given";
    const struct disk_order_file *file = find_file(o, name->dev, name->ino);
    if (file && (file->data_dirty || file->xattr_dirty))
        return "changed since its last sync";
    char above[PATH_MAX];
    (void)snprintf(above, sizeof above, "%s", path);
    while (above[0]) {
        name = find_name(o, above);
        if (name && !name->durable) {
            (void)snprintf(why, sizeof why, "name not durable: %s", above);
            return why;
        }
        char parent[PATH_MAX];
        parent_of(above, parent);
        memcpy(above, parent, sizeof above);
    }
    return NULL;
}

unsigned disk_order_each_lost(const struct disk_order *o, void (*each)(void *arg, const char *path),
                              void *arg)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < o->name_count; i++) {
        if (o->names[i].durable)
            continue;
        lost++;
        if (each)
            each(arg, o->names[i].path);
    }
    return lost;
}
