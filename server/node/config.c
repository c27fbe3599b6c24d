/* SPDX-License-Identifier: Apache-2.0 */
/* config.c -- from the operator's files to struct config.
 *
 *   file -> ini -> pipeline -> filters, app -> options -> config_check.c
 *
 * Stand-alone files need no pipeline and no [app:object-server]; swift.conf is not read. */
#include "server/node/config_own.h"
#include "server/node/option.h"
#include "server/node/startmem.h"
#include "server/node/swift_conf.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWIFT_CONF "/etc/swift/swift.conf"
#define APP        "object-server"

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

__attribute__((format(printf, 3, 4))) static int refuse(struct config_loading *l, const char *file,
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
static int refuse_item(struct config_loading *l, const struct paste_item *item,
                       const char *expected)
{
    char where[512];
    snprintf(where, sizeof(where), "%s:%u", item->written->file, item->written->line);
    return refuse(l, where, "[%s] %s = %s: expected %s", item->section, item->name, item->value,
                  expected);
}

int config_refuse_value(struct config_loading *l, const char *name, const char *expected)
{
    const struct paste_item *item = paste_find(&l->app, name);
    if (item != NULL)
        return refuse_item(l, item, expected);
    return refuse(l, l->config->file, "[DEFAULT] %s: not set: expected %s", name, expected);
}

/* ---- sections ---- */

static int section_of(struct config_loading *l, const char *kind, const char *name,
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

static int read_context(struct config_loading *l, const struct ini_section *s,
                        const struct paste_context *outer, struct paste_context *ret)
{
    return paste_read(l->ini, s, outer, ret, l->problem, l->problem_len);
}

/* Swift's older place for it: beats the one in [swift-constraints]. */
#define OLD_ACCOUNT_PREFIX "auto_create_account_prefix"

static void note_unknown(struct config_loading *l, const char *section, const char *name)
{
    char *text = NULL;
    if (asprintf(&text, "%s/%s", section, name) < 0)
        text = NULL;
    start_memory(text);
    text_list_add(&l->config->unknown, slice_of(text));
    free(text);
}

/* Options of the section that nobody knows. They do no harm, but may be slips. */
static void collect_unknown(struct config_loading *l, const char *section,
                            const struct paste_context *c, const struct ini_section *s)
{
    for (unsigned i = 0; i < c->count; i++) {
        const struct paste_item *item = &c->items[i];
        bool here = item->section == s->name && item->written->line > 0 &&
                    strcmp(item->name, OLD_ACCOUNT_PREFIX) != 0;
        if (here && strcmp(item->name, "use") != 0 && option_find(section, item->name) == NULL)
            note_unknown(l, s->name, item->name);
    }
}

static bool known_anywhere(const char *name)
{
    return option_find("app", name) != NULL || option_find("healthcheck", name) != NULL ||
           option_find("recon", name) != NULL || option_find("ratelimit", name) != NULL ||
           strcmp(name, OLD_ACCOUNT_PREFIX) == 0;
}

static void collect_unknown_defaults(struct config_loading *l)
{
    const struct ini_section *s = ini_section(l->ini, 0);
    for (unsigned i = 0; i < s->option_count; i++) {
        const char *name = s->options[i].name;
        if (s->options[i].line > 0 && strncmp(name, "set ", 4) != 0 && !known_anywhere(name))
            note_unknown(l, "DEFAULT", name);
    }
}

/* ---- options ---- */

static int take_options(struct config_loading *l, const char *section,
                        const struct paste_context *c)
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

static int read_filter(struct config_loading *l, const char *name)
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
static int read_pipeline_names(struct config_loading *l, char *names)
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

static int read_pipeline(struct config_loading *l)
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

static int check_use(struct config_loading *l)
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
static int read_mode(struct config_loading *l)
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

static int read_app(struct config_loading *l)
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

/* ---- the whole ---- */

/* What %(here)s stands for: the directory of the file, or the directory given. */
static void find_here(struct config_loading *l, const char *file)
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

static void take_old_account_prefix(struct config_loading *l)
{
    const struct paste_item *item = paste_find(&l->app, OLD_ACCOUNT_PREFIX);
    char expected[160];
    if (item != NULL)
        (void)option_set(option_find("constraints", OLD_ACCOUNT_PREFIX), item->value, l->config,
                         expected, sizeof(expected)); /* any text will do */
}

static int load(struct config_loading *l, const char *file, const char *swift_conf)
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
        res = config_check(l);
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
    struct config_loading l = {.config = start_memory(calloc(1, sizeof(struct config))),
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
