/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c -- see loop.h. The thread: open, run, wind up.
 *
 * Stopping: a message from another thread -> no new connections; those waiting in the backlog are
 * still taken if graceful -> conns_stop() -> stop_timeout -> hard -> the last connection is freed,
 * container servers are told or it is left on the disk -> handles closed -> uv_run() returns ->
 * what is still in flight on the disk ends -> the disk's share is closed -> the thread ends. */
#include "server/loop.h"
#include "server/http/conn.h"
#include "server/metrics/metrics.h"
#include "server/node/log.h"
#include "server/offload.h"
#include "server/updates/update.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64, ACCEPT_PAUSE_MS = 100, ACCEPT_LOG_EVERY_S = 10 };

enum message {
    MESSAGE_STOP = 1,
    MESSAGE_STOP_HARD = 2,
    MESSAGE_DUMP = 4,
    MESSAGE_DRAIN = 8,
    MESSAGE_LISTEN = 16 /* look at `orders` */
};

struct listener {
    uv_poll_t poll;
    struct loop *loop;
    struct listener *next;
    int fd;
    unsigned port; /* 0: not TCP */
};

/* A change of the listeners, on its way from another thread. */
struct order {
    struct order *next;
    int take_fd;        /* listen there; or -1: */
    unsigned drop_port; /* listen there no more */
};

struct loop_private {
    pthread_t thread;
    sem_t opened;
    int open_result;
    atomic_uint messages; /* from other threads, told by `wake` */
    atomic_bool ended;
    _Atomic double drain_s;
    pthread_mutex_t ordering;
    struct order *orders; /* under `ordering`; the latest first */
    bool deaf;            /* under `ordering`: `wake` is no more */
    uv_async_t wake;
    uv_poll_t disk_ready;
    uv_prepare_t before_block;
    uv_timer_t stop_timer;
    uv_timer_t accept_timer;
    struct listener *listeners;
    bool accepting;
    bool closing; /* the handles are being closed */
    struct conns *conns;
    time_t date_of;
    time_t accept_logged;
};

const char *loop_date(struct loop *l)
{
    time_t now = time(NULL);
    if (now != l->own->date_of) {
        struct tm utc;
        l->own->date_of = now;
        (void)strftime(l->date, sizeof(l->date), "%a, %d %b %Y %H:%M:%S GMT",
                       gmtime_r(&now, &utc)); /* the locale is never set; it fits */
    }
    return l->date;
}

/* ---- accepting ---- */

static void on_connection(uv_poll_t *poll, int status, int events);

static void set_accepting(struct loop *l, bool on)
{
    struct loop_private *p = l->own;
    if (p->accepting == on)
        return;
    p->accepting = on;
    for (struct listener *each = p->listeners; each != NULL; each = each->next) {
        if (on)
            (void)uv_poll_start(&each->poll, UV_READABLE, on_connection);
        else
            (void)uv_poll_stop(&each->poll);
    }
}

static bool has_room(const struct loop *l)
{
    return !l->stopping && l->conn_count < (uint64_t)l->config->max_clients;
}

static void on_accept_pause_over(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    if (has_room(l))
        set_accepting(l, true);
}

/* No descriptor or no memory: those who wait stay in the backlog for a moment. */
static void pause_accepting(struct loop *l, int err)
{
    struct loop_private *p = l->own;
    time_t now = time(NULL);
    if (now - p->accept_logged >= ACCEPT_LOG_EVERY_S) {
        p->accept_logged = now;
        log_line(LOG_LEVEL_ERROR, "cannot accept connections for now: %s (%u open on loop %u)",
                 strerror(-err), l->conn_count, l->index);
    }
    set_accepting(l, false);
    (void)uv_timer_start(&p->accept_timer, on_accept_pause_over, ACCEPT_PAUSE_MS, 0);
}

static bool is_exhausted(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void accept_some(struct loop *l, int listen_fd, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        if (l->conn_count >= (uint64_t)l->config->max_clients) {
            set_accepting(l, false);
            return;
        }
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int res = fd >= 0 ? conn_open(l->own->conns, fd) : -errno;
        if (res == 0)
            metric_add(l->metrics, METRIC_connections_opened, 1);
        if (res < 0 && is_exhausted(-res))
            pause_accepting(l, res);
        if (res < 0 && (is_exhausted(-res) || res == -EAGAIN))
            return; /* any other error is of that one connection */
    }
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    (void)events;
    if (status == 0 && listener->loop->own->accepting)
        accept_some(listener->loop, listener->fd, ACCEPTS_PER_TURN);
}

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value)); /* a hint; not all are TCP */
}

