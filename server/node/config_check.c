/* SPDX-License-Identifier: Apache-2.0 */
/* config_check.c -- what the options must be together, and what follows from them. */
#include "server/node/config_own.h"
#include "server/node/log_template.h"
#include "server/node/priority.h"
#include "server/node/startmem.h"
#include <errno.h>
#include <unistd.h>

#define WORKERS_MOST 1024

static int one_of(struct config_loading *l, const char *name, const char *value, const char *words)
{
    size_t len = strlen(value);
    for (const char *w = words; *w != '\0'; w += strcspn(w, " "), w += strspn(w, " "))
        if (strcspn(w, " ") == len && strncasecmp(w, value, len) == 0)
            return 0;
    char expected[256];
    snprintf(expected, sizeof(expected), "one of: %s", words);
    return config_refuse_value(l, name, expected);
}

static int check_words(struct config_loading *l)
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

static int check_priority(struct config_loading *l)
{
    const struct config *c = l->config;
    char *end;
    long nice_priority = strtol(c->nice_priority, &end, 10);
    if (*end != '\0' || nice_priority < -20 || nice_priority > 20)
        return config_refuse_value(l, "nice_priority", "a whole number from -20 to 20");
    if (c->ionice_class[0] != '\0' && priority_io_class(c->ionice_class) == 0)
        return config_refuse_value(l, "ionice_class",
                                   "IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE");
    return 0;
}

/* "1%" or a number of bytes; below 0 it keeps nothing free, as in Swift. */
static int compute_reserve(struct config_loading *l)
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
    return config_refuse_value(l, "fallocate_reserve",
                               "a number of bytes, or a percentage like 1%");
}

static int compute_workers(struct config_loading *l)
{
    struct config *c = l->config;
    long count;
    char *end;
    if (strcasecmp(c->workers, "auto") == 0) {
        count = sysconf(_SC_NPROCESSORS_ONLN);
    } else {
        count = strtol(c->workers, &end, 10);
        if (end == c->workers || *end != '\0' || count < 0 || count > WORKERS_MOST)
            return config_refuse_value(l, "workers", "auto, or a whole number from 0 to 1024");
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

static void anchor_data_dirs(struct config_loading *l)
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

static int check_mode(struct config_loading *l)
{
    const struct config *c = l->config;
    if (c->standalone)
        return c->data_dirs.count > 0
                   ? 0
                   : config_refuse_value(l, "data_dirs",
                                         "one directory or more, separated by commas");
    if (paste_find(&l->app, "bind_port") == NULL && c->servers_per_port == 0)
        return config_refuse_value(l, "bind_port", "the port to listen on, as 6200");
    if (c->data_dirs.count > 0)
        return config_refuse_value(l, "data_dirs", "no value without mode = standalone");
    if (c->devices[0] != '/')
        return config_refuse_value(l, "devices", "an absolute path");
    return 0;
}

static int check_log_format(struct config_loading *l)
{
    const struct config *c = l->config;
    char expected[256];
    if (!log_digest_known(c->log_anonymization_method))
        return config_refuse_value(l, "log_anonymization_method",
                                   "the name of a digest, as md5 or sha256");
    if (log_template_check(c->log_format, expected, sizeof(expected)) < 0)
        return config_refuse_value(l, "log_format", expected);
    return 0;
}

int config_check(struct config_loading *l)
{
    int res = check_mode(l);
    if (res == 0 && l->config->standalone && l->config->servers_per_port > 0)
        res = config_refuse_value(l, "servers_per_port", "0: a stand-alone server has no ring");
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
