/* SPDX-License-Identifier: Apache-2.0 */
/* no_tmpfile.c -- preloaded into a server under test: no file system here has O_TMPFILE.
 *
 * io_uring does not pass here; the server's own probe does, and that decides. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>

#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif

static int refuses(int flags)
{
    if ((flags & O_TMPFILE) != O_TMPFILE)
        return 0;
    errno = EOPNOTSUPP;
    return 1;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = va_arg(args, mode_t);                                                        \
        va_end(args);                                                                              \
        int (*next)(const char *, int, mode_t);                                                    \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        return refuses(flags) ? -1 : next(path, flags, mode);                                      \
    }
#define OPENAT(name)                                                                               \
    int name(int at, const char *path, int flags, ...)                                             \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = va_arg(args, mode_t);                                                        \
        va_end(args);                                                                              \
        int (*next)(int, const char *, int, mode_t);                                               \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        return refuses(flags) ? -1 : next(at, path, flags, mode);                                  \
    }

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);
int openat(int at, const char *path, int flags, ...);
int openat64(int at, const char *path, int flags, ...);
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
