/* SPDX-License-Identifier: Apache-2.0 */
/* conf_tool.c -- prints what the server reads from a file, for against_swift.py.
 *
 *   conf_tool app FILE        what [app:object-server] sees
 *   conf_tool pipeline FILE   the same, by way of [pipeline:main]
 *   conf_tool config FILE SWIFT_CONF
 *
 * One "name value" per line, both in hex, in no order; "error text" and exit 1 if refused. */
#include "server/node/config.h"
#include "server/node/option.h"
#include "server/node/paste.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char problem[2048];

static void print_hex(struct slice s, char end)
{
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", (unsigned char)s.at[i]);
    putchar(end);
}

static void print_pair(const char *name, struct slice value)
{
    print_hex(slice_of(name), ' ');
    print_hex(value, '\n');
}

static void print_number(const char *name, double n)
{
    char text[40];
    snprintf(text, sizeof(text), "%.17g", n);
    print_pair(name, slice_of(text));
}

static struct ini *read_ini(const char *file)
{
    struct ini *ini = ini_new(0);
    struct stat st;
    char *here = strdup(file), *slash = strrchr(here, '/');
    if (stat(file, &st) == 0 && !S_ISDIR(st.st_mode))
        *slash = '\0';
    ini_set_default(ini, "here", here);
    ini_set_default(ini, "__file__", file);
    free(here);
    if (ini_read(ini, file, problem, sizeof(problem)) < 0) {
        ini_free(ini);
        return NULL;
    }
    return ini;
}

static int print_app(struct ini *ini, const struct paste_context *outer)
{
    bool many;
    struct paste_context app;
    const struct ini_section *s = paste_section(ini, "app", "object-server", &many);
    if (s == NULL || many) {
        snprintf(problem, sizeof(problem), "section");
        return -1;
    }
    if (paste_read(ini, s, outer, &app, problem, sizeof(problem)) < 0)
        return -1;
    const struct paste_item *use = paste_find(&app, "use");
    int res = use != NULL && use->local && strcmp(use->value, "egg:swift#object") == 0 ? 0 : -1;
    if (res < 0)
        snprintf(problem, sizeof(problem), "use");
    for (unsigned i = 0; res == 0 && i < app.count; i++)
        if (paste_find(&app, app.items[i].name) == &app.items[i])
            print_pair(app.items[i].name, slice_of(app.items[i].value));
    paste_release(&app);
    return res;
}

static int print_pipeline(struct ini *ini)
{
    bool many;
    struct paste_context outer;
    const struct ini_section *s = paste_section(ini, "pipeline", "main", &many);
    if (s == NULL || many) {
        snprintf(problem, sizeof(problem), "pipeline");
        return -1;
    }
    if (paste_read(ini, s, NULL, &outer, problem, sizeof(problem)) < 0)
        return -1;
    int res = print_app(ini, &outer);
    paste_release(&outer);
    return res;
}

static void print_option(const struct option_row *row, const struct config *c)
{
    const char *type = row->type->name;
    const void *field = (const char *)c + row->offset;
    if (strcmp(type, "text") == 0)
        print_pair(row->name, slice_of(*(char *const *)field));
    else if (strcmp(type, "boolean") == 0)
        print_number(row->name, *(const bool *)field);
    else if (strcmp(type, "seconds") == 0)
        print_number(row->name, *(const double *)field);
    else if (strcmp(type, "count") == 0 || strcmp(type, "bytes") == 0)
        print_number(row->name, (double)*(const int64_t *)field);
}

static int print_config(const char *file, const char *swift_conf)
{
    struct config *c;
    unsigned count;
    const struct option_row *rows = option_rows(&count);
    if (config_load(file, swift_conf, &c, problem, sizeof(problem)) < 0)
        return -1;
    for (unsigned i = 0; i < count; i++)
        print_option(&rows[i], c);
    print_pair("hash_prefix", c->hash_prefix);
    print_pair("hash_suffix", c->hash_suffix);
    for (unsigned i = 0; i < c->policy_count; i++) {
        const struct df_policy *p = &c->policies[i].df;
        char key[40], value[256];
        snprintf(key, sizeof(key), "policy %u", p->index);
        snprintf(value, sizeof(value), "%s %d %u %u", c->policies[i].name, p->erasure_coded,
                 p->data_fragments, p->parity_fragments);
        print_pair(key, slice_of(value));
    }
    config_free(c);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int res = -1;
    if (strcmp(argv[1], "config") == 0) {
        res = print_config(argv[2], argc > 3 ? argv[3] : NULL);
    } else {
        struct ini *ini = read_ini(argv[2]);
        if (ini != NULL)
            res = strcmp(argv[1], "app") == 0 ? print_app(ini, NULL) : print_pipeline(ini);
        ini_free(ini);
    }
    if (res < 0)
        printf("error %s\n", problem);
    return res < 0;
}
