/* SPDX-License-Identifier: Apache-2.0 */
/* oversee.c -- the main thread while the server runs: signals, reloads, rings, the end.
 *
 * A reload (SIGUSR1) starts the program anew as a child, which takes over the listening sockets and
 * the locks; when it is ready, whoever served before drains: every request is answered, nobody is
 * refused. The process that was started first keeps its process id, which is what swift-init,
 * systemd and swift-reload know, and stays as the parent even when its own loops are gone:
 *
 *   first            serves ------------- drains --- (parent only) ------------------------
 *   1st reload            `-- starts -- serves -------------------- drains -- ends
 *   2nd reload                                    `-- starts -- serves -----------------
 *
 * O1  One process serves new connections, except that from its start to the READY of a successor
 * two do. O2  A reload that fails changes nothing: the server before goes on. O3  The estate
 * (sockets, locks) is asked of the one that serves at each reload; the parent keeps none of it, so
 * it holds no mount and no backlog. O4  Successors die with the parent. */
#include "server/control.h"
#include "server/node/log.h"
#include "server/node/notify.h"
#include "server/ring_watch.h"
#include "server/server.h"
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOCKS_MOST = 256, STOP_TELL_EVERY_MS = 10000 };

enum child_state { CHILD_STARTING, CHILD_SERVING, CHILD_STALE };

struct child {
    struct child *next;
    pid_t pid;
    int control; /* -1: it has closed its end */
    enum child_state state;
};

enum reload { RELOAD_NONE, RELOAD_ASKED /* for the estate */, RELOAD_STARTED };

struct overseer {
    struct server *s;
    struct child *children;
    int signals;
    bool serving;  /* our own loops take connections */
    bool over;     /* our own loops are gone */
    bool stopping; /* all of it */
    bool frozen;   /* our listeners were given to somebody who is not ready yet */
    enum reload reload;
    bool again; /* another reload was wanted meanwhile */
    struct inheritance estate;
    uint64_t rings_due_ms;
    uint64_t stop_began_ms, stop_tell_ms, stop_end_ms;
    bool given_up; /* at stop_end_ms our own loops were not gone */
    int status;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void oversee_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
    sigaddset(ret, SIGUSR1);
    sigaddset(ret, SIGUSR2);
    sigaddset(ret, SIGCHLD);
}

static bool is_successor(const struct overseer *o)
{
    return o->s->control >= 0;
}

static void tell(enum notify_state state)
{
    int res = notify_send(state);
    if (res < 0)
        log_line(LOG_LEVEL_WARNING, "NOTIFY_SOCKET: %s", strerror(-res));
}

static struct child *child_in(const struct overseer *o, enum child_state state)
{
    struct child *c = o->children;
    while (c != NULL && c->state != state)
        c = c->next;
    return c;
}

/* ---- our own loops ---- */

static void drain(struct overseer *o)
{
    struct server *s = o->s;
    if (!o->serving)
        return;
    o->serving = false;
    listen_close(&s->listeners);
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_drain(s->loops[i], s->config->stale_worker_timeout);
}

static void stop_loops(struct overseer *o, bool graceful)
{
    o->serving = false;
    listen_close(&o->s->listeners);
    for (unsigned i = 0; i < o->s->loop_count; i++)
        loop_stop(o->s->loops[i], graceful);
}

void server_end(struct server *s)
{
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_join(s->loops[i]);
    s->loop_count = 0;
    df_store_close(s->store);
    s->store = NULL;
}

static unsigned busy_loops(const struct server *s)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < s->loop_count; i++)
        busy += loop_ended(s->loops[i]) ? 0 : 1;
    return busy;
}

static void look_after_loops(struct overseer *o)
{
    if (o->over || busy_loops(o->s) > 0)
        return;
    server_end(o->s);
    o->over = true;
    (void)malloc_trim(0);
    if (!o->stopping)
        log_line(LOG_LEVEL_NOTICE, "the old server has answered its last request");
}

/* ---- the estate ---- */

static int collect(const struct server *s, struct inheritance *ret)
{
    int locks[LOCKS_MOST], res = 0;
    unsigned count = df_store_locks(s->store, locks, LOCKS_MOST);
    for (unsigned i = 0; i < count; i++) {
        int one = inherit_add(ret, locks[i], INHERIT_LOCK);
        res = one < 0 ? one : res;
    }
    for (unsigned i = 0; i < s->listeners.count; i++)
        for (unsigned k = 0; res == 0 && k < s->listeners.ports[i].count; k++)
            res = inherit_add_copy(ret, s->listeners.ports[i].fds[k], s->listeners.ports[i].kind);
    return res;
}

