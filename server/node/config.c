/* SPDX-License-Identifier: Apache-2.0 */
/* config.c -- from the operator's files to struct config.
 *
 *   file -> ini -> pipeline -> filters, app -> options -> what follows from them
 *
 * Stand-alone files need no pipeline and no [app:object-server]; swift.conf is not read. */
#include "server/node/config.h"
#include "server/node/log_template.h"
#include "server/node/option.h"
#include "server/node/paste.h"
#include "server/node/priority.h"
#include "server/node/startmem.h"
#include "server/node/swift_conf.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWIFT_CONF   "/etc/swift/swift.conf"
#define APP          "object-server"
#define WORKERS_MOST 1024

/* What stand-alone mode starts from, where the table says otherwise. */
static const struct {
    const char *name, *value;
} standalone_defaults[] = {
    {"bind_ip", "127.0.0.1"},
    {"bind_port", "6200"},
    {"log_address", ""},
    {"log_times", "true"},
};

/* The filters that may stand in the pipeline. */
static const struct {
    const char *use;
    const char *section; /* of config.def */
    size_t flag;         /* in struct config */
} filters[] = {
    {"egg:swift#healthcheck", "healthcheck", offsetof(struct config, healthcheck)},
    {"egg:swift#recon", "recon", offsetof(struct config, recon)},
    {"egg:swift#backend_ratelimit", "ratelimit", offsetof(struct config, ratelimit)},
};

struct loading {
    struct config *config;
    struct ini *ini;
    char *here; /* the directory that relative paths start from */
    struct paste_context pipeline;
    struct paste_context app;
    char *problem;
    size_t problem_len;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct loading *l, const char *file,
                                                        const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(l->problem, l->problem_len, "%s: %s", file, text);
    return -EINVAL;
}

/* "file:line: [section] option = value: expected ..." */
static int refuse_item(struct loading *l, const struct paste_item *item, const char *expected)
{
    char where[512];
    snprintf(where, sizeof(where), "%s:%u", item->written->file, item->written->line);
    return refuse(l, where, "[%s] %s = %s: expected %s", item->section, item->name, item->value,
                  expected);
}

static int refuse_value(struct loading *l, const char *name, const char *expected)
{
    const struct paste_item *item = paste_find(&l->app, name);
    if (item != NULL)
        return refuse_item(l, item, expected);
    return refuse(l, l->config->file, "[DEFAULT] %s: not set: expected %s", name, expected);
}

/* ---- sections ---- */

static int section_of(struct loading *l, const char *kind, const char *name,
                      const struct ini_section **ret)
{
    bool many;
    *ret = paste_section(l->ini, kind, name, &many);
    if (*ret == NULL)
        return refuse(l, l->config->file, "no section [%s:%s]", kind, name);
    if (many)
        return refuse(l, l->config->file, "more than one section [%s:%s]", kind, name);
    return 0;
}

static int read_context(struct loading *l, const struct ini_section *s,
                        const struct paste_context *outer, struct paste_context *ret)
{
    return paste_read(l->ini, s, outer, ret, l->problem, l->problem_len);
}

/* Options of the section that nobody knows. They do no harm, but may be slips. */
/* Swift's older place for it: beats the one in [swift-constraints]. */
#define OLD_ACCOUNT_PREFIX "auto_create_account_prefix"

static void collect_unknown(struct loading *l, const char *section, const struct paste_context *c,
                            const struct ini_section *s)
{
    for (unsigned i = 0; i < c->count; i++) {
        const struct paste_item *item = &c->items[i];
        bool here = item->section == s->name && item->written->line > 0 &&
                    strcmp(item->name, OLD_ACCOUNT_PREFIX) != 0;
        if (!here || strcmp(item->name, "use") == 0 || option_find(section, item->name) != NULL)
            continue;
        char *text = NULL;
        if (asprintf(&text, "%s/%s", s->name, item->name) < 0)
            text = NULL;
        start_memory(text);
        text_list_add(&l->config->unknown, slice_of(text));
        free(text);
    }
}

