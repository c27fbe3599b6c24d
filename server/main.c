/* SPDX-License-Identifier: Apache-2.0 */
/* main.c -- boot order, and what signals do. Nothing else.
 *
 *   options -> configuration -> log -> sockets -> limits, session, user -> store -> loops
 *   -> ready -> wait for a signal -> stop -> close in the opposite order
 *
 * Sockets are bound while the process may still be root; it is not any more when the first
 * ring or thread exists. Whatever goes wrong at start is one line on stderr. */
#include "diskfile/diskfile.h"
#include "server/loop.h"
#include "server/metrics/metrics.h"
#include "server/metrics/statsd.h"
#include "server/node/config.h"
#include "server/node/listen.h"
#include "server/node/log.h"
#include "server/node/process.h"
#include "server/verbs/ratelimit.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROBLEM_MAX 2048

enum { EXIT_START = 1, EXIT_USAGE = 2 };

struct arguments {
    const char *file;
    const char *swift_conf;
    bool test_config;
    bool verbose;
};

struct server {
    struct config *config;
    struct df_store *store;
    struct loop **loops;
    unsigned loop_count;
    int *fds;
    unsigned fd_count; /* still ours to close */
    char address[128];
    char problem[PROBLEM_MAX];
};

/* ---- arguments ---- */

static _Noreturn void usage_error(const char *what)
{
    fprintf(stderr, "objsrv: %s; objsrv --help tells more\n", what);
    exit(EXIT_USAGE);
}

/* Swift's own starter passes "verbose" and "once" as plain words. */
static void take_word(struct arguments *a, const char *word)
{
    if (a->file == NULL)
        a->file = word;
    else if (strcmp(word, "verbose") == 0)
        a->verbose = true;
    else if (strcmp(word, "once") != 0)
        usage_error("one configuration file, not more");
}

static void read_arguments(int argc, char **argv, struct arguments *a)
{
    enum { SWIFT_CONF = 256, TEST_CONFIG, SAMPLE_CONFIG, FOREGROUND };
    static const struct option longs[] = {{"swift-conf", required_argument, NULL, SWIFT_CONF},
                                          {"test-config", no_argument, NULL, TEST_CONFIG},
                                          {"sample-config", no_argument, NULL, SAMPLE_CONFIG},
                                          {"foreground", no_argument, NULL, FOREGROUND},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "vhV", longs, NULL)) != -1) {
        switch (c) {
        case SWIFT_CONF:
            a->swift_conf = optarg;
            break;
        case TEST_CONFIG:
            a->test_config = true;
            break;
        case FOREGROUND: /* it always is */
            break;
        case 'v':
            a->verbose = true;
            break;
        case SAMPLE_CONFIG:
            config_print_sample();
            exit(0);
        case 'h':
            config_print_help();
            exit(0);
        case 'V':
            puts("objsrv " OBJSRV_VERSION);
            exit(0);
        default:
            exit(EXIT_USAGE); /* getopt has said why */
        }
    }
    while (optind < argc)
        take_word(a, argv[optind++]);
    if (a->file == NULL)
        usage_error("no configuration file given");
}

static int test_config(const struct config *c)
{
    for (unsigned i = 0; i < c->unknown.count; i++)
        printf("%s: %s: no such option; it has no effect\n", c->file, c->unknown.items[i]);
    printf("%s: ok\n", c->file);
    return 0;
}

/* ---- the steps of the start: 0, or -errno and s->problem ---- */

static int step_failed(struct server *s, const char *what, int res)
{
    if (res < 0)
        snprintf(s->problem, sizeof(s->problem), "%s: %s", what, strerror(-res));
    return res;
}

static int open_log(struct server *s)
{
    int res = log_open(s->config);
    if (res < 0)
        snprintf(s->problem, sizeof(s->problem), "%s: [DEFAULT] log_address, log_udp_host: %s",
                 s->config->file, strerror(-res));
    return res;
}

/* A statsd that cannot be found is no reason not to serve. */
static int open_numbers(struct server *s)
{
    const struct config *c = s->config;
    int res = statsd_open(c);
    if (res < 0)
        log_line(LOG_LEVEL_WARNING, "log_statsd_host = %s: %s: nothing is sent to statsd",
                 c->log_statsd_host, strerror(-res));
    return c->ratelimit ? ratelimit_open(c, s->problem, sizeof(s->problem)) : 0;
}

static int open_sockets(struct server *s)
{
    unsigned count = s->config->worker_count;
    s->fds = calloc(count, sizeof(*s->fds));
    if (s->fds == NULL)
        return step_failed(s, "sockets", -ENOMEM);
    int res = listen_open(s->config, count, s->fds, s->address, sizeof(s->address), s->problem,
                          sizeof(s->problem));
    s->fd_count = res == 0 ? count : 0;
    return res;
}

