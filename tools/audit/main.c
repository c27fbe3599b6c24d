/* SPDX-License-Identifier: Apache-2.0 */
/* objsrv-audit -- the sweeper: finds damage, puts it aside, cleans up after aborted writes.
 *
 * Arguments, settings, process; then one of: passes (rounds.h), --check (check.h), the
 * quarantine's inventory (quarantined.h), --status. */
#include "server/node/notify.h"
#include "server/node/process.h"
#include "tools/audit/check.h"
#include "tools/audit/halt.h"
#include "tools/audit/quarantined.h"
#include "tools/audit/rounds.h"
#include "tools/audit/summary.h"

#include "diskfile/engine/fragment_check.h"
#include "diskfile/engine/identity.h"
#include "diskfile/format/md5.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 64 };
#define LIST_MAX 256

enum action {
    ACTION_AUDIT,
    ACTION_CHECK,
    ACTION_LIST_QUARANTINED,
    ACTION_RESTORE,
    ACTION_PURGE,
    ACTION_STATUS,
    ACTION_RESET_FUSE
};

struct arguments {
    const char *file, *swift_conf, *check_path, *older_than;
    const char *overrides[LIST_MAX + 1], *devices[LIST_MAX + 1], *restore[LIST_MAX + 1];
    unsigned override_count, device_count, restore_count;
    enum action action;
    bool once, verbose, zbf_only, sweep_only, dry_run, json, no_progress;
    char zbf_rate[64];
};

static const char usage[] =
    "Usage: objsrv-audit [OPTION]... CONF [once]\n"
    "Audits the objects of this node as swift-object-auditor does, and sweeps what aborted\n"
    "writes have left behind. CONF is the object server's file, [object-auditor] in it, or that\n"
    "of a stand-alone server.\n"
    "\n"
    "  once, -o, --once        one pass, then end; without it: for ever\n"
    "  -z, --zero-byte-fps=N   ZBF only (metadata and size), at N objects/s; 0: unlimited\n"
    "  -d, --devices=A,B       only these\n"
    "      --sweep             only sweep: no metadata and no bodies are read\n"
    "  -n, --dry-run           say what would be done, change nothing\n"
    "      --swift-conf=FILE   instead of /etc/swift/swift.conf\n"
    "      --set=NAME=VALUE    instead of the option of [object-auditor]\n"
    "      --json              findings as JSON on stdout, one a line; so the lists below\n"
    "      --no-progress       no progress bar on a terminal\n"
    "  -v, --verbose           log to stderr; with --json an event for each good object too\n"
    "\n"
    "      --check=PATH        explain one hash directory (or a file in it)\n"
    "      --status            how much of each device was verified when\n"
    "      --reset-fuse        quarantine again, after the cause is gone\n"
    "      --list-quarantined  what lies in quarantine, since when and why\n"
    "      --restore=NAME      check it afresh and put it back; 'all': every one that is good\n"
    "      --purge --older-than=AGE   throw away what has lain there longer: 30d, 12h, 600s\n"
    "\n"
    "Exit status of one pass: 0 clean; 1 something was found and handled (or would be); 2 it\n"
    "could not be finished, or something could not be examined; 3 a quarantine fuse is blown;\n"
    "64 wrong use or configuration.\n";

__attribute__((noreturn)) static void refuse(const char *what)
{
    fprintf(stderr, "objsrv-audit: %s\nTry objsrv-audit --help\n", what);
    exit(EXIT_USAGE);
}

static void append(const char **list, unsigned *count, const char *item)
{
    if (*count == LIST_MAX)
        refuse("too many of them");
    list[(*count)++] = item;
}

static void append_commas(const char **list, unsigned *count, char *text)
{
    char *rest = NULL;
    for (char *item = strtok_r(text, ", ", &rest); item; item = strtok_r(NULL, ", ", &rest))
        append(list, count, item);
}

/* Words after the file name options, as with Swift's daemons. */
static void take_word(struct arguments *a, const char *word)
{
    if (!a->file)
        a->file = word;
    else if (strcmp(word, "once") == 0)
        a->once = true;
    else if (strcmp(word, "verbose") == 0)
        a->verbose = true;
    else
        refuse("expected CONF, and perhaps once");
}