static bool known_anywhere(const char *name)
{
    return option_find("app", name) != NULL || option_find("healthcheck", name) != NULL ||
           option_find("recon", name) != NULL || option_find("ratelimit", name) != NULL ||
           strcmp(name, OLD_ACCOUNT_PREFIX) == 0;
}

static void collect_unknown_defaults(struct loading *l)
{
    const struct ini_section *s = ini_section(l->ini, 0);
    for (unsigned i = 0; i < s->option_count; i++) {
        const char *name = s->options[i].name;
        if (s->options[i].line == 0 || strncmp(name, "set ", 4) == 0 || known_anywhere(name))
            continue;
        char *text = NULL;
        if (asprintf(&text, "DEFAULT/%s", name) < 0)
            text = NULL;
        start_memory(text);
        text_list_add(&l->config->unknown, slice_of(text));
        free(text);
    }
}

/* ---- options ---- */

static int take_options(struct loading *l, const char *section, const struct paste_context *c)
{
    unsigned count;
    const struct option_row *rows = option_rows(&count);
    for (unsigned i = 0; i < count; i++) {
        const struct paste_item *item = paste_find(c, rows[i].name);
        char expected[160];
        if (strcmp(rows[i].section, section) != 0 || item == NULL)
            continue;
        if (option_set(&rows[i], item->value, l->config, expected, sizeof(expected)) < 0)
            return refuse_item(l, item, expected);
    }
    return 0;
}

static void set_defaults(struct config *c)
{
    unsigned count;
    const struct option_row *rows = option_rows(&count);
    char expected[160];
    for (unsigned i = 0; i < count; i++)
        if (option_set(&rows[i], rows[i].def, c, expected, sizeof(expected)) < 0) {
            fprintf(stderr, "objsrv: config.def: %s: expected %s\n", rows[i].name, expected);
            abort();
        }
}

static void set_standalone_defaults(struct config *c)
{
    char expected[160];
    for (size_t i = 0; i < sizeof(standalone_defaults) / sizeof(standalone_defaults[0]); i++)
        (void)option_set(option_find("app", standalone_defaults[i].name),
                         standalone_defaults[i].value, c, expected, sizeof(expected));
}

/* ---- the pipeline ---- */

static int read_filter(struct loading *l, const char *name)
{
    const struct ini_section *s;
    int res = section_of(l, "filter", name, &s);
    if (res < 0)
        return res;
    struct paste_context c = {0};
    res = read_context(l, s, &l->pipeline, &c);
    const struct paste_item *use = res == 0 ? paste_find(&c, "use") : NULL;
    size_t i = 0, count = sizeof(filters) / sizeof(filters[0]);
    while (i < count && (use == NULL || strcmp(use->value, filters[i].use) != 0))
        i++;
    if (res == 0 && i == count)
        res = refuse(l, l->config->file,
                     "[filter:%s] use = %s: this server has no such filter; expected "
                     "egg:swift#healthcheck, egg:swift#recon or egg:swift#backend_ratelimit, or "
                     "take %s out of the pipeline",
                     name, use != NULL ? use->value : "", name);
    if (res == 0) {
        *(bool *)((char *)l->config + filters[i].flag) = true;
        res = take_options(l, filters[i].section, &c);
        collect_unknown(l, filters[i].section, &c, s);
    }
    paste_release(&c);
    return res;
}

/* All names but the last are filters. */
static int read_pipeline_names(struct loading *l, char *names)
{
    char *rest = names, *word = strtok_r(names, " \t\n\r\f\v", &rest);
    int res = 0;
    while (res == 0 && word != NULL) {
        char *next = strtok_r(NULL, " \t\n\r\f\v", &rest);
        if (next != NULL)
            res = read_filter(l, word);
        else if (strcmp(word, APP) != 0)
            res = refuse(l, l->config->file,
                         "[pipeline:main] pipeline: ends with %s: expected " APP, word);
        word = next;
    }
    return res;
}