/* Swift's workers change to `user`; with workers = 0 there are none, and nobody does. */
static const char *user_to_become(const struct config *c)
{
    if (geteuid() != 0)
        return NULL;
    if (c->standalone || c->user[0] != '\0')
        return c->user[0] != '\0' ? c->user : NULL;
    return strcmp(c->workers, "0") == 0 ? NULL : "swift";
}

static int drop_privileges(struct server *s)
{
    const char *user = user_to_become(s->config);
    if (user == NULL)
        return 0;
    int res = process_become(user);
    if (res == -ENOENT && s->config->user[0] == '\0') {
        log_line(LOG_LEVEL_WARNING, "no user swift here: running as root");
        return 0;
    }
    if (res < 0)
        snprintf(s->problem, sizeof(s->problem), "%s: [DEFAULT] user = %s: %s", s->config->file,
                 user, res == -ENOENT ? "expected a user of this machine" : strerror(-res));
    return res;
}

static int set_up_process(struct server *s)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) < 0)
        return step_failed(s, "SIGPIPE", -errno);
    int res = step_failed(s, "RLIMIT_NOFILE", process_raise_nofile());
    if (res == 0)
        res = step_failed(s, "chdir /",
                          process_detach(!s->config->standalone && !isatty(STDERR_FILENO)));
    return res == 0 ? drop_privileges(s) : res;
}

static void on_event(void *arg, enum df_event_kind kind, const char *text)
{
    if (kind == DF_EVENT_QUARANTINE)
        metric_shared_add(METRIC_quarantines);
    log_line(kind == DF_EVENT_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s", text);
}

static void store_options(const struct config *c, const struct df_policy *policies,
                          struct df_options *o)
{
    bool uring = strcasecmp(c->io_engine, "uring") == 0;
    bool threads = strcasecmp(c->io_engine, "threads") == 0;
    bool unlink_first = strcasecmp(c->on_existing, "unlink") == 0;
    *o = (struct df_options){
        .devices = c->standalone ? NULL : c->devices,
        .data_dirs = (const char *const *)c->data_dirs.items,
        .data_dir_count = c->data_dirs.count,
        .mount_check = c->mount_check,
        .policies = policies,
        .policy_count = c->policy_count,
        .hash_key = {.prefix = c->hash_prefix, .suffix = c->hash_suffix},
        .reclaim_age_s = (uint64_t)c->reclaim_age,
        .commit_window_s = (uint64_t)c->commit_window,
        .fallocate = !c->disable_fallocate,
        .reserve_bytes = c->disable_fallocate ? 0 : c->reserve_bytes,
        .reserve_percent = c->disable_fallocate ? 0 : c->reserve_percent,
        .bytes_per_sync = (uint64_t)c->mb_per_sync << 20,
        .hot_bytes_per_thread = (size_t)c->hot_cache_size / c->worker_count,
        .keep_cache_bytes = (uint64_t)c->keep_cache_size,
        .lock_timeout_ms = 10000,
        .on_existing = unlink_first ? DF_EXISTING_UNLINK : DF_EXISTING_RENAME,
        .engine = uring     ? DF_ENGINE_URING
                  : threads ? DF_ENGINE_THREADS
                            : DF_ENGINE_AUTO,
        .threads_per_device = (unsigned)c->threads_per_device,
        .requests_per_device = (unsigned)c->requests_per_device,
        .ring_ops_per_device = (unsigned)c->ring_ops_per_device,
        .event = on_event,
    };
}

static int open_store(struct server *s)
{
    const struct config *c = s->config;
    struct df_policy *policies = calloc(c->policy_count, sizeof(*policies));
    if (policies == NULL)
        return step_failed(s, "policies", -ENOMEM);
    for (unsigned i = 0; i < c->policy_count; i++)
        policies[i] = c->policies[i].df;
    struct df_options options;
    store_options(c, policies, &options);
    int res = df_store_open(&options, &s->store, s->problem, sizeof(s->problem));
    free(policies);
    return res;
}

static int start_loops(struct server *s)
{
    unsigned count = s->config->worker_count;
    s->loops = calloc(count, sizeof(*s->loops));
    if (s->loops == NULL)
        return step_failed(s, "workers", -ENOMEM);
    while (s->loop_count < count) {
        int *fd = &s->fds[s->loop_count];
        int res = loop_start(s->loop_count, s->config, s->store, fd, 1, &s->loops[s->loop_count]);
        *fd = -1; /* given, also if that failed */
        if (res < 0)
            return step_failed(s, "worker", res);
        s->loop_count++;
    }
    return 0;
}

/* ---- the start-up line ---- */

static void print_device(void *arg, const char *device, const char *path, const char *found)
{
    fprintf(arg, " %s (%s: %s)", device, path, found);
}

static void print_policies(FILE *out, const struct config *c)
{
    for (unsigned i = 0; i < c->policy_count; i++) {
        const struct config_policy *p = &c->policies[i];
        fprintf(out, " %u %s", p->df.index, p->name);
        if (p->df.erasure_coded)
            fprintf(out, " (%u+%u)", p->df.data_fragments, p->df.parity_fragments);
    }
}

static void log_start(struct server *s)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return;
    const char *why = "", *engine = df_store_engine(s->store, &why);
    fprintf(out,
            "objsrv " OBJSRV_VERSION " on %s, %s, %u worker%s; engine %s: %s; devices:", s->address,
            s->config->standalone ? "stand-alone" : "Swift mode", s->loop_count,
            s->loop_count == 1 ? "" : "s", engine, why);
    long before = ftell(out);
    df_store_each_device(s->store, print_device, out);
    if (ftell(out) == before)
        fprintf(out, " none yet");
    fprintf(out, "; policies:");
    print_policies(out, s->config);
    if (fclose(out) == 0)
        log_line(LOG_LEVEL_INFO, "%s", text);
    free(text);
}