/* ---- reload: the parent ---- */

static void begin_reload(struct overseer *o);

static void end_reload(struct overseer *o)
{
    bool again = o->again && !o->stopping;
    o->reload = RELOAD_NONE;
    o->frozen = o->again = false;
    inherit_close(&o->estate);
    if (!o->stopping)
        tell(NOTIFY_READY);
    if (again)
        begin_reload(o);
}

/* O2 */
static void fail_reload(struct overseer *o, const char *why)
{
    struct child *c = child_in(o, CHILD_SERVING);
    log_line(LOG_LEVEL_ERROR, "reload failed, the server goes on as before: %s", why);
    if (c != NULL && c->control >= 0)
        (void)control_send(c->control, CONTROL_GO_ON, NULL, -1, 0); /* else its end is noticed */
    end_reload(o);
}

static int start_child(struct overseer *o, struct child *c)
{
    int ends[2];
    int res = control_pair(ends);
    if (res < 0)
        return res;
    res = inherit_add(&o->estate, ends[1], INHERIT_CONTROL);
    if (res == 0)
        res = successor_start(&o->s->program, &o->estate, &c->pid);
    if (res < 0)
        close(ends[0]);
    else
        c->control = ends[0];
    inherit_close(&o->estate);
    return res;
}

static void start_successor(struct overseer *o)
{
    struct child *c = calloc(1, sizeof(*c));
    int res = c != NULL ? start_child(o, c) : -ENOMEM;
    if (res < 0) {
        free(c);
        fail_reload(o, strerror(-res));
        return;
    }
    c->next = o->children;
    o->children = c;
    o->reload = RELOAD_STARTED;
    log_line(LOG_LEVEL_INFO, "reload: started %s as process %d", o->s->program.path, (int)c->pid);
}

static void begin_reload(struct overseer *o)
{
    struct child *c = child_in(o, CHILD_SERVING);
    if (o->reload != RELOAD_NONE) {
        o->again = true;
        return;
    }
    log_line(LOG_LEVEL_NOTICE, "SIGUSR1 received: reloading");
    tell(NOTIFY_RELOADING);
    o->frozen = true;
    o->reload = RELOAD_ASKED;
    int res = c == NULL ? collect(o->s, &o->estate)
                        : control_send(c->control, CONTROL_ESTATE, NULL, -1, 0);
    if (res < 0)
        fail_reload(o, strerror(-res));
    else if (c == NULL)
        start_successor(o);
}

static void hand_over(struct overseer *o, struct child *to)
{
    struct child *before = child_in(o, CHILD_SERVING);
    if (before != NULL) {
        before->state = CHILD_STALE;
        (void)control_send(before->control, CONTROL_FINISH, NULL, -1, 0); /* or it has ended */
    }
    drain(o);
    to->state = CHILD_SERVING;
    log_line(LOG_LEVEL_NOTICE, "reloaded: process %d serves", (int)to->pid);
    end_reload(o);
}

static void take_message(struct overseer *o, struct child *c, const struct control_message *m)
{
    if (m->word == CONTROL_READY && c->state == CHILD_STARTING) {
        hand_over(o, c);
    } else if (m->word == CONTROL_FAILED) {
        log_line(LOG_LEVEL_ERROR, "the new server does not start: %s", m->text);
    } else if (m->word == CONTROL_ITEM && o->reload == RELOAD_ASKED && m->fd >= 0) {
        int res = inherit_add_copy(&o->estate, m->fd, m->kind);
        if (res < 0)
            fail_reload(o, strerror(-res));
    } else if (m->word == CONTROL_ESTATE && o->reload == RELOAD_ASKED) {
        start_successor(o);
    }
    if (m->fd >= 0)
        close(m->fd);
}

static void hear_child(struct overseer *o, struct child *c)
{
    struct control_message m;
    int res;
    while (c->control >= 0 && (res = control_receive(c->control, &m)) != -EAGAIN) {
        if (res == 1) {
            take_message(o, c, &m);
        } else {
            close(c->control); /* its end follows */
            c->control = -1;
        }
    }
}

/* ---- reload: the successor ---- */

static int send_estate(struct overseer *o)
{
    struct inheritance estate = {0};
    int res = collect(o->s, &estate);
    for (unsigned i = 0; res == 0 && i < estate.count; i++)
        res = control_send(o->s->control, CONTROL_ITEM, NULL, estate.items[i].fd,
                           estate.items[i].kind);
    inherit_close(&estate);
    return res < 0 ? res : control_send(o->s->control, CONTROL_ESTATE, NULL, -1, 0);
}