enum {
    O_SWIFT_CONF = 256,
    O_SET,
    O_JSON,
    O_NO_PROGRESS,
    O_CHECK,
    O_STATUS,
    O_RESET,
    O_LIST,
    O_RESTORE,
    O_PURGE,
    O_OLDER,
    O_SWEEP,
    O_VERSION
};

static void choose(struct arguments *a, enum action action)
{
    if (a->action != ACTION_AUDIT && a->action != action)
        refuse("--check, --status, --reset-fuse, --list-quarantined, --restore and --purge exclude "
               "each other");
    a->action = action;
}

static void take_zbf_rate(struct arguments *a, const char *rate)
{
    char *end;
    double n = strtod(rate, &end);
    if (end == rate || *end != '\0' || !(n >= 0)) {
        fprintf(stderr, "objsrv-audit: --zero-byte-fps=%s: expected objects/s, or 0: unlimited\n",
                rate);
        exit(EXIT_USAGE);
    }
    a->zbf_only = true;
    snprintf(a->zbf_rate, sizeof(a->zbf_rate), "zero_byte_files_per_second=%s", rate);
    append(a->overrides, &a->override_count, a->zbf_rate);
}

static void take_option(struct arguments *a, int c)
{
    switch (c) {
    case 'o':
        a->once = true;
        break;
    case 'z':
        take_zbf_rate(a, optarg);
        break;
    case 'd':
        append_commas(a->devices, &a->device_count, optarg);
        break;
    case 'n':
        a->dry_run = true;
        break;
    case 'v':
        a->verbose = true;
        break;
    case O_SWIFT_CONF:
        a->swift_conf = optarg;
        break;
    case O_SET:
        append(a->overrides, &a->override_count, optarg);
        break;
    case O_JSON:
        a->json = true;
        break;
    case O_NO_PROGRESS:
        a->no_progress = true;
        break;
    case O_SWEEP:
        a->sweep_only = true;
        break;
    case O_OLDER:
        a->older_than = optarg;
        break;
    case O_RESTORE:
        append(a->restore, &a->restore_count, optarg);
        choose(a, ACTION_RESTORE);
        break;
    case O_CHECK:
        a->check_path = optarg;
        choose(a, ACTION_CHECK);
        break;
    case O_STATUS:
        choose(a, ACTION_STATUS);
        break;
    case O_RESET:
        choose(a, ACTION_RESET_FUSE);
        break;
    case O_LIST:
        choose(a, ACTION_LIST_QUARANTINED);
        break;
    case O_PURGE:
        choose(a, ACTION_PURGE);
        break;
    default:
        exit(EXIT_USAGE); /* getopt has said why */
    }
}

static void read_arguments(int argc, char **argv, struct arguments *a)
{
    static const struct option longs[] = {{"once", no_argument, NULL, 'o'},
                                          {"zero-byte-fps", required_argument, NULL, 'z'},
                                          {"zero_byte_fps", required_argument, NULL, 'z'},
                                          {"devices", required_argument, NULL, 'd'},
                                          {"dry-run", no_argument, NULL, 'n'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"swift-conf", required_argument, NULL, O_SWIFT_CONF},
                                          {"set", required_argument, NULL, O_SET},
                                          {"json", no_argument, NULL, O_JSON},
                                          {"no-progress", no_argument, NULL, O_NO_PROGRESS},
                                          {"sweep", no_argument, NULL, O_SWEEP},
                                          {"check", required_argument, NULL, O_CHECK},
                                          {"status", no_argument, NULL, O_STATUS},
                                          {"reset-fuse", no_argument, NULL, O_RESET},
                                          {"list-quarantined", no_argument, NULL, O_LIST},
                                          {"restore", required_argument, NULL, O_RESTORE},
                                          {"purge", no_argument, NULL, O_PURGE},
                                          {"older-than", required_argument, NULL, O_OLDER},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, O_VERSION},
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "oz:d:nvh", longs, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            settings_print_help();
            exit(0);
        }
        if (c == O_VERSION) {
            printf("objsrv-audit " OBJSRV_VERSION "%s\n",
                   fragment_check_is_built() ? " (with liberasurecode)" : "");
            exit(0);
        }
        take_option(a, c);
    }
    while (optind < argc)
        take_word(a, argv[optind++]);
    if (!a->file)
        refuse("no configuration file given");
    if (a->action == ACTION_PURGE && !a->older_than)
        refuse("--purge needs --older-than=AGE");
    if (a->action != ACTION_PURGE && a->older_than)
        refuse("--older-than goes with --purge");
    if (a->zbf_only && a->sweep_only)
        refuse("-z and --sweep exclude each other");
}