static int read_pipeline(struct loading *l)
{
    const struct ini_section *s;
    int res = section_of(l, "pipeline", "main", &s);
    if (res == 0)
        res = read_context(l, s, NULL, &l->pipeline);
    if (res < 0)
        return res;
    const struct paste_item *names = paste_find(&l->pipeline, "pipeline");
    if (names == NULL || !names->local || names->value[0] == '\0')
        return refuse(l, l->config->file, "[%s] pipeline: not set: expected filters and " APP,
                      s->name);
    for (unsigned i = 0; i < l->pipeline.count; i++)
        if (l->pipeline.items[i].local && &l->pipeline.items[i] != names)
            return refuse_item(l, &l->pipeline.items[i], "no option but pipeline");
    char *copy = start_text(slice_of(names->value));
    res = read_pipeline_names(l, copy);
    free(copy);
    return res;
}

/* ---- the app ---- */

static int check_use(struct loading *l)
{
    const struct paste_item *use = paste_find(&l->app, "use");
    const struct paste_item *with = paste_find(&l->app, "filter-with");
    if (use == NULL || !use->local)
        return refuse(l, l->config->file, "[app:" APP "] use: not set: expected egg:swift#object");
    if (strcmp(use->value, "egg:swift#object") != 0)
        return refuse_item(l, use, "egg:swift#object");
    if (with != NULL && with->local)
        return refuse_item(l, with, "filters in the pipeline only");
    return 0;
}

/* Before the pipeline: the mode decides whether there must be one. */
static int read_mode(struct loading *l)
{
    bool many;
    const struct ini_section *s = paste_section(l->ini, "app", APP, &many);
    struct paste_context c = {0};
    int res = read_context(l, s, NULL, &c);
    if (res < 0)
        return res;
    const struct paste_item *mode = paste_find(&c, "mode");
    if (mode != NULL && strcmp(mode->value, "standalone") == 0)
        l->config->standalone = true;
    else if (mode != NULL && strcmp(mode->value, "swift") != 0)
        res = refuse_item(l, mode, "swift or standalone");
    paste_release(&c);
    return res;
}

static int read_app(struct loading *l)
{
    struct config *c = l->config;
    const struct ini_section *s = NULL;
    bool many;
    int res = 0;
    if (c->standalone)
        s = paste_section(l->ini, "app", APP, &many);
    else
        res = section_of(l, "app", APP, &s);
    if (res == 0)
        res = read_context(l, s, &l->pipeline, &l->app);
    if (res == 0 && !c->standalone)
        res = check_use(l);
    if (res == 0)
        res = take_options(l, "app", &l->app);
    if (res == 0 && s != NULL)
        collect_unknown(l, "app", &l->app, s);
    return res;
}

/* ---- what follows ---- */

static int one_of(struct loading *l, const char *name, const char *value, const char *words)
{
    size_t len = strlen(value);
    for (const char *w = words; *w != '\0'; w += strcspn(w, " "), w += strspn(w, " "))
        if (strcspn(w, " ") == len && strncasecmp(w, value, len) == 0)
            return 0;
    char expected[256];
    snprintf(expected, sizeof(expected), "one of: %s", words);
    return refuse_value(l, name, expected);
}

static int check_words(struct loading *l)
{
    const struct config *c = l->config;
    int res = one_of(l, "io_engine", c->io_engine, "auto uring threads");
    if (res == 0)
        res = one_of(l, "on_existing", c->on_existing, "rename unlink");
    if (res == 0)
        res = one_of(l, "log_level", c->log_level,
                     "DEBUG INFO NOTICE WARNING WARN ERROR CRITICAL FATAL");
    if (res == 0)
        res = one_of(l, "log_facility", c->log_facility,
                     "LOG_KERN LOG_USER LOG_MAIL LOG_DAEMON LOG_AUTH LOG_SYSLOG LOG_LPR LOG_NEWS "
                     "LOG_UUCP LOG_CRON LOG_AUTHPRIV LOG_FTP LOG_LOCAL0 LOG_LOCAL1 LOG_LOCAL2 "
                     "LOG_LOCAL3 LOG_LOCAL4 LOG_LOCAL5 LOG_LOCAL6 LOG_LOCAL7");
    return res;
}