static void log_unknown(const struct config *c)
{
    char text[1024] = "";
    size_t len = 0;
    for (unsigned i = 0; i < c->unknown.count && len < sizeof(text); i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", c->unknown.items[i]);
    if (c->unknown.count > 0)
        log_line(LOG_LEVEL_INFO, "%s: options without effect:%s", c->file, text);
}

static void say_ready(struct server *s)
{
    log_start(s);
    log_unknown(s->config);
    int res = process_notify("READY=1");
    if (res < 0)
        log_line(LOG_LEVEL_WARNING, "NOTIFY_SOCKET: %s", strerror(-res));
    if (!log_is_stderr() && (res = process_close_stdio()) < 0)
        log_line(LOG_LEVEL_WARNING, "/dev/null: %s", strerror(-res));
}

/* ---- signals and the stop ---- */

static void signals_of_main(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
    sigaddset(set, SIGUSR2);
}

static void dump(struct server *s)
{
    log_line(LOG_LEVEL_INFO, "requests in flight (log lines dropped so far: %llu):",
             (unsigned long long)log_dropped());
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_dump(s->loops[i]);
}

/* Returns how to stop. Swift's TERM waits for nothing; alone, a stop loses no request. */
static bool wait_for_stop(struct server *s)
{
    sigset_t set;
    signals_of_main(&set);
    for (;;) {
        int number = sigwaitinfo(&set, NULL);
        if (number == SIGUSR2)
            dump(s);
        else if (number == SIGUSR1)
            log_line(LOG_LEVEL_WARNING, "SIGUSR1: starting anew in place is not supported yet");
        else if (number > 0) {
            log_line(LOG_LEVEL_NOTICE, "SIG%s received: stopping", sigabbrev_np(number));
            return number == SIGHUP || s->config->standalone;
        }
    }
}

/* A second signal while requests are finished ends the process: what was acknowledged is on
 * disk, whatever happens. */
static void let_signals_kill(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void stop_loops(struct server *s, bool graceful)
{
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_stop(s->loops[i], graceful);
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_join(s->loops[i]);
    s->loop_count = 0;
}

static void release(struct server *s)
{
    if (s->store != NULL)
        df_store_close(s->store);
    for (unsigned i = 0; i < s->fd_count; i++)
        if (s->fds[i] >= 0)
            close(s->fds[i]);
    free(s->loops);
    free(s->fds);
    config_free(s->config);
    statsd_close();
    log_close();
}

/* ---- the whole ---- */

static int start(struct server *s)
{
    static int (*const steps[])(struct server *) = {
        open_log, open_numbers, open_sockets, set_up_process, open_store, start_loops,
    };
    sigset_t set;
    signals_of_main(&set);
    int res = 0;
    for (size_t i = 0; res == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i] == open_store) /* threads from here on: they inherit this */
            res = -pthread_sigmask(SIG_BLOCK, &set, NULL);
        if (res == 0)
            res = steps[i](s);
    }
    return res;
}

int main(int argc, char **argv)
{
    struct arguments a = {0};
    struct server s = {0};
    read_arguments(argc, argv, &a);
    int res = config_load(a.file, a.swift_conf, &s.config, s.problem, sizeof(s.problem));
    if (res == 0 && a.test_config) {
        res = test_config(s.config);
        release(&s);
        return res;
    }
    if (a.verbose)
        log_force_stderr();
    if (res == 0)
        res = start(&s);
    if (res == 0) {
        say_ready(&s);
        bool graceful = wait_for_stop(&s);
        let_signals_kill();
        stop_loops(&s, graceful);
        log_line(LOG_LEVEL_NOTICE, "stopped");
    } else {
        fprintf(stderr, "objsrv: %s\n", s.problem);
        stop_loops(&s, false);
    }
    release(&s);
    return res == 0 ? 0 : EXIT_START;
}