/* ---- the process ---- */

static void *wait_for_signals(void *arg)
{
    const sigset_t *set = arg;
    int number;
    if (sigwait(set, &number) == 0)
        halt_now();
    if (sigwait(set, &number) == 0) /* asked twice: now */
        _exit(ROUNDS_UNFINISHED);
    return NULL;
}

static int catch_signals(void)
{
    static sigset_t set;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    int r = -pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (r == 0)
        r = -pthread_create(&thread, NULL, wait_for_signals, &set);
    if (r == 0)
        pthread_detach(thread);
    return r;
}

/* Who runs the server has made this file. What another made, in the quarantine for example, would
 * be closed to the server. */
static int become_server(const struct config *c)
{
    char path[PATH_MAX];
    int r = -ENOENT;
    for (unsigned i = 0; i < c->data_dirs.count && r == -ENOENT; i++) {
        snprintf(path, sizeof(path), "%s/" IDENTITY_FILE, c->data_dirs.items[i]);
        r = process_become_owner(path);
    }
    return r == -ENOENT ? 0 : r; /* then there is nothing to do either */
}

/* As the server: the configured user, or swift if there is one. */
static int become_user(const struct config *c)
{
    if (geteuid() != 0)
        return 0;
    if (c->user[0])
        return process_become(c->user);
    if (c->standalone)
        return become_server(c);
    int r = process_become("swift");
    return r == -ENOENT ? 0 : r;
}

static int set_up(const struct settings *s)
{
    umask(022);
    int r = become_user(s->config);
    if (r < 0) {
        fprintf(stderr, "objsrv-audit: user = %s: %s\n", s->config->user, strerror(-r));
        return r;
    }
    (void)process_raise_nofile(); /* few are needed */
    r = pace_set_priority(s->ionice_class, (int)s->ionice_priority, (int)s->nice_priority);
    if (r == -EINVAL) {
        fprintf(stderr,
                "objsrv-audit: ionice_class = %s: expected IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, "
                "IOPRIO_CLASS_IDLE or none\n",
                s->ionice_class);
        return r;
    }
    if (r < 0)
        report_line(LOG_LEVEL_WARNING, "ionice, nice: %s", strerror(-r));
    return 0;
}

/* ---- what to do ---- */

static int audit(const struct arguments *a, struct settings *s, struct device_list *devices)
{
    bool terminal = isatty(STDERR_FILENO) && !a->no_progress;
    struct run run = {.settings = s, .once = a->once || a->sweep_only, .dry_run = a->dry_run};
    struct rounds_options options = {
        .zbf_only = a->zbf_only,
        .sweep_only = a->sweep_only,
        .named = a->device_count > 0,
        .progress = terminal && run.once,
        .table = run.once && !a->json && (terminal || a->verbose || a->dry_run),
    };
    limiter_init(&run.locations[AUDIT_ALL], s->files_per_second);
    limiter_init(&run.locations[AUDIT_ZBF], s->zero_byte_files_per_second);
    limiter_init(&run.locations[AUDIT_SWEEP], s->sweep_directories_per_second);
    limiter_init(&run.bytes, s->bytes_per_second);
    (void)notify_send(NOTIFY_READY); /* whoever started us may not care */
    return rounds_run(&run, devices, &options);
}

