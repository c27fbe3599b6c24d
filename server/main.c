/* SPDX-License-Identifier: Apache-2.0 */
/* main.c -- boot order. Nothing else.
 *
 *   options -> descriptors handed to us -> configuration -> log -> sockets -> limits, session,
 *   pid file, user -> store -> loops -> ready -> oversee() -> close in the opposite order
 *
 * Sockets are bound while the process may still be root; it is not any more when the first
 * ring or thread exists. Whatever goes wrong at start is one line on stderr. */
#include "server/control.h"
#include "server/metrics/metrics.h"
#include "server/metrics/statsd.h"
#include "server/node/log.h"
#include "server/node/notify.h"
#include "server/node/priority.h"
#include "server/node/process.h"
#include "server/server.h"
#include "server/verbs/ratelimit.h"
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_START = 1, EXIT_USAGE = 2, LOCKS_MOST = 256 };

struct arguments {
    const char *file;
    const char *swift_conf;
    bool test_config;
    bool verbose;
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

/* A port that cannot be had is tried again at each look at the rings. */
static int open_ring_sockets(struct server *s)
{
    unsigned count;
    s->rings = ring_ports_new(s->config);
    int res = ring_ports_update(s->rings, s->problem, sizeof(s->problem));
    const unsigned *ports = ring_ports(s->rings, &count);
    for (unsigned i = 0; res == 0 && i < count; i++)
        if (listen_add(&s->listeners, s->config, ports[i], s->config->bind_timeout, &s->from,
                       s->problem, sizeof(s->problem)) < 0)
            log_line(LOG_LEVEL_ERROR, "%s", s->problem);
    if (res == 0 && s->listeners.count == 0)
        log_line(LOG_LEVEL_WARNING, "no ring in %s names a port of this machine (ring_ip): waiting",
                 s->config->swift_dir);
    return res;
}

static int open_sockets(struct server *s)
{
    if (s->config->servers_per_port > 0)
        return open_ring_sockets(s);
    return listen_open(&s->listeners, s->config, &s->from, s->problem, sizeof(s->problem));
}

/* Swift's workers change to `user`. With workers = 0 it has none, and nobody changes, whatever
 * `user` says; with servers_per_port there are workers in any case. */
static const char *user_to_become(const struct config *c)
{
    if (geteuid() != 0)
        return NULL;
    if (!c->standalone && strcmp(c->workers, "0") == 0 && c->servers_per_port == 0)
        return NULL;
    if (c->user[0] != '\0')
        return c->user;
    return c->standalone ? NULL : "swift";
}

/* Else he could not bind a second socket to our port after a reload. */
static void give_sockets_to(struct server *s, const char *user)
{
    const struct passwd *pw = getpwnam(user);
    if (pw != NULL)
        listen_give_to(&s->listeners, pw->pw_uid);
}

static int drop_privileges(struct server *s)
{
    const char *user = user_to_become(s->config);
    if (user == NULL)
        return 0;
    give_sockets_to(s, user);
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

/* The process of the first start has it; successors come and go below that. */
static int write_pid_file(struct server *s)
{
    const char *path = s->config->pid_file;
    if (path[0] == '\0' || s->control >= 0)
        return 0;
    int res = process_write_pid(path);
    if (res < 0)
        snprintf(s->problem, sizeof(s->problem), "%s: [DEFAULT] pid_file = %s: %s", s->config->file,
                 path, strerror(-res));
    return res;
}

static void remove_pid_file(const struct server *s)
{
    if (s->config != NULL && s->config->pid_file[0] != '\0' && s->control < 0)
        (void)unlink(s->config->pid_file); /* it may lie where only root could remove it */
}

static bool wants_own_session(const struct server *s)
{
    return !s->config->standalone && s->control < 0 && !isatty(STDERR_FILENO);
}

static int set_up_process(struct server *s)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) < 0)
        return step_failed(s, "SIGPIPE", -errno);
    int res = step_failed(s, "RLIMIT_NOFILE", process_raise_nofile());
    if (res == 0)
        res = write_pid_file(s);
    if (res == 0)
        res = step_failed(s, "chdir /", process_detach(wants_own_session(s)));
    if (res < 0)
        return res;
    priority_apply(s->config);
    return drop_privileges(s);
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
    int locks[LOCKS_MOST];
    struct df_options options;
    store_options(c, policies, &options);
    options.locks = locks;
    while (options.lock_count < LOCKS_MOST &&
           (locks[options.lock_count] = inherit_one(&s->from, INHERIT_LOCK)) >= 0)
        options.lock_count++;
    int res = df_store_open(&options, &s->store, s->problem, sizeof(s->problem));
    for (unsigned i = 0; i < options.lock_count; i++)
        close(locks[i]);
    free(policies);
    return res;
}

