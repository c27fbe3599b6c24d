/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c -- see loop.h. The thread: open, run, wind up.
 *
 * Stopping: a message from another thread -> no new connections; those waiting in the backlog are
 * still taken if graceful -> conns_stop() -> stop_timeout -> hard -> the last connection is freed,
 * container servers are told or it is left on the disk -> handles closed -> uv_run() returns ->
 * what is still in flight on the disk ends -> the disk's share is closed -> the thread ends. */
#include "server/loop.h"
#include "server/http/conn.h"
#include "server/listeners.h"
#include "server/metrics/metrics.h"
#include "server/node/log.h"
#include "server/offload.h"
#include "server/updates/update.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TELL_EVERY_MS = 10000, LOG_AGAIN_MS = 5 };

enum message {
    MESSAGE_STOP = 1,
    MESSAGE_STOP_HARD = 2,
    MESSAGE_DUMP = 4,
    MESSAGE_DRAIN = 8,
    MESSAGE_LISTEN = 16 /* look at `orders` */
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
    uv_timer_t log_timer; /* lines that syslog had no room for */
    uv_timer_t stop_timer;
    struct listeners *listeners;
    bool closing; /* the handles are being closed */
    struct conns *conns;
    time_t date_of;
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

/* ---- connections ---- */

static int take_connection(struct loop *l, int take_fd)
{
    int res = conn_open(l->own->conns, take_fd);
    if (res == 0)
        metric_add(l->metrics, METRIC_connections_opened, 1);
    return res;
}

/* ---- winding up ---- */

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
    uv_close((uv_handle_t *)&p->log_timer, NULL);
    listeners_end(p->listeners);
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
    metric_add(l->metrics, METRIC_connections_closed, 1);
    if (l->stopping && is_empty(l))
        close_handles(l);
    else
        listeners_resume(l->own->listeners);
}

/* Nobody is there any more to be answered. */
static void end_hard(struct loop *l)
{
    updates_stop(l->updates);
    df_thread_hurry(l->disk);
    conns_stop(l->own->conns, false);
}

static void on_stop_timeout(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    log_line(LOG_LEVEL_WARNING, "loop %u: %s passed, closing %u connections", l->index,
             l->draining ? "stale_worker_timeout" : "stop_timeout", l->conn_count);
    end_hard(l);
}

static void begin_stop(struct loop *l, bool take_waiting, double wait_s)
{
    if (!l->stopping)
        listeners_close(l->own->listeners, take_waiting);
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
    if (graceful)
        conns_stop(l->own->conns, true);
    else
        end_hard(l);
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

static void add_listener(struct loop *l, int take_fd)
{
    if (l->stopping) {
        close(take_fd);
        return;
    }
    int res = listeners_add(l->own->listeners, take_fd);
    if (res < 0)
        log_line(LOG_LEVEL_ERROR, "loop %u: a further port: %s", l->index, strerror(-res));
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
        listeners_drop(l->own->listeners, latest->drop_port);
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

/* The flush itself is before_block's, which comes next. */
static void on_log_again(uv_timer_t *timer)
{
    (void)timer;
}

static void on_before_block(uv_prepare_t *prepare)
{
    struct loop *l = prepare->data;
    df_thread_flush(l->disk);
    if (log_batch_flush() > 0 && !uv_is_active((uv_handle_t *)&l->own->log_timer))
        (void)uv_timer_start(&l->own->log_timer, on_log_again, LOG_AGAIN_MS, 0);
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

static int open_loop(struct loop *l)
{
    struct loop_private *p = l->own;
    int res = uv_loop_init(&l->uv);
    if (res < 0)
        return res;
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
    (void)uv_timer_init(&l->uv, &p->log_timer);
    p->wake.data = p->before_block.data = p->stop_timer.data = l;
    return listeners_open(p->listeners);
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
        if (poll(&ready, 1, TELL_EVERY_MS) == 0) /* interrupted: reap what there is, look again */
            df_thread_each_inflight(l->disk, dump_disk, l);
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
    log_batch_begin();
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    log_batch_end();
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
        listeners_free(l->own->listeners);
        pthread_mutex_destroy(&l->own->ordering);
    }
    free(l->own);
    free(l);
}

static struct loop *new_loop(void)
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
    l->own->listeners = listeners_new(l, take_connection);
    if (l->own->listeners == NULL) {
        free_loop(l);
        return NULL;
    }
    return l;
}

int loop_start(unsigned index, const struct config *config, struct df_store *store,
               const int *take_fds, unsigned fd_count, struct loop **ret_loop)
{
    struct loop *l = new_loop();
    int res = l != NULL ? 0 : -ENOMEM;
    for (unsigned i = 0; i < fd_count; i++) {
        if (res == 0)
            res = listeners_add(l->own->listeners, take_fds[i]);
        else
            close(take_fds[i]);
    }
    if (res == 0) {
        l->index = index;
        l->config = config;
        l->store = store;
        l->metrics = metrics_of(index);
        res = start_thread(l);
    }
    if (res == 0)
        *ret_loop = l;
    else if (l != NULL)
        free_loop(l);
    return res;
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
