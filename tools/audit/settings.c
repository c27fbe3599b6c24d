/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c -- see settings.h. */
#include "tools/audit/settings.h"
#include "server/node/ini.h"
#include "server/node/option.h"
#include "server/node/swift_conf.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SWIFT_CONF                "/etc/swift/swift.conf"
#define SECTION                   "object-auditor"
#define RSYNC_TIMEOUT_S           900
#define RSYNC_GRACE_S             900
#define RSYNC_AGE_UNKNOWN_S       86400
#define PARTITION_LOCK_TIMEOUT_MS 10000

struct loading {
    struct settings *settings;
    struct ini *ini;
    const struct ini_section *section; /* [object-auditor], or [DEFAULT] of a stand-alone file */
    const char *file;
    const char *const *overrides;
    char *problem;
    size_t problem_len;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct loading *l, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(l->problem, l->problem_len, "%s: %s", l->file, text);
    return -EINVAL;
}

static const char *override_of(const struct loading *l, const char *name)
{
    size_t len = strlen(name);
    for (const char *const *o = l->overrides; o && *o; o++)
        if (strncmp(*o, name, len) == 0 && (*o)[len] == '=')
            return *o + len + 1;
    return NULL;
}

/* Names the place where the value stands. */
static int refuse_value(struct loading *l, const char *name, const char *text, const char *expected)
{
    if (!override_of(l, name))
        return refuse(l, "[" SECTION "] %s = %s: expected %s", name, text, expected);
    snprintf(l->problem, l->problem_len, "--set %s=%s: expected %s", name, text, expected);
    return -EINVAL;
}

/* ---- the table ---- */

enum row_type { ROW_text, ROW_boolean, ROW_number, ROW_age };

