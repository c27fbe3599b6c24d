/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h -- a disk operation as data, and whoever runs it.
 *
 * An op is one system call written down; a chain is a few ops that belong together and
 * run in order. One entry point, submit(), so that tracing, counting, fault injection and
 * order checking each happen in one place.
 *
 * Calling sequence (loop thread only):
 *   disk_chain_init -> disk_chain_add* -> d->submit ... done(chain)
 *   once per loop turn: d->flush;  when d->fd(d) is readable: d->reap
 *
 * C1  done() comes exactly once per submitted chain, later, from reap() on the loop
 *     thread, never from inside submit(); also when the first op fails.
 * C2  An op starts only when every op before it in its chain was seen to succeed, except
 *     that a back end may queue *plain* ops behind each other without looking (the kernel
 *     keeps their order). LINKAT, RENAMEAT, UNLINKAT, CLOSE, CALL and whatever uses an fd
 *     that an OPENAT of the same chain returns are never plain: a failed sync therefore
 *     never publishes a name. (A linked SQE chain alone does not give this: it goes on
 *     after a failed fsync, fsetxattr or linkat.)
 * C3  After a failure the ops not started have res == -ECANCELED. Clean-up is the
 *     submitter's next chain.
 * C4  WRITE writes all of its bytes or fails; READ reads until full or end of file.
 *
 * Ownership: from submit() until done() the chain and all it points at belong to the disk.
 * Errors: results are 0 or more, or -errno, per op.
 * Not here: objects, names, retries. */
#ifndef OBJSRV_DISK_H
#define OBJSRV_DISK_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum disk_opcode {
    DISK_OPENAT,     /* open(name, flags, mode); the new descriptor goes to *fd, res = 0 */
    DISK_READ,       /* buf, len, off; res = bytes */
    DISK_WRITE,      /* buf, len, off; res = len */
    DISK_FSETXATTR,  /* name, buf, len */
    DISK_FGETXATTR,  /* name, buf, len; res = bytes */
    DISK_FALLOCATE,  /* flags = mode, off, len */
    DISK_SYNC_RANGE, /* sync_file_range: off, len (0: to the end), flags */
    DISK_FDATASYNC,
    DISK_FSYNC,
    DISK_MKDIRAT,  /* name, mode; -EEXIST counts as success (res = 0) */
    DISK_LINKAT,   /* /proc/self/fd/<fd> -> name2 (design decision 3) */
    DISK_RENAMEAT, /* name -> name2, flags of renameat2 */
    DISK_UNLINKAT, /* name */
    DISK_CLOSE,    /* fd; *fd becomes -1 */
    DISK_CALL,     /* call(arg) on a thread of the device's pool: what is no single op */
    DISK_OPCODES
};

struct disk_op {
    enum disk_opcode code;
    bool may_fail;       /* its result is noted, the chain goes on (C2 notwithstanding) */
    unsigned char tag;   /* the submitter's own: which step this op belongs to */
    unsigned char index; /* its place in the chain; the disk's own */
    int flags;
    mode_t mode;
    int *fd;          /* read when the op starts, so an earlier op may have set it */
    const char *name; /* absolute path, or the xattr's name */
    const char *name2;
    void *buf;
    size_t len;
    off_t off;
    int (*call)(void *arg); /* DISK_CALL: may block; 0 or more, or -errno */
    void *arg;
    int res;          /* set by the disk */
    uint64_t took_ns; /* set by the disk; under uring neighbours queued together share */
};

#define DISK_CHAIN_MAX 40

struct disk_device; /* pool.h: one device's queue, threads and cap in flight */

/* A job is embedded in its owner and lent until run() is called, on a pool thread. FIFO. */
struct disk_job {
    void (*run)(struct disk_job *job);
    struct disk_job *next;
};

struct disk_chain {
    struct disk_op ops[DISK_CHAIN_MAX];
    unsigned count;
    atomic_uint at;                         /* the op being run: read by the stuck-request dump */
    struct disk_device *device;             /* who is slow if this is slow */
    void (*done)(struct disk_chain *chain); /* loop thread */
    /* The disk's own from here on. */
    struct disk_chain *next;
    struct disk *disk;
    unsigned first, last; /* ops of the segment in flight (uring) */
    unsigned pending;
    size_t moved; /* bytes of a short read or write so far */
    uint64_t started_ns;
    struct disk_job job;
    struct disk_lane *lane; /* this device's share of this ring (uring) */
    char proc_path[32];     /* what LINKAT links */
};

/* Implementations: disk_threads.c, disk_uring.c; tests: disk_fault.c, disk_order.c. */
struct disk {
    const char *name; /* "threads", "uring", ... */
    void (*submit)(struct disk *d, struct disk_chain *chain);
    void (*flush)(struct disk *d); /* one io_uring_submit() per turn */
    void (*reap)(struct disk *d);  /* runs done() of all that finished */
    int (*fd)(struct disk *d);     /* readable when reap() has something to do */
    void (*free)(struct disk *d);  /* nothing may be in flight */
};

void disk_chain_init(struct disk_chain *chain, struct disk_device *device,
                     void (*done)(struct disk_chain *chain));

/* A zeroed op of this code, to be filled in. Asserts that there is room. */
struct disk_op *disk_chain_add(struct disk_chain *chain, enum disk_opcode code);

/* 0, or the error of the first op that failed and may not. After done() only. */
int disk_chain_result(const struct disk_chain *chain);

/* One row per opcode (disk_op.c): its name and itself as plain system calls, which is what
 * the threads back end, the tools and the test disks run. Returns what res becomes. */
const char *disk_op_name(enum disk_opcode code);
int disk_op_run(struct disk_op *op);

/* BLOCKING. What READ does, for whoever is on a thread of the pool or has no disk at all: bytes
 * until `len` (at most INT_MAX) or the end of the file, or -errno. */
int disk_read_full(int fd, void *buf, size_t len, off_t off);
/* Likewise what WRITE does: all of it, or -errno. A file open with O_APPEND has its own offset. */
int disk_write_full(int fd, const void *buf, size_t len, off_t off);

/* Runs a whole chain here and now by C2 to C4, on the calling thread, without done(). */
void disk_chain_run(struct disk_chain *chain);

#endif