/* The sockets of worker `index`; room for all of them is in ret_fds. */
static unsigned share_sockets(const struct server *s, unsigned index, int *ret_fds)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->listeners.count; i++) {
        unsigned next = 0;
        for (int fd; (fd = listen_share(&s->listeners.ports[i], index, s->config->worker_count,
                                        &next)) >= 0;)
            ret_fds[count++] = fd;
    }
    return count;
}

static unsigned most_sockets(const struct server *s)
{
    unsigned most = 1;
    for (unsigned i = 0; i < s->listeners.count; i++)
        most += s->listeners.ports[i].count + 1;
    return most;
}

static int start_loops(struct server *s)
{
    unsigned count = s->config->worker_count;
    int *fds = calloc(most_sockets(s), sizeof(*fds));
    s->loops = calloc(count, sizeof(*s->loops));
    int res = s->loops != NULL && fds != NULL ? 0 : -ENOMEM;
    while (res == 0 && s->loop_count < count) {
        unsigned fd_count = share_sockets(s, s->loop_count, fds);
        res =
            loop_start(s->loop_count, s->config, s->store, fds, fd_count, &s->loops[s->loop_count]);
        s->loop_count += res == 0;
    }
    free(fds);
    return step_failed(s, "worker", res);
}

/* ---- the start-up line ---- */

static void print_address(FILE *out, const struct server *s)
{
    if (s->config->servers_per_port == 0 || s->listeners.count == 0) {
        fputs(s->listeners.count > 0 ? s->listeners.address : "no port yet", out);
        return;
    }
    for (unsigned i = 0; i < s->listeners.count; i++)
        fprintf(out, "%s%s%u", i > 0 ? " " : s->config->bind_ip, i > 0 ? "" : " ports ",
                s->listeners.ports[i].port);
}

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
    fputs("objsrv " OBJSRV_VERSION " on ", out);
    print_address(out, s);
    fprintf(out, ", %s, %u worker%s; engine %s: %s; devices:",
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

/* swift-init reads what a server says until that ends, so under Swift's name nothing is kept open
 * for a log that goes to stderr for want of a better place. Children have it from us already. */
static bool must_close_stdio(const struct server *s)
{
    if (!log_is_stderr())
        return true;
    if (s->verbose || !program_is_swifts(&s->program) || s->control >= 0)
        return false;
    fputs("objsrv: no syslog at log_address: nothing is logged; \"verbose\" logs here\n", stderr);
    return true;
}

static void say_ready(struct server *s)
{
    log_start(s);
    log_unknown(s->config);
    int res = s->control >= 0 ? control_send(s->control, CONTROL_READY, NULL, -1, 0)
                              : notify_send(NOTIFY_READY);
    if (res < 0)
        log_line(LOG_LEVEL_WARNING, "%s: %s", s->control >= 0 ? "reload" : "NOTIFY_SOCKET",
                 strerror(-res));
    if (must_close_stdio(s) && (res = process_close_stdio()) < 0)
        log_line(LOG_LEVEL_WARNING, "/dev/null: %s", strerror(-res));
}

/* ---- the end ---- */

static void release(struct server *s)
{
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_stop(s->loops[i], false);
    server_end(s);
    remove_pid_file(s);
    listen_close(&s->listeners);
    inherit_close(&s->from);
    ring_ports_free(s->rings);
    free(s->loops);
    config_free(s->config);
    statsd_close();
    program_release(&s->program);
    log_close();
}

static int give_up(struct server *s)
{
    fprintf(stderr, "objsrv: %s\n", s->problem);
    if (s->control >= 0)
        (void)control_send(s->control, CONTROL_FAILED, s->problem, -1, 0); /* our end tells too */
    release(s);
    return EXIT_START;
}

/* ---- the whole ---- */

static int start(struct server *s)
{
    static int (*const steps[])(struct server *) = {
        open_log, open_numbers, open_sockets, set_up_process, open_store, start_loops,
    };
    sigset_t set;
    oversee_signals(&set);
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
    struct server s = {.control = -1};
    read_arguments(argc, argv, &a);
    (void)program_note(argv,
                       &s.program); /* then a reload says that it does not know what to start */
    program_spell_out(&s.program);
    int res = inherit_take(&s.from, s.problem, sizeof(s.problem));
    s.control = inherit_one(&s.from, INHERIT_CONTROL);
    if (res == 0)
        res = config_load(a.file, a.swift_conf, &s.config, s.problem, sizeof(s.problem));
    if (res == 0 && a.test_config) {
        res = test_config(s.config);
        release(&s);
        return res;
    }
    s.verbose = a.verbose;
    if (a.verbose)
        log_force_stderr();
    if (res == 0)
        res = start(&s);
    if (res < 0)
        return give_up(&s);
    inherit_close(&s.from);
    say_ready(&s);
    res = oversee(&s);
    if (s.abandoned) {
        remove_pid_file(&s);
        _exit(res);
    }
    release(&s);
    return res;
}