static const struct row {
    const char *name;
    enum row_type type;
    size_t offset;
    const char *def;
    double min, max;
    const char *unit, *help;
} rows[] = {
#define OPTION(name, type, def, min, max, unit, help)                                              \
    {#name, ROW_##type, offsetof(struct settings, name), def, min, max, unit, help},
#include "tools/audit/audit.def"
#undef OPTION
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int set_number(struct loading *l, const struct row *row, const char *text, double *field)
{
    char *end;
    double n = strtod(text, &end);
    while (*end == ' ')
        end++;
    if (end != text && *end == '\0' && isfinite(n) && n >= row->min && n <= row->max) {
        *field = n;
        return 0;
    }
    char expected[96];
    snprintf(expected, sizeof(expected), "a number from %.15g to %.15g%s", row->min, row->max,
             row->type == ROW_age ? ", or no" : "");
    return refuse_value(l, row->name, text, expected);
}

static bool is_no(const char *text)
{
    static const char *const words[] = {"no", "off", "false", "never"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static int set_row(struct loading *l, const struct row *row, const char *text)
{
    void *field = (char *)l->settings + row->offset;
    if (row->type == ROW_boolean) {
        *(bool *)field = option_true(text);
        return 0;
    }
    if (row->type == ROW_text) {
        free(*(char **)field);
        *(char **)field = strdup(text);
        return *(char **)field ? 0 : -ENOMEM;
    }
    if (row->type == ROW_age && is_no(text)) {
        *(double *)field = AGE_OFF;
        return 0;
    }
    return set_number(l, row, text, field);
}

/* ---- where a value comes from ---- */

/* *ret: yours to free; NULL: not set anywhere. */
static int value_in(struct loading *l, const struct ini_section *section, const char *name,
                    char **ret)
{
    *ret = NULL;
    const struct ini_option *option = section ? ini_find(l->ini, section, name) : NULL;
    if (!option)
        return 0;
    return ini_value(l->ini, section, option, ret, l->problem, l->problem_len);
}

static int value_of(struct loading *l, const char *name, char **ret)
{
    const char *override = override_of(l, name);
    if (!override)
        return value_in(l, l->section, name, ret);
    *ret = strdup(override);
    return *ret ? 0 : -ENOMEM;
}

static int take_own_rows(struct loading *l)
{
    int r = 0;
    for (size_t i = 0; i < ROWS && r == 0; i++) {
        char *text = NULL;
        r = set_row(l, &rows[i], rows[i].def);
        if (r == 0)
            r = value_of(l, rows[i].name, &text);
        if (r == 0 && text)
            r = set_row(l, &rows[i], text);
        free(text);
    }
    return r;
}

/* Rows of the server that mean the same here; those of no use are read all the same, since a
 * value that cannot be is a slip worth hearing of. */
static int take_shared_rows(struct loading *l)
{
    unsigned count;
    const struct option_row *shared = option_rows(&count);
    char expected[160];
    int r = 0;
    for (unsigned i = 0; i < count && r == 0; i++) {
        char *text = NULL;
        if (strcmp(shared[i].section, "app") != 0 && strcmp(shared[i].section, "recon") != 0)
            continue;
        if (strcmp(shared[i].name, "data_dirs") == 0)
            continue; /* the store's own; config_load() has made the paths absolute */
        r = value_of(l, shared[i].name, &text);
        if (r == 0 && text &&
            option_set(&shared[i], text, l->settings->config, expected, sizeof(expected)) < 0)
            r = refuse_value(l, shared[i].name, text, expected);
        free(text);
    }
    return r;
}

static int check_overrides(struct loading *l)
{
    for (const char *const *o = l->overrides; o && *o; o++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(*o, "="), *o);
        bool known = strchr(*o, '=') && (option_find("app", name) || option_find("recon", name));
        for (size_t i = 0; i < ROWS && !known; i++)
            known = strchr(*o, '=') && strcmp(rows[i].name, name) == 0;
        if (!known)
            return refuse(l, "--set %s: expected one of the options of --help, as name=value", *o);
    }
    return 0;
}

/* ---- Swift mode and stand-alone mode ---- */

static bool is_standalone(struct loading *l)
{
    static const char *const sections[] = {"app:object-server", SECTION};
    bool yes = false;
    for (size_t i = 0; i < 2; i++) {
        const struct ini_section *s = ini_find_section(l->ini, sections[i]);
        char *mode = NULL;
        (void)value_in(l, s ? s : ini_section(l->ini, 0), "mode", &mode); /* then it is none */
        yes = yes || (mode && strcmp(mode, "standalone") == 0);
        free(mode);
    }
    return yes;
}

static void set_shared_defaults(struct config *c)
{
    unsigned count;
    const struct option_row *shared = option_rows(&count);
    char expected[160];
    for (unsigned i = 0; i < count; i++)
        (void)option_set(&shared[i], shared[i].def, c, expected, sizeof(expected)); /* as tested */
    (void)option_set(option_find("app", "log_name"), SECTION, c, expected, sizeof(expected));
}

static int load_swift_mode(struct loading *l, const char *swift_conf)
{
    if (!l->section)
        return refuse(l, "no section [" SECTION "]");
    l->settings->config = calloc(1, sizeof(struct config));
    if (!l->settings->config)
        return -ENOMEM;
    struct config *c = l->settings->config;
    c->hash_prefix = c->hash_suffix = SLICE("");
    c->file = strdup(l->file);
    set_shared_defaults(c);
    int r = take_shared_rows(l);
    if (r == 0 && c->devices[0] != '/')
        r = refuse(l, "[" SECTION "] devices = %s: expected an absolute path", c->devices);
    if (r == 0)
        r = swift_conf_load(c, swift_conf ? swift_conf : SWIFT_CONF, l->problem, l->problem_len);
    return r;
}

static int load_standalone(struct loading *l)
{
    char expected[160];
    int r = config_load(l->file, NULL, &l->settings->config, l->problem, l->problem_len);
    if (r < 0)
        return r;
    (void)option_set(option_find("app", "log_name"), SECTION, l->settings->config, expected,
                     sizeof(expected));
    if (!l->section)
        l->section = ini_section(l->ini, 0);
    return take_shared_rows(l);
}

/* ---- what follows ---- */

/* The replicator's settings decide when its leftovers are old; also its reclaim_age, unless the
 * auditor has one of its own. */
static int take_replicator(struct loading *l)
{
    struct settings *s = l->settings;
    const struct ini_section *replicator = ini_find_section(l->ini, "object-replicator");
    char *timeout = NULL, *reclaim = NULL, *own = NULL, *end;
    double auto_s = RSYNC_AGE_UNKNOWN_S;
    int r = value_in(l, replicator, "rsync_timeout", &timeout);
    if (r == 0 && replicator)
        auto_s = (timeout ? strtod(timeout, NULL) : RSYNC_TIMEOUT_S) + RSYNC_GRACE_S;
    if (r == 0)
        r = value_of(l, "reclaim_age", &own);
    if (r == 0 && !own)
        r = value_in(l, replicator, "reclaim_age", &reclaim);
    if (r == 0 && reclaim)
        s->config->reclaim_age = strtod(reclaim, NULL);
    s->rsync_temp_age_s = auto_s;
    if (r == 0 && strcasecmp(s->rsync_tempfile_timeout, "auto") != 0) {
        s->rsync_temp_age_s = strtod(s->rsync_tempfile_timeout, &end);
        if (end == s->rsync_tempfile_timeout || *end != '\0' || !(s->rsync_temp_age_s >= 0))
            r = refuse_value(l, "rsync_tempfile_timeout", s->rsync_tempfile_timeout,
                             "seconds, or auto");
    }
    free(timeout);
    free(reclaim);
    free(own);
    return r;
}

static int take_sizes(struct loading *l)
{
    struct settings *s = l->settings;
    for (const char *at = s->object_size_stats; *at;) {
        at += strspn(at, ", \t\n");
        size_t len = strcspn(at, ", \t\n");
        if (len > 0)
            text_list_add(&s->sizes, (struct slice){at, len});
        if (len > 0 && strspn(at, "0123456789") < len)
            return refuse_value(l, "object_size_stats", s->object_size_stats, "numbers of bytes");
        at += len;
    }
    return 0;
}

static int fill_store(struct settings *s)
{
    const struct config *c = s->config;
    struct df_policy *policies = calloc(c->policy_count + 1, sizeof(*policies));
    if (!policies)
        return -ENOMEM;
    for (unsigned i = 0; i < c->policy_count; i++)
        policies[i] = c->policies[i].df;
    s->store.options = (struct df_options){
        .devices = c->devices,
        .mount_check = c->mount_check,
        .policies = policies,
        .policy_count = c->policy_count,
        .hash_key = {c->hash_prefix, c->hash_suffix},
        .reclaim_age_s = (uint64_t)c->reclaim_age,
        .commit_window_s = (uint64_t)c->commit_window,
        .lock_timeout_ms = PARTITION_LOCK_TIMEOUT_MS,
    };
    return 0;
}

/* A stand-alone server has no swift-recon that would read it, and the default is the place of a
 * Swift that may run on this machine too. */
static int name_recon(struct loading *l)
{
    struct settings *s = l->settings;
    char *told = NULL;
    int r = s->config->standalone ? value_of(l, "recon_cache_path", &told) : 0;
    if (r == 0 && (told || !s->config->standalone) &&
        asprintf(&s->recon_file, "%s/object.recon", s->config->recon_cache_path) < 0) {
        s->recon_file = NULL;
        r = -ENOMEM;
    }
    free(told);
    return r;
}

static int compute(struct loading *l)
{
    struct settings *s = l->settings;
    assert(s->watchers); /* every row has its default by now */
    if (s->watchers[0] != '\0')
        return refuse(l,
                      "[" SECTION "] watchers = %s: this program cannot load Python plug-ins; "
                      "read its --json events instead (\"object\" with --verbose)",
                      s->watchers);
    int r = take_replicator(l);
    if (r == 0)
        r = take_sizes(l);
    if (r == 0)
        r = fill_store(s);
    return r == 0 ? name_recon(l) : r;
}

static int load(struct loading *l, const char *swift_conf)
{
    int r = ini_read(l->ini, l->file, l->problem, l->problem_len);
    if (r == 0)
        r = check_overrides(l);
    if (r < 0)
        return r;
    l->section = ini_find_section(l->ini, SECTION);
    r = is_standalone(l) ? load_standalone(l) : load_swift_mode(l, swift_conf);
    if (r == 0)
        r = take_own_rows(l);
    return r < 0 ? r : compute(l);
}

int settings_load(const char *file, const char *swift_conf, const char *const *overrides,
                  struct settings **ret_settings, char *problem, size_t problem_len)
{
    snprintf(problem, problem_len, "%s: out of memory", file);
    struct loading l = {.settings = calloc(1, sizeof(struct settings)),
                        .ini = ini_new(0),
                        .file = file,
                        .overrides = overrides,
                        .problem = problem,
                        .problem_len = problem_len};
    int r = l.settings && l.ini ? load(&l, swift_conf) : -ENOMEM;
    ini_free(l.ini);
    if (r < 0)
        settings_free(l.settings);
    else
        *ret_settings = l.settings;
    return r;
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].type == ROW_text)
            free(*(char **)((char *)s + rows[i].offset));
    free((struct df_policy *)s->store.options.policies);
    text_list_release(&s->sizes);
    free(s->recon_file);
    config_free(s->config);
    free(s);
}

void settings_print_help(void)
{
    printf("\nOptions of [" SECTION "], also as --set NAME=VALUE:\n");
    for (size_t i = 0; i < ROWS; i++)
        printf("  %s = %s%s%s\n      %s\n", rows[i].name, rows[i].def, rows[i].unit[0] ? " " : "",
               rows[i].unit, rows[i].help);
}
