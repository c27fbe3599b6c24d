/* SPDX-License-Identifier: Apache-2.0 */
/* disk_op.c -- each operation as plain system calls, and a chain of them on one thread. */
#include "diskfile/disk/chain.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int result(long res)
{
    return res < 0 ? -errno : (int)res;
}

static int run_openat(struct disk_op *op)
{
    int fd;
    do
        fd = open(op->name, op->flags, op->mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *op->fd = fd;
    return 0;
}

int disk_read_full(int fd, void *buf, size_t len, off_t off)
{
    size_t moved = 0;
    while (moved < len) {
        ssize_t n = pread(fd, (char *)buf + moved, len - moved, off + (off_t)moved);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        moved += n > 0 ? (size_t)n : 0;
    }
    return (int)moved;
}

static int run_read(struct disk_op *op)
{
    return disk_read_full(*op->fd, op->buf, op->len, op->off);
}

int disk_write_full(int fd, const void *buf, size_t len, off_t off)
{
    size_t moved = 0;
    while (moved < len) {
        ssize_t n = pwrite(fd, (const char *)buf + moved, len - moved, off + (off_t)moved);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO; /* no progress and no reason: never loop on it */
        moved += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int run_write(struct disk_op *op)
{
    int r = disk_write_full(*op->fd, op->buf, op->len, op->off);
    return r < 0 ? r : (int)op->len;
}

static int run_fsetxattr(struct disk_op *op)
{
    return result(fsetxattr(*op->fd, op->name, op->buf, op->len, 0));
}

static int run_fgetxattr(struct disk_op *op)
{
    return result(fgetxattr(*op->fd, op->name, op->buf, op->len));
}

static int run_fallocate(struct disk_op *op)
{
    int res;
    do
        res = fallocate(*op->fd, op->flags, op->off, (off_t)op->len);
    while (res < 0 && errno == EINTR);
    return result(res);
}

static int run_sync_range(struct disk_op *op)
{
    return result(sync_file_range(*op->fd, op->off, (off_t)op->len, (unsigned)op->flags));
}

/* The syncs are never repeated, not even after EINTR: the kernel tells of a lost page once. */
static int run_fdatasync(struct disk_op *op)
{
    return result(fdatasync(*op->fd));
}

static int run_fsync(struct disk_op *op)
{
    return result(fsync(*op->fd));
}

static int run_mkdirat(struct disk_op *op)
{
    int res = mkdir(op->name, op->mode);
    return res < 0 && errno == EEXIST ? 0 : result(res);
}

static int run_linkat(struct disk_op *op)
{
    char path[32];
    (void)snprintf(path, sizeof path, DISK_PROC_PATH, *op->fd);
    return result(linkat(AT_FDCWD, path, AT_FDCWD, op->name2, AT_SYMLINK_FOLLOW));
}

static int run_renameat(struct disk_op *op)
{
    return result(renameat2(AT_FDCWD, op->name, AT_FDCWD, op->name2, (unsigned)op->flags));
}

static int run_unlinkat(struct disk_op *op)
{
    return result(unlinkat(AT_FDCWD, op->name, op->flags));
}

static int run_close(struct disk_op *op)
{
    int res = close(*op->fd);
    *op->fd = -1; /* also after an error: the descriptor is gone */
    return result(res);
}

static int run_call(struct disk_op *op)
{
    return op->call(op->arg);
}

/* clang-format off */
static const struct {
    const char *name;
    int (*run)(struct disk_op *op);
    bool plain;
} rows[] = {
    [DISK_OPENAT]     = { "openat",          run_openat,     false },
    [DISK_READ]       = { "read",            run_read,       true  },
    [DISK_WRITE]      = { "write",           run_write,      true  },
    [DISK_FSETXATTR]  = { "fsetxattr",       run_fsetxattr,  true  },
    [DISK_FGETXATTR]  = { "fgetxattr",       run_fgetxattr,  true  },
    [DISK_FALLOCATE]  = { "fallocate",       run_fallocate,  true  },
    [DISK_SYNC_RANGE] = { "sync_file_range", run_sync_range, true  },
    [DISK_FDATASYNC]  = { "fdatasync",       run_fdatasync,  true  },
    [DISK_FSYNC]      = { "fsync",           run_fsync,      true  },
    [DISK_MKDIRAT]    = { "mkdirat",         run_mkdirat,    true  },
    [DISK_LINKAT]     = { "linkat",          run_linkat,     false },
    [DISK_RENAMEAT]   = { "renameat",        run_renameat,   false },
    [DISK_UNLINKAT]   = { "unlinkat",        run_unlinkat,   false },
    [DISK_CLOSE]      = { "close",           run_close,      false },
    [DISK_CALL]       = { "call",            run_call,       false },
};
/* clang-format on */
static_assert(sizeof rows / sizeof rows[0] == DISK_OPCODES, "one row per opcode");

const char *disk_op_name(enum disk_opcode code)
{
    return code < DISK_OPCODES ? rows[code].name : "?";
}

bool disk_op_is_plain(enum disk_opcode code)
{
    return rows[code].plain;
}

int disk_op_run(struct disk_op *op)
{
    assert(op->code < DISK_OPCODES);
    assert(op->len <= INT_MAX || (op->code != DISK_READ && op->code != DISK_WRITE));
    return rows[op->code].run(op);
}

uint64_t disk_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void disk_chain_init(struct disk_chain *chain, struct disk_device *device,
                     void (*done)(struct disk_chain *chain))
{
    /* The ops are zeroed one by one as they are added: most chains use few of them. */
    size_t after_ops = offsetof(struct disk_chain, count);
    memset((char *)chain + after_ops, 0, sizeof *chain - after_ops);
    chain->device = device;
    chain->done = done;
}

struct disk_op *disk_chain_add(struct disk_chain *chain, enum disk_opcode code)
{
    assert(chain->count < DISK_CHAIN_MAX);
    struct disk_op *op = &chain->ops[chain->count++];
    *op = (struct disk_op){.code = code, .res = -ECANCELED};
    return op;
}

int disk_chain_result(const struct disk_chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++)
        if (disk_op_failed(&chain->ops[i]))
            return chain->ops[i].res;
    return 0;
}

void disk_chain_cancel(struct disk_chain *chain, unsigned from)
{
    for (unsigned i = from; i < chain->count; i++)
        chain->ops[i].res = -ECANCELED;
}

bool disk_chain_step(struct disk_chain *chain, unsigned i)
{
    struct disk_op *op = &chain->ops[i];
    atomic_store_explicit(&chain->at, i, memory_order_relaxed);
    uint64_t start = disk_now_ns();
    op->res = disk_op_run(op);
    op->took_ns = disk_now_ns() - start;
    if (!disk_op_failed(op))
        return true;
    disk_chain_cancel(chain, i + 1);
    return false;
}

void disk_chain_run(struct disk_chain *chain)
{
    for (unsigned i = 0; i < chain->count && disk_chain_step(chain, i); i++)
        ;
}
