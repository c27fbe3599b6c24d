/* SPDX-License-Identifier: Apache-2.0 */
/* paste.c -- PasteDeploy's precedence: locals over "set" over the pipeline over [DEFAULT]. */
#include "server/node/paste.h"
#include "server/node/startmem.h"
#include <errno.h>

const struct ini_section *paste_section(const struct ini *ini, const char *kind, const char *name,
                                        bool *ret_many)
{
    const struct ini_section *found = NULL, *s;
    size_t kind_len = strlen(kind);
    *ret_many = false;
    for (unsigned i = 1; (s = ini_section(ini, i)) != NULL; i++) {
        if (strncmp(s->name, kind, kind_len) != 0 || s->name[kind_len] != ':')
            continue;
        const char *at = s->name + kind_len + 1;
        at += strspn(at, " \t");
        size_t len = strlen(at);
        while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
            len--;
        if (!slice_eq((struct slice){at, len}, slice_of(name)))
            continue;
        *ret_many = *ret_many || found != NULL;
        found = s;
    }
    return found;
}

static struct paste_item *find(const struct paste_context *c, const char *name, bool local)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->items[i].local == local && strcmp(c->items[i].name, name) == 0)
            return &c->items[i];
    return NULL;
}

const struct paste_item *paste_find(const struct paste_context *c, const char *name)
{
    const struct paste_item *item = find(c, name, true);
    return item != NULL ? item : find(c, name, false);
}

/* Takes `take_value`. */
static void put(struct paste_context *c, const char *name, char *take_value, bool local,
                const struct ini_option *written, const char *section)
{
    struct paste_item *item = find(c, name, local);
    if (item == NULL) {
        c->items = start_grow(c->items, c->count + 1, sizeof(*c->items));
        item = &c->items[c->count++];
        *item = (struct paste_item){.name = start_text(slice_of(name)), .local = local};
    }
    free(item->value);
    item->value = take_value;
    item->written = written;
    item->section = section;
}

void paste_release(struct paste_context *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        free(c->items[i].name);
        free(c->items[i].value);
    }
    free(c->items);
    *c = (struct paste_context){0};
}

/* "set name" or "get name" -> the name, else NULL. */
static const char *after_word(const char *option, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(option, word, len) != 0 || option[len] != ' ')
        return NULL;
    return option + len + strspn(option + len, " \t");
}

struct reading {
    const struct ini *ini;
    const struct ini_section *section;
    struct paste_context *context;
    char *problem;
    size_t problem_len;
};

static int read_defaults(struct reading *r)
{
    const struct ini_section *defaults = ini_section(r->ini, 0);
    for (unsigned i = 0; i < defaults->option_count; i++) {
        const struct ini_option *o = &defaults->options[i];
        char *value;
        int res = ini_value(r->ini, defaults, o, &value, r->problem, r->problem_len);
        if (res < 0)
            return res;
        put(r->context, o->name, value, false, o, defaults->name);
    }
    return 0;
}

static void take_outer(struct reading *r, const struct paste_context *outer)
{
    for (unsigned i = 0; outer != NULL && i < outer->count; i++) {
        const struct paste_item *item = &outer->items[i];
        if (!item->local)
            put(r->context, item->name, start_text(slice_of(item->value)), false, item->written,
                item->section);
    }
}

/* One option as it is seen from the section. `o` may lie in [DEFAULT]. */
static int read_option(struct reading *r, const struct ini_option *o)
{
    const char *set = after_word(o->name, "set");
    if (after_word(o->name, "get") != NULL)
        return 0;
    if (set == NULL && ini_find(r->ini, ini_section(r->ini, 0), o->name) != NULL)
        return 0; /* the trap: [DEFAULT] has it, and wins */
    char *value;
    int res = ini_value(r->ini, r->section, o, &value, r->problem, r->problem_len);
    if (res == 0)
        put(r->context, set != NULL ? set : o->name, value, set == NULL, o, r->section->name);
    return res;
}

static int read_get(struct reading *r, const struct ini_option *o)
{
    const char *get = after_word(o->name, "get");
    if (get == NULL)
        return 0;
    char *other;
    int res = ini_value(r->ini, r->section, o, &other, r->problem, r->problem_len);
    if (res < 0)
        return res;
    const struct paste_item *item = find(r->context, other, false);
    if (item == NULL) {
        snprintf(r->problem, r->problem_len, "%s:%u: [%s] %s: no option %s in [DEFAULT]", o->file,
                 o->line, r->section->name, o->name, other);
        res = -EINVAL;
    } else {
        put(r->context, get, start_text(slice_of(item->value)), true, o, r->section->name);
    }
    free(other);
    return res;
}

/* The section's options in their order, then those that only [DEFAULT] has: also a "set" there
 * holds. */
static int each_option(struct reading *r, int (*each)(struct reading *r, const struct ini_option *))
{
    const struct ini_section *defaults = ini_section(r->ini, 0);
    int res = 0;
    for (unsigned i = 0; res == 0 && i < r->section->option_count; i++)
        res = each(r, &r->section->options[i]);
    for (unsigned i = 0; res == 0 && i < defaults->option_count; i++)
        if (ini_find(r->ini, r->section, defaults->options[i].name) == &defaults->options[i])
            res = each(r, &defaults->options[i]);
    return res;
}

int paste_read(const struct ini *ini, const struct ini_section *section,
               const struct paste_context *outer, struct paste_context *ret_context, char *problem,
               size_t problem_len)
{
    struct paste_context c = {0};
    struct reading r = {ini, section != NULL ? section : ini_section(ini, 0), &c, problem,
                        problem_len};
    int res = read_defaults(&r);
    if (res == 0)
        take_outer(&r, outer);
    if (res == 0)
        res = each_option(&r, read_option);
    if (res == 0)
        res = each_option(&r, read_get);
    if (res < 0)
        paste_release(&c);
    else
        *ret_context = c;
    return res;
}