static void stop(struct overseer *o, int number, bool graceful);

static void obey_parent(struct overseer *o, const struct control_message *m)
{
    if (m->word == CONTROL_FINISH) {
        drain(o);
    } else if (m->word == CONTROL_GO_ON) {
        o->frozen = false;
    } else if (m->word == CONTROL_ESTATE) {
        int res = send_estate(o);
        o->frozen = res == 0;
        if (res < 0)
            log_line(LOG_LEVEL_ERROR, "reload: %s", strerror(-res));
    }
}

static void hear_parent(struct overseer *o)
{
    struct control_message m;
    int res = control_receive(o->s->control, &m);
    if (res == 1) {
        obey_parent(o, &m);
        if (m.fd >= 0)
            close(m.fd);
    } else if (res != -EAGAIN) {
        close(o->s->control);
        o->s->control = -1;
        stop(o, SIGTERM, false); /* O4 */
    }
}

/* ---- children that end ---- */

static void child_ended(struct overseer *o, const struct child *c, int status)
{
    char how[64];
    if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "process %d ended by SIG%s", (int)c->pid,
                 sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(how, sizeof(how), "process %d ended with status %d", (int)c->pid,
                 WEXITSTATUS(status));
    if (o->stopping)
        return;
    if (c->state == CHILD_STARTING) {
        fail_reload(o, how);
    } else if (c->state == CHILD_SERVING) {
        log_line(LOG_LEVEL_ERROR, "the serving %s", how);
        o->status = 1;
        stop(o, SIGTERM, false);
    } else if (status != 0) {
        log_line(LOG_LEVEL_WARNING, "the old %s", how);
    }
}

static void reap(struct overseer *o)
{
    for (struct child **at = &o->children; *at != NULL;) {
        struct child *c = *at;
        int status;
        if (waitpid(c->pid, &status, WNOHANG) != c->pid) {
            at = &c->next;
            continue;
        }
        hear_child(o, c);
        for (at = &o->children; *at != c; at = &(*at)->next) /* a reload may have added one */
            ;
        *at = c->next;
        if (c->control >= 0)
            close(c->control);
        child_ended(o, c, status);
        free(c);
        at = &o->children;
    }
}

/* ---- signals ---- */

/* A second signal while requests are finished ends the process: what was acknowledged is on disk,
 * whatever happens. */
static _Noreturn void end_now(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    _exit(1);
}

/* What may be waited for is stop_timeout's affair; what cannot be hurried, a disk's, has
 * stop_disk_timeout on top of it. */
static void set_stop_times(struct overseer *o, bool graceful)
{
    const struct config *c = o->s->config;
    double wait_s = c->stop_disk_timeout + (graceful ? c->stop_timeout : 0);
    uint64_t now = now_ms(), end = now + (uint64_t)(wait_s * 1000.0);
    if (!o->stopping) {
        o->stop_began_ms = now;
        o->stop_tell_ms = now + STOP_TELL_EVERY_MS;
    }
    if (!o->stopping || end < o->stop_end_ms)
        o->stop_end_ms = end;
}

static void stop(struct overseer *o, int number, bool graceful)
{
    if (!o->stopping && !is_successor(o))
        tell(NOTIFY_STOPPING);
    set_stop_times(o, graceful);
    o->stopping = true;
    for (struct child *c = o->children; c != NULL; c = c->next)
        (void)kill(c->pid, number); /* not reaped yet, so it is ours */
    if (!o->over)
        stop_loops(o, graceful);
}

static void dump(struct overseer *o)
{
    log_line(LOG_LEVEL_INFO, "requests in flight (log lines dropped so far: %llu):",
             (unsigned long long)log_dropped());
    for (unsigned i = 0; i < o->s->loop_count; i++)
        loop_dump(o->s->loops[i]);
    for (struct child *c = o->children; c != NULL; c = c->next)
        (void)kill(c->pid, SIGUSR2);
}

/* Swift's TERM waits for nothing; alone, a stop loses no request. */
static void take_signal(struct overseer *o, int number)
{
    bool ends = number == SIGTERM || number == SIGINT;
    if (number == SIGUSR2) {
        dump(o);
    } else if (number == SIGUSR1 && is_successor(o)) {
        log_line(LOG_LEVEL_WARNING, "SIGUSR1: send it to process %d, which reloads",
                 (int)getppid());
    } else if (number == SIGUSR1 && !o->stopping) {
        begin_reload(o);
    } else if (ends && o->stopping) {
        end_now(number);
    } else if (ends || number == SIGHUP) {
        log_line(LOG_LEVEL_NOTICE, "SIG%s received: stopping", sigabbrev_np(number));
        stop(o, number, number == SIGHUP || o->s->config->standalone);
    }
}

