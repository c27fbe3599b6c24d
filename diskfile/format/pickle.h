/* SPDX-License-Identifier: Apache-2.0 */
/* pickle.h -- what those share who write or read pickles of protocol 2: the opcodes of
 * on-disk-format 7.1. Include it nowhere else. */
#ifndef OBJSRV_PICKLE_H
#define OBJSRV_PICKLE_H

#define PICKLE_PROTOCOL 2

enum pickle_opcode {
    OP_PROTO = 0x80,
    OP_STOP = '.',
    OP_MARK = '(',
    OP_EMPTY_DICT = '}',
    OP_SETITEM = 's',
    OP_SETITEMS = 'u',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_GLOBAL = 'c',
    OP_REDUCE = 'R',
    OP_EMPTY_TUPLE = ')',
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_BINUNICODE = 'X',
    OP_SHORT_BINSTRING = 'U',
    OP_BINSTRING = 'T',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_LONG1 = 0x8a,
    OP_BINFLOAT = 'G',
    OP_NONE = 'N',
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89
};

/* Python 3 writes every bytes object as a call of this function with "latin1". It comes
 * within the first PICKLE_MARKER_SPAN bytes of what Python 3 wrote, never elsewhere. */
#define PICKLE_ENCODE      "_codecs\nencode"
#define PICKLE_LATIN1      "latin1"
#define PICKLE_MARKER_SPAN 32

#endif
