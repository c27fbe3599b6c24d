/* SPDX-License-Identifier: Apache-2.0 */
/* pickle_read.h -- a reader of the few pickles that lie on a Swift disk (protocol 2).
 *
 * A pickle is a program for a stack machine. This one knows dicts, scalars, and two calls,
 * _codecs.encode(text, "latin1") and bytes(); a call is folded into its result. What a dict is
 * given is handed to the caller at once and not kept: no value contains another, nothing here
 * recurses, and memory is linear in the input's length. Whatever else occurs is -EBADMSG.
 *
 * Texts are slices of the input. Pure. */
#ifndef OBJSRV_PICKLE_READ_H
#define OBJSRV_PICKLE_READ_H

#include "diskfile/slice.h"
#include <stdint.h>

enum pickle_kind {
    PICKLE_NOTHING, /* a memo number never put */
    PICKLE_MARK,
    PICKLE_DICT,         /* .integer: 0 is the first that was made, and so on */
    PICKLE_ENCODE_FN,    /* _codecs.encode */
    PICKLE_BYTES_FN,     /* __builtin__.bytes */
    PICKLE_NO_ARGS,      /* () */
    PICKLE_ONE_ARG,      /* (bytes,) in .text */
    PICKLE_ENCODE_ARGS,  /* (text, "latin1") in .text */
    PICKLE_UNICODE,      /* .text is its UTF-8 */
    PICKLE_BYTES,        /* .text */
    PICKLE_BYTES_LATIN1, /* bytes; .text is the UTF-8 of each as a code point */
    PICKLE_INTEGER,
    PICKLE_FLOAT,
    PICKLE_TRUE,
    PICKLE_FALSE,
    PICKLE_NONE
};

struct pickle_value {
    enum pickle_kind kind;
    union {
        struct slice text;
        int64_t integer;
        double number;
    };
};

/* `dict` gets a key and a value. Both are lent for the call. Ends the reading if not 0. */
typedef int pickle_store(void *arg, int64_t dict, const struct pickle_value *key,
                         const struct pickle_value *value);

/* What is beyond is -EBADMSG: what no pickle of its kind comes to must not take memory either. */
struct pickle_limits {
    unsigned dicts;
    unsigned stack; /* values at once */
    unsigned memo;  /* values remembered */
};

/* Reads a pickle whose result is its first dict. *ret_len: the bytes up to its end, which Python
 * looks at no further. 0, -EBADMSG, -ENOMEM, or what `store` returned. */
int pickle_read(struct slice bytes, const struct pickle_limits *limits, pickle_store *store,
                void *arg, size_t *ret_len);

#endif
