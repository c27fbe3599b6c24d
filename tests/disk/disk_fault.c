/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/disk/disk_fault.h"
#include <errno.h>
#include <string.h>

int disk_fault_init(struct disk_fault *f)
{
    memset(f, 0, sizeof *f);
    f->err = -EIO;
    return disk_sync_init(&f->sync, "fault", disk_fault_run_op);
}

static bool fails_now(const struct disk_fault *f, enum disk_opcode code)
{
    if (f->fail_nth == 0 || f->calls < f->fail_nth)
        return false;
    return f->calls == f->fail_nth || (f->for_ever && code != DISK_CLOSE);
}

int disk_fault_run_op(struct disk_sync *s, struct disk_op *op)
{
    struct disk_fault *f = CONTAINER_OF(s, struct disk_fault, sync);
    if (f->stop_after > 0 && f->calls >= f->stop_after) {
        s->stopped = true;
        return -ECANCELED;
    }
    f->calls++;
    if (!fails_now(f, op->code))
        return disk_op_run(op);
    if (f->fired++ == 0)
        f->hit = op->code;
    /* A close that fails has closed: that is what Linux does. An open that takes effect and
     * fails would be a descriptor that nobody knows. */
    if (op->code == DISK_CLOSE || (f->applied && op->code != DISK_OPENAT))
        (void)disk_op_run(op);
    return f->err;
}