static int check_priority(struct loading *l)
{
    const struct config *c = l->config;
    char *end;
    long nice_priority = strtol(c->nice_priority, &end, 10);
    if (*end != '\0' || nice_priority < -20 || nice_priority > 20)
        return refuse_value(l, "nice_priority", "a whole number from -20 to 20");
    if (c->ionice_class[0] != '\0' && priority_io_class(c->ionice_class) == 0)
        return refuse_value(l, "ionice_class",
                            "IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE");
    return 0;
}

/* "1%" or a number of bytes; below 0 it keeps nothing free, as in Swift. */
static int compute_reserve(struct loading *l)
{
    struct config *c = l->config;
    const char *text = c->fallocate_reserve;
    size_t len = strlen(text);
    char *end;
    errno = 0;
    if (len > 1 && text[len - 1] == '%') {
        double percent = strtod(text, &end);
        if (end == text + len - 1 && percent <= 100) {
            c->reserve_percent = percent > 0 ? percent : 0;
            return 0;
        }
    } else {
        long long bytes = strtoll(text, &end, 10);
        if (len > 0 && *end == '\0' && errno == 0) {
            c->reserve_bytes = bytes > 0 ? (uint64_t)bytes : 0;
            return 0;
        }
    }
    return refuse_value(l, "fallocate_reserve", "a number of bytes, or a percentage like 1%");
}

static int compute_workers(struct loading *l)
{
    struct config *c = l->config;
    long count;
    char *end;
    if (strcasecmp(c->workers, "auto") == 0) {
        count = sysconf(_SC_NPROCESSORS_ONLN);
    } else {
        count = strtol(c->workers, &end, 10);
        if (end == c->workers || *end != '\0' || count < 0 || count > WORKERS_MOST)
            return refuse_value(l, "workers", "auto, or a whole number from 0 to 1024");
    }
    c->worker_count = count < 1 ? 1 : (unsigned)count;
    return 0;
}

