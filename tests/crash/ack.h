/* SPDX-License-Identifier: Apache-2.0 */
/* ack.h -- what the load writes to the disk under test once it has its answer.
 *
 * One record of a sector each, on the same disk as the objects but outside the file system:
 * its place in the log of all writes says which crash states must have the object. check.py
 * reads these records too. All numbers are little-endian. */
#ifndef OBJSRV_CRASH_ACK_H
#define OBJSRV_CRASH_ACK_H

#include <stdint.h>

#define ACK_MAGIC "OBJACK1"
#define ACK_BYTES 512

struct ack {
    char magic[8];
    uint64_t ticks;  /* X-Timestamp, in units of 10 us */
    uint32_t serial; /* of the record: its slot */
    uint32_t key;    /* object /a/c/k<key> */
    uint32_t kind;   /* 'P' PUT, 'D' DELETE, 'M' POST */
    uint32_t writer; /* which of two PUTs with one timestamp */
    char padding[ACK_BYTES - 32];
};

_Static_assert(sizeof(struct ack) == ACK_BYTES, "a record is a sector");

#endif