/* Accepted sockets inherit these on Linux, which saves the calls for each. */
static int prepare_listener(int fd, const struct config *c)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)c->keep_idle);
    return listen(fd, (int)c->backlog) < 0 ? -errno : 0;
}

/* ---- winding up ---- */

static void on_listener_closed(uv_handle_t *handle)
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
        accept_some(listener->loop, listener->fd, (unsigned)listener->loop->config->backlog);
    uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
    close(listener->fd); /* now: whoever came between would be taken by nobody */
}

static void close_listeners(struct loop *l, bool take_waiting)
{
    set_accepting(l, false);
    while (l->own->listeners != NULL)
        close_listener(&l->own->listeners, take_waiting);
}

static void close_handles(struct loop *l)
{
    struct loop_private *p = l->own;
    if (p->closing)
        return;
    p->closing = true;
    conns_close(p->conns);
    updates_close(l->updates);
    offload_close(l->offload);
    uv_close((uv_handle_t *)&p->wake, NULL);
    uv_close((uv_handle_t *)&p->disk_ready, NULL);
    uv_close((uv_handle_t *)&p->before_block, NULL);
    uv_close((uv_handle_t *)&p->stop_timer, NULL);
    uv_close((uv_handle_t *)&p->accept_timer, NULL);
}

/* Clients may be gone while what they caused is still being told to container servers. */
static bool is_empty(const struct loop *l)
{
    return l->conn_count == 0 && updates_idle(l->updates);
}

static void on_updates_idle(struct loop *l)
{
    if (l->stopping && is_empty(l))
        close_handles(l);
}

static void on_conn_freed(struct loop *l)
{
    struct loop_private *p = l->own;
    metric_add(l->metrics, METRIC_connections_closed, 1);
    if (l->stopping && is_empty(l))
        close_handles(l);
    else if (has_room(l) && !uv_is_active((uv_handle_t *)&p->accept_timer))
        set_accepting(l, true);
}

static void on_stop_timeout(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    log_line(LOG_LEVEL_WARNING, "loop %u: %s passed, closing %u connections", l->index,
             l->draining ? "stale_worker_timeout" : "stop_timeout", l->conn_count);
    updates_stop(l->updates);
    conns_stop(l->own->conns, false);
}

static void begin_stop(struct loop *l, bool take_waiting, double wait_s)
{
    if (!l->stopping)
        close_listeners(l, take_waiting);
    l->stopping = true;
    (void)uv_timer_start(&l->own->stop_timer, on_stop_timeout, (uint64_t)(wait_s * 1000.0), 0);
}

static void stop(struct loop *l, bool graceful)
{
    if (l->own->closing)
        return;
    if (!l->stopping || l->draining)
        begin_stop(l, graceful, l->config->stop_timeout);
    l->draining = false;
    if (!graceful)
        updates_stop(l->updates);
    conns_stop(l->own->conns, graceful);
    if (is_empty(l))
        close_handles(l);
}

static void drain(struct loop *l)
{
    if (l->stopping)
        return;
    l->draining = true;
    begin_stop(l, true, atomic_load(&l->own->drain_s));
    if (is_empty(l))
        close_handles(l);
}

/* ---- listeners that come and go ---- */

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

static struct listener *new_listener(struct loop *l, int fd)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL)
        return NULL;
    *listener =
        (struct listener){.loop = l, .fd = fd, .port = port_of(fd), .next = l->own->listeners};
    return l->own->listeners = listener;
}

static int open_listener(struct listener *listener)
{
    struct loop *l = listener->loop;
    int res = prepare_listener(listener->fd, l->config);
    if (res == 0)
        res = uv_poll_init(&l->uv, &listener->poll, listener->fd);
    listener->poll.data = listener;
    return res;
}

