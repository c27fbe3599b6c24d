/* SPDX-License-Identifier: Apache-2.0 */
/* inherit.c -- see inherit.h. */
#include "server/node/inherit.h"
#include "server/node/startmem.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 65536

static const char *const names[] = {
    [INHERIT_ACTIVATED] = "objsrv-activated",
    [INHERIT_LISTEN] = "objsrv-listen",
    [INHERIT_LOCK] = "objsrv-lock",
    [INHERIT_CONTROL] = "objsrv-control",
};

const char *inherit_name(enum inherit_kind kind)
{
    return names[kind];
}

static enum inherit_kind kind_of(const char *name, size_t len)
{
    for (enum inherit_kind kind = INHERIT_LISTEN; kind <= INHERIT_CONTROL; kind++)
        if (slice_eq((struct slice){name, len}, slice_of(names[kind])))
            return kind;
    return INHERIT_ACTIVATED;
}

static int is_listening(int fd)
{
    int yes = 0;
    socklen_t len = sizeof(yes);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

/* Non-blocking: another process may be faster with a connection. */
static int take_one(struct inherited *item, char *problem, size_t problem_len)
{
    int flags = fcntl(item->fd, F_GETFD);
    if (flags < 0 || fcntl(item->fd, F_SETFD, flags | FD_CLOEXEC) < 0) {
        int res = -errno;
        snprintf(problem, problem_len, "LISTEN_FDS: descriptor %d: %s", item->fd, strerror(-res));
        return res;
    }
    if (item->kind > INHERIT_LISTEN)
        return 0;
    if (!is_listening(item->fd)) {
        snprintf(problem, problem_len,
                 "LISTEN_FDS: descriptor %d is no listening socket: expected Accept=no and "
                 "ListenStream= in the socket unit",
                 item->fd);
        return -EINVAL;
    }
    flags = fcntl(item->fd, F_GETFL);
    return flags < 0 || fcntl(item->fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* The whole number in this variable, or -1. */
static long number_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || *text == '\0')
        return -1;
    long n = strtol(text, &end, 10);
    return *end == '\0' ? n : -1;
}

int inherit_take(struct inheritance *ret, char *problem, size_t problem_len)
{
    long count = number_in("LISTEN_FDS");
    const char *at = getenv("LISTEN_FDNAMES");
    int res = 0;
    if (number_in("LISTEN_PID") != getpid() || count < 0 || count > MOST)
        count = 0; /* meant for somebody else */
    ret->items = start_memory(calloc((size_t)count + 1, sizeof(*ret->items)));
    for (ret->count = 0; res == 0 && ret->count < (unsigned long)count; ret->count++) {
        size_t len = at != NULL ? strcspn(at, ":") : 0;
        struct inherited *item = &ret->items[ret->count];
        *item = (struct inherited){INHERIT_FIRST_FD + (int)ret->count, kind_of(at, len)};
        res = take_one(item, problem, problem_len);
        if (at != NULL)
            at += len + (at[len] == ':');
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return res;
}

int inherit_one(struct inheritance *all, enum inherit_kind kind)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->items[i].kind == kind && all->items[i].fd >= 0) {
            int fd = all->items[i].fd;
            all->items[i].fd = -1;
            return fd;
        }
    return -1;
}

int inherit_add(struct inheritance *all, int take_fd, enum inherit_kind kind)
{
    struct inherited *items = reallocarray(all->items, all->count + 1, sizeof(*all->items));
    if (items == NULL) {
        close(take_fd);
        return -ENOMEM;
    }
    all->items = items;
    all->items[all->count++] = (struct inherited){take_fd, kind};
    return 0;
}

int inherit_add_copy(struct inheritance *all, int fd, enum inherit_kind kind)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : inherit_add(all, copy, kind);
}

void inherit_close(struct inheritance *all)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->items[i].fd >= 0)
            close(all->items[i].fd);
    free(all->items);
    *all = (struct inheritance){0};
}
