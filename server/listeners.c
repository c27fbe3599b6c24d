/* SPDX-License-Identifier: Apache-2.0 */
/* listeners.c -- see listeners.h. */
#include "server/listeners.h"
#include "server/loop.h"
#include "server/node/log.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64, PAUSE_MS = 100, LOG_EVERY_S = 10 };

struct listener {
    uv_poll_t poll;
    struct listeners *all;
    struct listener *next;
    int fd;
    unsigned port; /* 0: not TCP */
};

struct listeners {
    struct loop *loop;
    int (*take)(struct loop *l, int take_fd);
    struct listener *first;
    bool open;
    bool accepting;
    uv_timer_t pause;
    time_t logged;
};

/* ---- accepting ---- */

static void on_connection(uv_poll_t *poll, int status, int events);

static void set_accepting(struct listeners *ls, bool on)
{
    if (ls->accepting == on)
        return;
    ls->accepting = on;
    for (struct listener *each = ls->first; each != NULL; each = each->next) {
        if (on)
            (void)uv_poll_start(&each->poll, UV_READABLE, on_connection);
        else
            (void)uv_poll_stop(&each->poll);
    }
}

static bool has_room(const struct listeners *ls)
{
    return ls->loop->conn_count < (uint64_t)ls->loop->config->max_clients;
}

void listeners_resume(struct listeners *ls)
{
    if (!ls->loop->stopping && has_room(ls) && !uv_is_active((uv_handle_t *)&ls->pause))
        set_accepting(ls, true);
}

static void on_pause_over(uv_timer_t *timer)
{
    listeners_resume(timer->data);
}

/* No descriptor or no memory: those who wait stay in the backlog for a moment. */
static void pause_accepting(struct listeners *ls, int err)
{
    time_t now = time(NULL);
    if (now - ls->logged >= LOG_EVERY_S) {
        ls->logged = now;
        log_line(LOG_LEVEL_ERROR, "cannot accept connections for now: %s (%u open on loop %u)",
                 strerror(-err), ls->loop->conn_count, ls->loop->index);
    }
    set_accepting(ls, false);
    (void)uv_timer_start(&ls->pause, on_pause_over, PAUSE_MS, 0);
}

static bool is_exhausted(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void accept_some(struct listener *listener, unsigned most)
{
    struct listeners *ls = listener->all;
    for (unsigned i = 0; i < most; i++) {
        if (!has_room(ls)) {
            set_accepting(ls, false);
            return;
        }
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int res = fd >= 0 ? ls->take(ls->loop, fd) : -errno;
        if (res < 0 && is_exhausted(-res))
            pause_accepting(ls, res);
        if (res < 0 && (is_exhausted(-res) || res == -EAGAIN))
            return; /* any other error is of that one connection */
    }
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    (void)events;
    if (status == 0 && listener->all->accepting)
        accept_some(listener, ACCEPTS_PER_TURN);
}

/* ---- opening ---- */

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value)); /* a hint; not all are TCP */
}

/* Accepted sockets inherit these on Linux, which saves the calls for each. */
static int prepare(int fd, const struct config *c)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)c->keep_idle);
    return listen(fd, (int)c->backlog) < 0 ? -errno : 0;
}

static unsigned port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } at = {0};
    socklen_t len = sizeof(at);
    if (getsockname(fd, &at.any, &len) < 0)
        return 0;
    return at.any.sa_family == AF_INET    ? ntohs(at.v4.sin_port)
           : at.any.sa_family == AF_INET6 ? ntohs(at.v6.sin6_port)
                                          : 0;
}

static int open_listener(struct listener *listener)
{
    struct listeners *ls = listener->all;
    int res = prepare(listener->fd, ls->loop->config);
    if (res == 0)
        res = uv_poll_init(&ls->loop->uv, &listener->poll, listener->fd);
    listener->poll.data = listener;
    if (res == 0 && ls->accepting)
        (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    return res;
}

int listeners_add(struct listeners *ls, int take_fd)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    int res = listener != NULL ? 0 : -ENOMEM;
    if (res == 0) {
        *listener = (struct listener){.all = ls, .fd = take_fd, .port = port_of(take_fd)};
        res = ls->open ? open_listener(listener) : 0;
    }
    if (res < 0) {
        free(listener);
        close(take_fd);
        return res;
    }
    listener->next = ls->first;
    ls->first = listener;
    return 0;
}

int listeners_open(struct listeners *ls)
{
    int res = 0;
    for (struct listener *each = ls->first; res == 0 && each != NULL; each = each->next)
        res = open_listener(each);
    if (res < 0)
        return res;
    (void)uv_timer_init(&ls->loop->uv, &ls->pause);
    ls->pause.data = ls;
    ls->open = true;
    set_accepting(ls, true);
    return 0;
}

struct listeners *listeners_new(struct loop *l, int (*take)(struct loop *l, int take_fd))
{
    struct listeners *ls = calloc(1, sizeof(*ls));
    if (ls != NULL)
        *ls = (struct listeners){.loop = l, .take = take};
    return ls;
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* `*at`: out of the list. */
static void close_listener(struct listener **at, bool take_waiting)
{
    struct listener *listener = *at;
    *at = listener->next;
    (void)uv_poll_stop(&listener->poll);
    if (take_waiting)
        accept_some(listener, (unsigned)listener->all->loop->config->backlog);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->fd); /* now: whoever came between would be taken by nobody */
}

void listeners_close(struct listeners *ls, bool take_waiting)
{
    set_accepting(ls, false);
    while (ls->first != NULL)
        close_listener(&ls->first, take_waiting);
}

void listeners_drop(struct listeners *ls, unsigned port)
{
    struct listener **at = &ls->first;
    while (*at != NULL) {
        if ((*at)->port == port)
            close_listener(at, true);
        else
            at = &(*at)->next;
    }
}

void listeners_end(struct listeners *ls)
{
    uv_close((uv_handle_t *)&ls->pause, NULL);
}

void listeners_free(struct listeners *ls)
{
    for (struct listener *next, *each = ls != NULL ? ls->first : NULL; each != NULL; each = next) {
        next = each->next;
        close(each->fd);
        free(each);
    }
    free(ls);
}