static void add_listener(struct loop *l, int take_fd)
{
    struct listener *listener = l->stopping ? NULL : new_listener(l, take_fd);
    int res = listener != NULL ? open_listener(listener) : -ENOMEM;
    if (res == 0) {
        if (l->own->accepting)
            (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
        return;
    }
    if (listener != NULL) {
        l->own->listeners = listener->next;
        free(listener);
    }
    close(take_fd);
    if (!l->stopping)
        log_line(LOG_LEVEL_ERROR, "loop %u: a further port: %s", l->index, strerror(-res));
}

static void drop_listeners(struct loop *l, unsigned port)
{
    struct listener **at = &l->own->listeners;
    while (*at != NULL) {
        if ((*at)->port == port)
            close_listener(at, true);
        else
            at = &(*at)->next;
    }
}

/* In the order in which they were given. */
static void obey(struct loop *l, struct order *latest)
{
    if (latest == NULL)
        return;
    obey(l, latest->next);
    if (latest->take_fd >= 0)
        add_listener(l, latest->take_fd);
    else
        drop_listeners(l, latest->drop_port);
    free(latest);
}

static struct order *take_orders(struct loop *l)
{
    pthread_mutex_lock(&l->own->ordering);
    struct order *orders = l->own->orders;
    l->own->orders = NULL;
    pthread_mutex_unlock(&l->own->ordering);
    return orders;
}

/* ---- messages ---- */

static void dump_disk(void *arg, void *owner, const char *step, uint64_t age_ms)
{
    const struct loop *l = arg;
    log_line(LOG_LEVEL_NOTICE, "in flight: loop=%u disk=%p step=%s age_ms=%llu", l->index, owner,
             step, (unsigned long long)age_ms);
}

static void on_wake(uv_async_t *wake)
{
    struct loop *l = wake->data;
    struct loop_private *p = l->own;
    unsigned messages = atomic_exchange(&p->messages, 0);
    if (messages & MESSAGE_DUMP) {
        conns_dump(p->conns);
        updates_dump(l->updates);
        df_thread_each_inflight(l->disk, dump_disk, l);
    }
    if (messages & MESSAGE_LISTEN)
        obey(l, take_orders(l));
    if (messages & MESSAGE_DRAIN)
        drain(l);
    if (messages & (MESSAGE_STOP | MESSAGE_STOP_HARD))
        stop(l, !(messages & MESSAGE_STOP_HARD));
}

static void send_message(struct loop *l, enum message message)
{
    (void)atomic_fetch_or(&l->own->messages, (unsigned)message);
    pthread_mutex_lock(&l->own->ordering);
    if (!l->own->deaf)
        (void)uv_async_send(&l->own->wake); /* cannot fail on an open handle */
    pthread_mutex_unlock(&l->own->ordering);
}

void loop_stop(struct loop *l, bool graceful)
{
    send_message(l, graceful ? MESSAGE_STOP : MESSAGE_STOP_HARD);
}

void loop_drain(struct loop *l, double most_s)
{
    atomic_store(&l->own->drain_s, most_s);
    send_message(l, MESSAGE_DRAIN);
}

static void give_order(struct loop *l, int take_fd, unsigned drop_port)
{
    struct order *order = calloc(1, sizeof(*order));
    if (order == NULL) {
        log_line(LOG_LEVEL_ERROR, "loop %u: no memory to change its ports", l->index);
        if (take_fd >= 0)
            close(take_fd);
        return;
    }
    pthread_mutex_lock(&l->own->ordering);
    *order = (struct order){.take_fd = take_fd, .drop_port = drop_port, .next = l->own->orders};
    l->own->orders = order;
    pthread_mutex_unlock(&l->own->ordering);
    send_message(l, MESSAGE_LISTEN);
}

void loop_listen(struct loop *l, int take_fd)
{
    give_order(l, take_fd, 0);
}

void loop_unlisten(struct loop *l, unsigned port)
{
    give_order(l, -1, port);
}

void loop_dump(struct loop *l)
{
    send_message(l, MESSAGE_DUMP);
}

/* ---- the disk ---- */

static void on_disk_ready(uv_poll_t *poll, int status, int events)
{
    struct loop *l = poll->data;
    (void)status;
    (void)events;
    df_thread_reap(l->disk);
}

static void on_before_block(uv_prepare_t *prepare)
{
    struct loop *l = prepare->data;
    df_thread_flush(l->disk);
}

/* ---- the thread ---- */

static int open_disk(struct loop *l)
{
    int res = df_thread_open(l->store, &l->disk);
    if (res < 0)
        return res;
    res = uv_poll_init(&l->uv, &l->own->disk_ready, df_thread_fd(l->disk));
    if (res < 0) {
        df_thread_close(l->disk);
        return res;
    }
    l->own->disk_ready.data = l;
    return uv_poll_start(&l->own->disk_ready, UV_READABLE, on_disk_ready);
}

static int open_listeners(struct loop *l)
{
    int res = 0;
    for (struct listener *each = l->own->listeners; res == 0 && each != NULL; each = each->next)
        res = open_listener(each);
    return res;
}

static int open_loop(struct loop *l)
{
    struct loop_private *p = l->own;
    int res = uv_loop_init(&l->uv);
    if (res < 0)
        return res;
    res = open_listeners(l);
    if (res == 0)
        res = open_disk(l);
    if (res < 0)
        return res;
    res = updates_open(l, on_updates_idle, &l->updates);
    if (res < 0)
        return res;
    p->conns = conns_new(l, on_conn_freed);
    l->offload = offload_new(&l->uv);
    if (p->conns == NULL || l->offload == NULL)
        return -ENOMEM;
    (void)uv_async_init(&l->uv, &p->wake, on_wake); /* its pipe is the loop's already */
    (void)uv_prepare_init(&l->uv, &p->before_block);
    (void)uv_prepare_start(&p->before_block, on_before_block);
    (void)uv_timer_init(&l->uv, &p->stop_timer);
    (void)uv_timer_init(&l->uv, &p->accept_timer);
    p->wake.data = p->before_block.data = p->stop_timer.data = p->accept_timer.data = l;
    set_accepting(l, true);
    return 0;
}

static void count_operation(void *arg, void *owner, const char *step, uint64_t age_ms)
{
    (void)owner, (void)step, (void)age_ms;
    ++*(unsigned *)arg;
}

/* Objects are closed without anybody waiting for it: the last connection may be gone before. */
static void finish_disk(struct loop *l)
{
    for (;;) {
        unsigned left = 0;
        df_thread_flush(l->disk);
        df_thread_each_inflight(l->disk, count_operation, &left);
        if (left == 0)
            return;
        struct pollfd ready = {.fd = df_thread_fd(l->disk), .events = POLLIN};
        (void)poll(&ready, 1, -1); /* interrupted or not: reap what there is, look again */
        df_thread_reap(l->disk);
    }
}

static void *run(void *arg)
{
    struct loop *l = arg;
    int res = l->own->open_result = open_loop(l);
    sem_post(&l->own->opened);
    if (res < 0)
        return NULL; /* the program ends: nothing here is worth undoing */
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    pthread_mutex_lock(&l->own->ordering);
    l->own->deaf = true;
    pthread_mutex_unlock(&l->own->ordering);
    finish_disk(l);
    df_thread_close(l->disk);
    (void)uv_loop_close(&l->uv);
    atomic_store(&l->own->ended, true);
    (void)kill(getpid(), SIGCHLD); /* main looks after those that ended */
    return NULL;
}

static int start_thread(struct loop *l)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are main's; a blocked SIGPIPE becomes EPIPE */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int res = -pthread_create(&l->own->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (res < 0)
        return res;
    while (sem_wait(&l->own->opened) != 0)
        ;
    if (l->own->open_result < 0)
        pthread_join(l->own->thread, NULL);
    return l->own->open_result;
}

