/* SPDX-License-Identifier: Apache-2.0 */
/* uring_op.c -- each operation as an SQE: the ring's counterpart of disk_op.c. */
#include "diskfile/disk/uring_op.h"
#include "diskfile/disk/chain.h"
#include <assert.h>
#include <limits.h>
#include <stdio.h>

static void prep_openat(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_openat(sqe, AT_FDCWD, op->name, op->flags, op->mode);
}

static unsigned transfer_len(size_t len)
{
    return len < URING_TRANSFER_MAX ? (unsigned)len : URING_TRANSFER_MAX;
}

/* Only the first op of a segment may be one that goes on where it was short. */
static size_t moved_before(const struct disk_op *op, const struct disk_chain *chain)
{
    return op->index == chain->first ? chain->moved : 0;
}

static void prep_read(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    size_t moved = moved_before(op, chain);
    io_uring_prep_read(sqe, *op->fd, (char *)op->buf + moved, transfer_len(op->len - moved),
                       (uint64_t)op->off + moved);
}

static void prep_write(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    size_t moved = moved_before(op, chain);
    io_uring_prep_write(sqe, *op->fd, (char *)op->buf + moved, transfer_len(op->len - moved),
                        (uint64_t)op->off + moved);
}

static void prep_fsetxattr(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_fsetxattr(sqe, *op->fd, op->name, op->buf, 0, (unsigned)op->len);
}

static void prep_fgetxattr(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_fgetxattr(sqe, *op->fd, op->name, op->buf, (unsigned)op->len);
}

static void prep_fallocate(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_fallocate(sqe, *op->fd, op->flags, op->off, (off_t)op->len);
}

/* The SQE's length has 32 bits. More than that is asked for as "to the end" (0): a sync of
 * more than was asked is no harm. */
static void prep_sync_range(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    unsigned len = op->len <= UINT_MAX ? (unsigned)op->len : 0;
    io_uring_prep_sync_file_range(sqe, *op->fd, len, (uint64_t)op->off, op->flags);
}

static void prep_fdatasync(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_fsync(sqe, *op->fd, IORING_FSYNC_DATASYNC);
}

static void prep_fsync(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_fsync(sqe, *op->fd, 0);
}

static void prep_mkdirat(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_mkdirat(sqe, AT_FDCWD, op->name, op->mode);
}

static void prep_linkat(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    (void)snprintf(chain->proc_path, sizeof chain->proc_path, DISK_PROC_PATH, *op->fd);
    io_uring_prep_linkat(sqe, AT_FDCWD, chain->proc_path, AT_FDCWD, op->name2, AT_SYMLINK_FOLLOW);
}

static void prep_renameat(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_renameat(sqe, AT_FDCWD, op->name, AT_FDCWD, op->name2, (unsigned)op->flags);
}

static void prep_unlinkat(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_unlinkat(sqe, AT_FDCWD, op->name, op->flags);
}

static void prep_close(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    io_uring_prep_close(sqe, *op->fd);
}

/* clang-format off */
static const struct {
    int ring_op; /* what the kernel must know */
    void (*prep)(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain);
} rows[] = {
    [DISK_OPENAT]     = { IORING_OP_OPENAT,          prep_openat     },
    [DISK_READ]       = { IORING_OP_READ,            prep_read       },
    [DISK_WRITE]      = { IORING_OP_WRITE,           prep_write      },
    [DISK_FSETXATTR]  = { IORING_OP_FSETXATTR,       prep_fsetxattr  },
    [DISK_FGETXATTR]  = { IORING_OP_FGETXATTR,       prep_fgetxattr  },
    [DISK_FALLOCATE]  = { IORING_OP_FALLOCATE,       prep_fallocate  },
    [DISK_SYNC_RANGE] = { IORING_OP_SYNC_FILE_RANGE, prep_sync_range },
    [DISK_FDATASYNC]  = { IORING_OP_FSYNC,           prep_fdatasync  },
    [DISK_FSYNC]      = { IORING_OP_FSYNC,           prep_fsync      },
    [DISK_MKDIRAT]    = { IORING_OP_MKDIRAT,         prep_mkdirat    },
    [DISK_LINKAT]     = { IORING_OP_LINKAT,          prep_linkat     },
    [DISK_RENAMEAT]   = { IORING_OP_RENAMEAT,        prep_renameat   },
    [DISK_UNLINKAT]   = { IORING_OP_UNLINKAT,        prep_unlinkat   },
    [DISK_CLOSE]      = { IORING_OP_CLOSE,           prep_close      },
    [DISK_CALL]       = { -1,                        NULL            },
};
/* clang-format on */
static_assert(sizeof rows / sizeof rows[0] == DISK_OPCODES, "one row per opcode");

void uring_op_prep(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain)
{
    rows[op->code].prep(sqe, op, chain);
}

bool uring_op_supported(enum disk_opcode code, const struct io_uring_probe *probe)
{
    return rows[code].prep && io_uring_opcode_supported(probe, rows[code].ring_op);
}
