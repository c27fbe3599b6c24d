/* SPDX-License-Identifier: Apache-2.0 */
/* wiretext.h -- the text encodings that lie upon each other in a metadata pickle
 * (on-disk-format 7.2). Pure; no allocation. Used by metadata_decode.c. */
#ifndef OBJSRV_WIRETEXT_H
#define OBJSRV_WIRETEXT_H

#include "diskfile/slice.h"

/* UTF-8 of code points up to 0xff -> one byte each, written to `out`, which has room for
 * text.len bytes. 0, or -EBADMSG: no such text. */
int wiretext_latin1(struct slice text, char *out, size_t *ret_len);

/* 0, or -EBADMSG: not UTF-8. */
int wiretext_check(struct slice text);

/* Undoes the double encoding in place: bytes as on disk -> bytes as on the wire; returns the
 * new length. Bytes that are no UTF-8 stay. A code point above 0xff was never a header's
 * byte: then nobody double-encoded this text, and all of it stays. */
size_t wiretext_undouble(char *text, size_t len);

#endif