static void take_signals(struct overseer *o)
{
    struct signalfd_siginfo info;
    while (read(o->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            take_signal(o, (int)info.ssi_signo);
    reap(o);
    look_after_loops(o);
}

/* ---- what is due ---- */

/* Checks the rings if it is time; how long until the next. -1: never. */
static int rings_timeout(struct overseer *o)
{
    if (o->s->rings == NULL || !o->serving || o->frozen || o->stopping)
        return -1;
    uint64_t now = now_ms();
    if (now >= o->rings_due_ms) {
        if (o->rings_due_ms > 0)
            ring_watch_check(o->s);
        o->rings_due_ms = now + (uint64_t)(o->s->config->ring_check_interval * 1000.0);
    }
    return (int)(o->rings_due_ms - now);
}

/* What keeps the end from coming. */
static void tell_waiting(const struct overseer *o, uint64_t now)
{
    unsigned busy = busy_loops(o->s), seconds = (unsigned)((now - o->stop_began_ms) / 1000);
    if (!o->over)
        log_line(LOG_LEVEL_WARNING,
                 "stopping for %u s: %u of %u workers wait for what is in flight, at most %u s "
                 "more; a SIGTERM ends at once",
                 seconds, busy, o->s->loop_count,
                 now < o->stop_end_ms ? (unsigned)((o->stop_end_ms - now) / 1000) : 0);
    for (unsigned i = 0; i < o->s->loop_count; i++)
        loop_dump(o->s->loops[i]);
    for (const struct child *c = o->children; c != NULL; c = c->next)
        log_line(LOG_LEVEL_WARNING, "stopping for %u s: process %d has not ended", seconds,
                 (int)c->pid);
}

/* A stop that takes long says why; one that waits for a disk is given up in the end. How long until
 * the next look, -1: for ever. */
static int stopping_timeout(struct overseer *o)
{
    uint64_t now = now_ms(), next = o->stop_tell_ms;
    if (!o->stopping)
        return -1;
    if (now >= o->stop_tell_ms) {
        tell_waiting(o, now);
        next = o->stop_tell_ms = now + STOP_TELL_EVERY_MS;
    }
    if (!o->over && !o->given_up) {
        o->given_up = now >= o->stop_end_ms;
        next = o->stop_end_ms < next ? o->stop_end_ms : next;
    }
    return next > now ? (int)(next - now) : 0;
}

static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* ---- the whole ---- */

static void wait_and_act(struct overseer *o)
{
    enum { FIXED = 2, CHILDREN_MOST = 64 }; /* who has more waits for the next turn */
    struct pollfd polls[FIXED + CHILDREN_MOST] = {
        {.fd = o->signals, .events = POLLIN},
        {.fd = o->s->control, .events = POLLIN},
    };
    struct child *of[CHILDREN_MOST];
    unsigned count = 0;
    for (struct child *c = o->children; c != NULL && count < CHILDREN_MOST; c = c->next) {
        of[count] = c;
        polls[FIXED + count++] = (struct pollfd){.fd = c->control, .events = POLLIN};
    }
    if (poll(polls, FIXED + count, sooner(rings_timeout(o), stopping_timeout(o))) <= 0)
        return;
    for (unsigned i = 0; i < count; i++)
        if (polls[FIXED + i].revents != 0)
            hear_child(o, of[i]);
    if (polls[1].revents != 0)
        hear_parent(o);
    if (polls[0].revents != 0)
        take_signals(o);
}

int oversee(struct server *s)
{
    struct overseer o = {.s = s, .serving = true};
    sigset_t set;
    oversee_signals(&set);
    o.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (o.signals < 0) {
        log_line(LOG_LEVEL_ERROR, "signalfd: %s", strerror(errno));
        o.status = 1;
        stop(&o, SIGTERM, false);
        server_end(s);
        return o.status;
    }
    while ((!o.over && !o.given_up) || o.children != NULL)
        wait_and_act(&o);
    close(o.signals);
    if (!o.over) {
        log_line(LOG_LEVEL_ERROR,
                 "stop_disk_timeout passed: ending while %u of %u workers wait for a disk",
                 busy_loops(s), s->loop_count);
        s->abandoned = true;
        return 1;
    }
    log_line(LOG_LEVEL_NOTICE, "stopped");
    return o.status;
}