static int reset(struct device *d, const struct settings *s)
{
    int r = device_claim(d, s, false);
    if (r < 0)
        return r;
    d->coverage.fuse_blown[0] = d->coverage.fuse_blown[1] = false;
    d->coverage.dirty = true;
    r = device_save(d);
    device_let_go(d);
    return r;
}

static int status(struct settings *s, struct device_list *devices, bool reset_fuse, bool json)
{
    int result = 0;
    for (unsigned i = 0; i < devices->count; i++) {
        struct device *d = &devices->devices[i];
        int r = reset_fuse ? reset(d, s) : 0;
        if (r < 0) {
            fprintf(stderr, "objsrv-audit: %s: %s\n", d->name,
                    r == -EWOULDBLOCK ? "another auditor is at work there: stop it first"
                                      : strerror(-r));
            result = ROUNDS_UNFINISHED;
        }
        if (!reset_fuse || r < 0)
            (void)device_peek(d); /* none yet: nothing was verified */
    }
    (json ? summary_print_coverage_json : summary_print_coverage)(devices, stdout);
    return result;
}

static int act(const struct arguments *a, struct settings *s, struct device_list *devices)
{
    switch (a->action) {
    case ACTION_AUDIT:
        return audit(a, s, devices);
    case ACTION_CHECK:
        return check_path(s, devices, a->check_path);
    case ACTION_LIST_QUARANTINED:
        return quarantined_list(s, devices, a->json);
    case ACTION_RESTORE:
        return quarantined_restore(s, devices, a->restore, a->dry_run);
    case ACTION_PURGE:
        return quarantined_purge(s, devices, a->older_than, a->dry_run);
    case ACTION_STATUS:
        return status(s, devices, false, a->json);
    case ACTION_RESET_FUSE:
        return status(s, devices, true, a->json);
    }
    return EXIT_USAGE;
}

/* What the engine has to say: quarantines, which Swift logs as warnings. */
static void on_event(void *arg, enum df_event_kind kind, const char *text)
{
    if (kind == DF_EVENT_QUARANTINE && !report_is_log_shown())
        return; /* the finding itself is shown */
    report_line(kind == DF_EVENT_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s", text);
}

/* Names of other devices are passed over, as by Swift's auditor, but said; and where none is ours,
 * a typing error must not look like a clean device. */
static bool any_is_known(const struct arguments *a, const struct device_list *l)
{
    bool any = a->device_count == 0;
    for (unsigned i = 0; i < a->device_count; i++) {
        bool known = false;
        for (unsigned j = 0; j < l->count; j++)
            known = known || strcmp(a->devices[i], l->devices[j].name) == 0;
        if (!known)
            fprintf(stderr, "objsrv-audit: %s: no such device here\n", a->devices[i]);
        any = any || known;
    }
    return any;
}

int main(int argc, char **argv)
{
    static struct arguments a;
    struct settings *s;
    struct device_list devices;
    char problem[2048];
    halt_init();
    read_arguments(argc, argv, &a);
    if (!md5_algorithm()) {
        fputs("objsrv-audit: this libcrypto has no MD5\n", stderr);
        return EXIT_USAGE;
    }
    if (settings_load(a.file, a.swift_conf, a.overrides, &s, problem, sizeof(problem)) < 0)
        refuse(problem);
    s->store.options.event = on_event;
    if (a.verbose || a.action != ACTION_AUDIT)
        log_force_stderr();
    report_init(a.json, isatty(STDERR_FILENO) && !a.no_progress, a.verbose);
    int r = log_open(s->config);
    if (r < 0)
        fprintf(stderr, "objsrv-audit: log: %s\n", strerror(-r));
    int result = ROUNDS_UNFINISHED;
    if (set_up(s) < 0 || catch_signals() < 0) {
        result = EXIT_USAGE;
    } else if (device_list_load(s, a.devices, &devices, problem, sizeof(problem)) < 0) {
        fprintf(stderr, "objsrv-audit: %s\n", problem);
    } else {
        if (any_is_known(&a, &devices))
            result = act(&a, s, &devices);
        device_list_free(&devices);
    }
    log_close();
    settings_free(s);
    return result;
}
