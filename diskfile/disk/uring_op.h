/* SPDX-License-Identifier: Apache-2.0 */
/* uring_op.h -- an operation as an SQE. Private to the uring back end.
 *
 * The SQE points at what the op points at: data until the completion, names until it was
 * submitted (IORING_FEAT_SUBMIT_STABLE). op->index must be set. */
#ifndef OBJSRV_DISK_URING_OP_H
#define OBJSRV_DISK_URING_OP_H

#include "diskfile/disk/disk.h"
#include <liburing.h>

/* Bytes in one SQE. A longer READ or WRITE comes back short and is resumed. */
#define URING_TRANSFER_MAX (1 << 30)

void uring_op_prep(struct io_uring_sqe *sqe, struct disk_op *op, struct disk_chain *chain);

/* false for DISK_CALL, and for what this kernel lacks. */
bool uring_op_supported(enum disk_opcode code, const struct io_uring_probe *probe);

#endif
