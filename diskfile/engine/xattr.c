/* SPDX-License-Identifier: Apache-2.0 */
/* xattr.c -- an object's metadata in the extended attributes of its file (on-disk-format 7). */
#include "diskfile/engine/checksum.h"
#include "diskfile/engine/hashdir.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

/* ext4 keeps about this much in all; more is asked for only where there is more. */
#define FIRST_READ_BYTES 4096
/* Chunks may be as small as 254 bytes; what is longer than this was not written by Swift. */
#define PICKLE_BYTES_MAX (4u << 20)

struct pickle {
    char first[FIRST_READ_BYTES];
    char *grown; /* in use instead, once `first` is too small */
    size_t len, room;
};

static char *bytes_of(struct pickle *p)
{
    return p->grown ? p->grown : p->first;
}

static int grow(struct pickle *p)
{
    size_t room = p->len + XATTR_CHUNK_BYTES;
    if (room > PICKLE_BYTES_MAX)
        return -EBADMSG;
    char *grown = realloc(p->grown, room);
    if (!grown)
        return -ENOMEM;
    if (!p->grown)
        memcpy(grown, p->first, p->len);
    p->grown = grown;
    p->room = room;
    return 0;
}

/* Appends one chunk; 0, -ENODATA: no such chunk, or another error. */
static int read_chunk(int fd, unsigned number, struct pickle *p)
{
    char name[sizeof(XATTR_METADATA) + 12] = XATTR_METADATA;
    if (number > 0)
        snprintf(name, sizeof(name), XATTR_METADATA "%u", number);
    for (;;) {
        /* A size of 0 would ask for the length instead. */
        ssize_t n = p->room > p->len ? fgetxattr(fd, name, bytes_of(p) + p->len, p->room - p->len)
                                     : -(errno = ERANGE, 1);
        if (n >= 0) {
            p->len += (size_t)n;
            return 0;
        }
        if (errno != ERANGE || p->room - p->len >= XATTR_CHUNK_BYTES)
            return -errno;
        int r = grow(p);
        if (r < 0)
            return r;
    }
}

static int read_rest(int fd, struct pickle *p)
{
    for (unsigned number = 1;; number++) {
        int r = read_chunk(fd, number, p);
        if (r == -ENODATA)
            return 0;
        if (r < 0)
            return r;
    }
}

/* "" when there is none or it is empty: then nothing is checked. */
static int read_checksum(int fd, char hex[CHECKSUM_HEX_LEN + 2])
{
    ssize_t n = fgetxattr(fd, XATTR_CHECKSUM, hex, CHECKSUM_HEX_LEN + 1);
    if (n < 0 && errno == ENODATA)
        n = 0;
    if (n < 0 && errno == ERANGE) { /* no checksum is that long: it matches nothing */
        memset(hex, 'x', CHECKSUM_HEX_LEN);
        n = CHECKSUM_HEX_LEN;
    }
    if (n < 0)
        return -errno;
    hex[n] = '\0';
    return 0;
}

__attribute__((format(printf, 3, 4))) static int fail(int error, char reason[REASON_MAX],
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reason, REASON_MAX, format, args);
    va_end(args);
    return error;
}

/* Whole as soon as the first chunk has the checksum: asking for a second one would be a
 * system call per file for an answer we have. */
static int read_pickle(int fd, struct pickle *p, bool *ret_checked, char reason[REASON_MAX])
{
    char expected[CHECKSUM_HEX_LEN + 2] = "", found[CHECKSUM_HEX_LEN + 1];
    int r = read_chunk(fd, 0, p);
    if (r == -ENODATA)
        return fail(-EBADMSG, reason, "Exception reading metadata: there is none");
    if (r == 0)
        r = read_checksum(fd, expected);
    if (r < 0)
        return r;
    *ret_checked = expected[0] != '\0';
    if (!*ret_checked)
        return read_rest(fd, p);
    r = checksum_of(bytes_of(p), p->len, found);
    if (r < 0 || strcmp(found, expected) == 0)
        return r;
    r = read_rest(fd, p);
    if (r == 0)
        r = checksum_of(bytes_of(p), p->len, found);
    if (r < 0)
        return r;
    if (strcmp(found, expected) == 0)
        return 0;
    return fail(-EBADMSG, reason, "Metadata checksum mismatch: stored %s, computed %s", expected,
                found);
}

int xattr_add_checksum(int fd)
{
    char hex[CHECKSUM_HEX_LEN + 2];
    if (fgetxattr(fd, XATTR_CHECKSUM, hex, sizeof(hex)) >= 0 || errno != ENODATA)
        return 0; /* there is one, or reading has told of the error already */
    struct pickle p;
    p.grown = NULL;
    p.len = 0;
    p.room = sizeof(p.first);
    int r = read_chunk(fd, 0, &p);
    if (r == 0)
        r = read_rest(fd, &p);
    if (r == 0)
        r = checksum_of(bytes_of(&p), p.len, hex);
    if (r == 0 && fsetxattr(fd, XATTR_CHECKSUM, hex, CHECKSUM_HEX_LEN, XATTR_CREATE) < 0)
        r = errno == EEXIST ? 0 : -errno;
    free(p.grown);
    return r;
}

int xattr_read_metadata(int fd, struct metadata *ret, bool *ret_checked, char reason[REASON_MAX])
{
    bool checked = false;
    struct pickle p;
    p.grown = NULL;
    p.len = 0;
    p.room = sizeof(p.first);
    reason[0] = '\0';
    int r = read_pickle(fd, &p, &checked, reason);
    if (r == 0)
        r = metadata_decode((struct slice){bytes_of(&p), p.len}, ret);
    free(p.grown);
    if (r == -EBADMSG && reason[0] == '\0')
        return fail(r, reason, "Exception reading metadata: not a pickle of metadata");
    if (r == 0 && ret_checked)
        *ret_checked = checked;
    return r;
}