/* The server keeps these itself, whatever the operator lists. */
static void drop_own_headers(struct text_list *list)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < list->count; i++) {
        const char *name = list->items[i];
        if (strcasecmp(name, "content-length") == 0 || strcasecmp(name, "deleted") == 0 ||
            strcasecmp(name, "etag") == 0)
            free(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

static void anchor_data_dirs(struct loading *l)
{
    struct text_list *dirs = &l->config->data_dirs;
    for (unsigned i = 0; i < dirs->count; i++) {
        char *path = NULL;
        if (dirs->items[i][0] == '/')
            continue;
        if (asprintf(&path, "%s/%s", l->here, dirs->items[i]) < 0)
            path = NULL;
        start_memory(path);
        free(dirs->items[i]);
        dirs->items[i] = path;
    }
}

static int check_mode(struct loading *l)
{
    const struct config *c = l->config;
    if (c->standalone)
        return c->data_dirs.count > 0
                   ? 0
                   : refuse_value(l, "data_dirs", "one directory or more, separated by commas");
    if (paste_find(&l->app, "bind_port") == NULL && c->servers_per_port == 0)
        return refuse_value(l, "bind_port", "the port to listen on, as 6200");
    if (c->data_dirs.count > 0)
        return refuse_value(l, "data_dirs", "no value without mode = standalone");
    if (c->devices[0] != '/')
        return refuse_value(l, "devices", "an absolute path");
    return 0;
}

static int check_log_format(struct loading *l)
{
    const struct config *c = l->config;
    char expected[256];
    if (!log_digest_known(c->log_anonymization_method))
        return refuse_value(l, "log_anonymization_method",
                            "the name of a digest, as md5 or sha256");
    if (log_template_check(c->log_format, expected, sizeof(expected)) < 0)
        return refuse_value(l, "log_format", expected);
    return 0;
}

static int compute(struct loading *l)
{
    int res = check_mode(l);
    if (res == 0 && l->config->standalone && l->config->servers_per_port > 0)
        res = refuse_value(l, "servers_per_port", "0: a stand-alone server has no ring");
    if (res == 0)
        res = check_words(l);
    if (res == 0)
        res = check_log_format(l);
    if (res == 0)
        res = check_priority(l);
    if (res == 0)
        res = compute_reserve(l);
    if (res == 0)
        res = compute_workers(l);
    drop_own_headers(&l->config->allowed_headers);
    anchor_data_dirs(l);
    return res;
}

/* ---- the whole ---- */

/* What %(here)s stands for: the directory of the file, or the directory given. */
static void find_here(struct loading *l, const char *file)
{
    struct stat st;
    char *path = NULL, *cwd = file[0] == '/' ? NULL : start_memory(getcwd(NULL, 0));
    if (asprintf(&path, "%s%s%s", cwd != NULL ? cwd : "", cwd != NULL ? "/" : "", file) < 0)
        path = NULL;
    l->here = path = start_memory(path);
    free(cwd);
    ini_set_default(l->ini, "__file__", path);
    char *slash = strrchr(path, '/');
    if (stat(file, &st) != 0 || !S_ISDIR(st.st_mode))
        slash[slash == path] = '\0';
    ini_set_default(l->ini, "here", path);
}

static void take_old_account_prefix(struct loading *l)
{
    const struct paste_item *item = paste_find(&l->app, OLD_ACCOUNT_PREFIX);
    char expected[160];
    if (item != NULL)
        (void)option_set(option_find("constraints", OLD_ACCOUNT_PREFIX), item->value, l->config,
                         expected, sizeof(expected)); /* any text will do */
}

static int load(struct loading *l, const char *file, const char *swift_conf)
{
    struct config *c = l->config;
    int res = ini_read(l->ini, file, l->problem, l->problem_len);
    if (res < 0)
        return res;
    res = read_mode(l);
    if (res < 0)
        return res;
    if (c->standalone) {
        set_standalone_defaults(c);
        c->healthcheck = true;
        swift_conf_only_policy(c);
        res = swift_conf_constraints(c, l->ini, l->problem, l->problem_len);
    } else {
        res = read_pipeline(l);
    }
    if (res == 0)
        res = read_app(l);
    if (res == 0)
        res = compute(l);
    if (res == 0 && !c->standalone)
        res = swift_conf_load(c, swift_conf != NULL ? swift_conf : SWIFT_CONF, l->problem,
                              l->problem_len);
    if (!c->standalone)
        take_old_account_prefix(l);
    collect_unknown_defaults(l);
    return res;
}

int config_load(const char *file, const char *swift_conf, struct config **ret_config, char *problem,
                size_t problem_len)
{
    struct loading l = {.config = start_memory(calloc(1, sizeof(struct config))),
                        .ini = ini_new(0),
                        .problem = problem,
                        .problem_len = problem_len};
    l.config->file = start_text(slice_of(file));
    l.config->swift_conf_file = start_text(slice_of(swift_conf != NULL ? swift_conf : SWIFT_CONF));
    l.config->hash_prefix = l.config->hash_suffix = SLICE("");
    set_defaults(l.config);
    find_here(&l, file);
    int res = load(&l, file, swift_conf);
    paste_release(&l.pipeline);
    paste_release(&l.app);
    ini_free(l.ini);
    free(l.here);
    if (res < 0)
        config_free(l.config);
    else
        *ret_config = l.config;
    return res;
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    option_release_all(c);
    for (unsigned i = 0; i < c->policy_count; i++)
        free(c->policies[i].name);
    free(c->policies);
    if (c->hash_prefix.len > 0)
        free((char *)c->hash_prefix.at);
    if (c->hash_suffix.len > 0)
        free((char *)c->hash_suffix.at);
    text_list_release(&c->unknown);
    free(c->file);
    free(c->swift_conf_file);
    free(c);
}

const struct config_policy *config_policy(const struct config *c, unsigned index)
{
    for (unsigned i = 0; i < c->policy_count; i++)
        if (c->policies[i].df.index == index)
            return &c->policies[i];
    return NULL;
}