static void free_loop(struct loop *l)
{
    if (l->own != NULL) {
        sem_destroy(&l->own->opened);
        if (l->own->conns != NULL)
            conns_free(l->own->conns);
        updates_free(l->updates);
        for (struct order *next, *each = l->own->orders; each != NULL; each = next) {
            next = each->next;
            if (each->take_fd >= 0)
                close(each->take_fd);
            free(each);
        }
        for (struct listener *next, *each = l->own->listeners; each != NULL; each = next) {
            next = each->next;
            free(each);
        }
        pthread_mutex_destroy(&l->own->ordering);
    }
    free(l->own);
    free(l);
}

static struct loop *new_loop(const int *fds, unsigned fd_count)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->own = calloc(1, sizeof(*l->own));
    if (l->own == NULL) {
        free(l);
        return NULL;
    }
    (void)sem_init(&l->own->opened, 0, 0);
    pthread_mutex_init(&l->own->ordering, NULL);
    for (unsigned i = 0; i < fd_count; i++)
        if (new_listener(l, fds[i]) == NULL) {
            free_loop(l);
            return NULL;
        }
    return l;
}

int loop_start(unsigned index, const struct config *config, struct df_store *store,
               const int *take_fds, unsigned fd_count, struct loop **ret_loop)
{
    struct loop *l = new_loop(take_fds, fd_count);
    int res = -ENOMEM;
    if (l != NULL) {
        l->index = index;
        l->config = config;
        l->store = store;
        l->metrics = metrics_of(index);
        res = start_thread(l);
    }
    if (res < 0) {
        for (unsigned i = 0; i < fd_count; i++)
            close(take_fds[i]);
        if (l != NULL)
            free_loop(l);
        return res;
    }
    *ret_loop = l;
    return 0;
}

bool loop_ended(const struct loop *l)
{
    return atomic_load(&l->own->ended);
}

void loop_join(struct loop *l)
{
    pthread_join(l->own->thread, NULL);
    free_loop(l);
}
