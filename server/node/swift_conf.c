/* SPDX-License-Identifier: Apache-2.0 */
/* swift_conf.c -- the three sections of swift.conf, refused where Swift refuses them: a server
 * that starts with another hash or another set of policies than the cluster's loses objects. */
#include "server/node/swift_conf.h"
#include "server/node/option.h"
#include "server/node/startmem.h"
#include <errno.h>
#include <stdarg.h>

#define POLICY_PREFIX "storage-policy:"
#define LEGACY_NAME   "Policy-0"

struct loading {
    struct config *config;
    const struct ini *ini;
    const char *file;
    struct text_list names; /* of all policies so far, aliases too */
    bool has_default;
    unsigned enabled;
    char *problem;
    size_t problem_len;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct loading *l, const char *section,
                                                        const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(l->problem, l->problem_len, "%s: [%s] %s", l->file, section, text);
    return -EINVAL;
}

/* ---- [swift-hash] ---- */

static int read_hash_part(struct loading *l, const struct ini_section *s, const char *name,
                          struct slice *ret)
{
    const struct ini_option *o = s != NULL ? ini_find(l->ini, s, name) : NULL;
    *ret = SLICE("");
    if (o == NULL)
        return 0;
    char *value;
    int res = ini_value(l->ini, s, o, &value, l->problem, l->problem_len);
    if (res == 0 && value[0] == '\0')
        free(value);
    else if (res == 0)
        *ret = slice_of(value); /* config_free() frees it */
    return res;
}

static int read_hash(struct loading *l)
{
    struct config *c = l->config;
    const struct ini_section *s = ini_find_section(l->ini, "swift-hash");
    int res = read_hash_part(l, s, "swift_hash_path_prefix", &c->hash_prefix);
    if (res == 0)
        res = read_hash_part(l, s, "swift_hash_path_suffix", &c->hash_suffix);
    if (res == 0 && c->hash_prefix.len == 0 && c->hash_suffix.len == 0)
        return refuse(l, "swift-hash",
                      "swift_hash_path_prefix, swift_hash_path_suffix: both are empty; expected "
                      "at least one, the same as on all nodes of the cluster");
    return res;
}

/* ---- [swift-constraints] ---- */

static int read_constraint(struct loading *l, const struct ini_section *s,
                           const struct option_row *row)
{
    const struct ini_option *o = ini_find(l->ini, s, row->name);
    if (o == NULL)
        return 0;
    char *value, expected[160];
    int res = ini_value(l->ini, s, o, &value, l->problem, l->problem_len);
    if (res < 0)
        return res;
    res = option_set(row, value, l->config, expected, sizeof(expected));
    if (res < 0)
        res = refuse(l, s->name, "%s = %s: expected %s", row->name, value, expected);
    free(value);
    return res;
}

static int read_constraints(struct loading *l)
{
    const struct ini_section *s = ini_find_section(l->ini, "swift-constraints");
    unsigned count;
    const struct option_row *rows = option_rows(&count);
    int res = 0;
    for (unsigned i = 0; s != NULL && res == 0 && i < count; i++)
        if (strcmp(rows[i].section, "constraints") == 0)
            res = read_constraint(l, s, &rows[i]);
    return res;
}

int swift_conf_constraints(struct config *c, const struct ini *ini, char *problem,
                           size_t problem_len)
{
    struct loading l = {
        .config = c, .ini = ini, .file = c->file, .problem = problem, .problem_len = problem_len};
    return read_constraints(&l);
}

/* ---- [storage-policy:N] ---- */

static const char *const known_options[] = {
    "name",
    "aliases",
    "policy_type",
    "default",
    "deprecated",
    "diskfile_module",
    "ec_type",
    "ec_num_data_fragments",
    "ec_num_parity_fragments",
    "ec_object_segment_size",
    "ec_duplication_factor",
};
#define REPLICATION_OPTIONS 6 /* the first of them */

/* One section's values, in the order of known_options; NULL: not given. */
struct policy_text {
    char *values[sizeof(known_options) / sizeof(known_options[0])];
};
enum {
    P_NAME,
    P_ALIASES,
    P_TYPE,
    P_DEFAULT,
    P_DEPRECATED,
    P_MODULE,
    P_EC_TYPE,
    P_EC_DATA,
    P_EC_PARITY,
    P_EC_SEGMENT,
    P_EC_DUPLICATION,
    P_COUNT
};
_Static_assert(P_COUNT == sizeof(known_options) / sizeof(known_options[0]), "same order");

static void release_text(struct policy_text *t)
{
    for (unsigned i = 0; i < P_COUNT; i++)
        free(t->values[i]);
}

static int read_policy_option(struct loading *l, const struct ini_section *s,
                              const struct ini_option *o, struct policy_text *t)
{
    for (unsigned i = 0; i < P_COUNT; i++)
        if (strcmp(o->name, known_options[i]) == 0 && t->values[i] == NULL)
            return ini_value(l->ini, s, o, &t->values[i], l->problem, l->problem_len);
    return refuse(l, s->name, "%s: there is no such option of a storage policy", o->name);
}

static int read_policy_text(struct loading *l, const struct ini_section *s, struct policy_text *t)
{
    const struct ini_section *defaults = ini_section(l->ini, 0);
    int res = 0;
    for (unsigned i = 0; res == 0 && i < s->option_count; i++)
        res = read_policy_option(l, s, &s->options[i], t);
    for (unsigned i = 0; res == 0 && i < defaults->option_count; i++)
        if (ini_find(l->ini, s, defaults->options[i].name) == &defaults->options[i])
            res = read_policy_option(l, s, &defaults->options[i], t);
    return res;
}

/* Names travel as header values. */
static int add_name(struct loading *l, const struct ini_section *s, unsigned index,
                    struct slice name)
{
    int len = (int)name.len;
    if (name.len == 0)
        return refuse(l, s->name, "name: expected a name");
    for (size_t i = 0; i < name.len; i++)
        if (strchr("-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", name.at[i]) ==
            NULL)
            return refuse(l, s->name, "name = %.*s: expected letters, digits and '-' only", len,
                          name.at);
    if (index != 0 && slice_eq_nocase(name, SLICE(LEGACY_NAME)))
        return refuse(l, s->name, "name = %.*s: this name belongs to policy 0", len, name.at);
    for (unsigned i = 0; i < l->names.count; i++)
        if (slice_eq_nocase(name, slice_of(l->names.items[i])))
            return refuse(l, s->name,
                          "name = %.*s: another policy has this name, or it stands "
                          "here twice",
                          len, name.at);
    text_list_add(&l->names, name);
    return 0;
}

static int add_aliases(struct loading *l, const struct ini_section *s, unsigned index,
                       const char *name, const char *aliases)
{
    int res = 0;
    while (res == 0 && *aliases != '\0') {
        aliases += strspn(aliases, " \t\n,");
        size_t len = strcspn(aliases, ",");
        struct slice alias = {aliases, len};
        while (alias.len > 0 && strchr(" \t\n", alias.at[alias.len - 1]) != NULL)
            alias.len--;
        if (alias.len > 0 && !slice_eq(alias, slice_of(name)))
            res = add_name(l, s, index, alias);
        aliases += len;
    }
    return res;
}

/* A number >= `min` without anything behind it, or -1. */
static long number(const char *text, long min)
{
    char *end;
    if (text == NULL)
        return -1;
    errno = 0;
    long n = strtol(text, &end, 10);
    end += strspn(end, " \t");
    return end == text || *end != '\0' || errno != 0 || n < min || n > 1000000000 ? -1 : n;
}

static int read_erasure_code(struct loading *l, const struct ini_section *s,
                             const struct policy_text *t, struct df_policy *df)
{
    static const struct {
        unsigned option;
        bool required;
    } numbers[] = {
        {P_EC_DATA, true}, {P_EC_PARITY, true}, {P_EC_SEGMENT, false}, {P_EC_DUPLICATION, false}};
    if (t->values[P_EC_TYPE] == NULL)
        return refuse(l, s->name,
                      "ec_type: not set: expected the erasure code, as "
                      "liberasurecode_rs_vand");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *text = t->values[numbers[i].option];
        if ((text != NULL || numbers[i].required) && number(text, 1) < 0)
            return refuse(l, s->name, "%s = %s: expected a whole number from 1",
                          known_options[numbers[i].option], text != NULL ? text : "");
    }
    df->erasure_coded = true;
    df->data_fragments = (unsigned)number(t->values[P_EC_DATA], 1);
    df->parity_fragments = (unsigned)number(t->values[P_EC_PARITY], 1);
    return 0;
}

/* Whose files these would be: those of another engine are not looked for where they are not. */
static int check_module(struct loading *l, const struct ini_section *s, const char *module,
                        const char *own)
{
    const char *name = module != NULL ? module : own;
    if (strncmp(name, "egg:", 4) == 0)
        name += 4;
    if (strncmp(name, "swift#", 6) == 0)
        name += 6;
    return strcmp(name, own) == 0
               ? 0
               : refuse(l, s->name, "diskfile_module = %s: expected egg:swift#%s", module, own);
}

static int read_type(struct loading *l, const struct ini_section *s, const struct policy_text *t,
                     struct df_policy *df)
{
    const char *type = t->values[P_TYPE];
    bool coded = type != NULL && strcmp(type, "erasure_coding") == 0;
    int res =
        check_module(l, s, t->values[P_MODULE], coded ? "erasure_coding.fs" : "replication.fs");
    if (res < 0)
        return res;
    if (coded)
        return read_erasure_code(l, s, t, df);
    if (type != NULL && strcmp(type, "replication") != 0)
        return refuse(l, s->name, "policy_type = %s: expected replication or erasure_coding", type);
    for (unsigned i = REPLICATION_OPTIONS; i < P_COUNT; i++)
        if (t->values[i] != NULL)
            return refuse(l, s->name, "%s: not an option of a replicated policy", known_options[i]);
    return 0;
}

static int read_standing(struct loading *l, const struct ini_section *s,
                         const struct policy_text *t)
{
    bool is_default = t->values[P_DEFAULT] != NULL && option_true(t->values[P_DEFAULT]);
    bool deprecated = t->values[P_DEPRECATED] != NULL && option_true(t->values[P_DEPRECATED]);
    if (is_default && deprecated)
        return refuse(l, s->name, "default: a deprecated policy cannot be the default");
    if (is_default && l->has_default)
        return refuse(l, s->name, "default: another policy is the default already");
    l->has_default = l->has_default || is_default;
    l->enabled += !deprecated;
    return 0;
}

static void add_policy(struct config *c, struct df_policy df, const char *name)
{
    c->policies = start_grow(c->policies, c->policy_count + 1, sizeof(*c->policies));
    c->policies[c->policy_count++] =
        (struct config_policy){.df = df, .name = start_text(slice_of(name))};
}

static int read_policy(struct loading *l, const struct ini_section *s, struct policy_text *t)
{
    long index = number(s->name + strlen(POLICY_PREFIX), 0);
    if (index < 0)
        return refuse(l, s->name, "expected a number from 0 behind the colon");
    if (config_policy(l->config, (unsigned)index) != NULL)
        return refuse(l, s->name, "another section is for policy %ld already", index);
    struct df_policy df = {.index = (unsigned)index};
    int res = read_policy_text(l, s, t);
    const char *name = t->values[P_NAME] != NULL ? t->values[P_NAME] : "";
    if (res == 0)
        res = add_name(l, s, df.index, slice_of(name));
    if (res == 0 && t->values[P_ALIASES] != NULL)
        res = add_aliases(l, s, df.index, name, t->values[P_ALIASES]);
    if (res == 0)
        res = read_standing(l, s, t);
    if (res == 0)
        res = read_type(l, s, t, &df);
    if (res == 0)
        add_policy(l->config, df, name);
    return res;
}

void swift_conf_only_policy(struct config *c)
{
    add_policy(c, (struct df_policy){.index = 0}, LEGACY_NAME);
}

static int check_policies(struct loading *l)
{
    struct config *c = l->config;
    if (c->policy_count == 0) {
        swift_conf_only_policy(c);
        return 0;
    }
    if (config_policy(c, 0) == NULL)
        return refuse(l, "storage-policy:0", "expected this section too: there are other policies");
    if (l->enabled == 0)
        return refuse(l, "storage-policy:0", "expected a policy that is not deprecated");
    if (!l->has_default && c->policy_count > 1)
        return refuse(l, "storage-policy:0", "expected \"default = yes\" in one of the policies");
    return 0;
}

static int read_policies(struct loading *l)
{
    const struct ini_section *s;
    int res = 0;
    for (unsigned i = 1; res == 0 && (s = ini_section(l->ini, i)) != NULL; i++) {
        if (strncmp(s->name, POLICY_PREFIX, strlen(POLICY_PREFIX)) != 0)
            continue;
        struct policy_text t = {0};
        res = read_policy(l, s, &t);
        release_text(&t);
    }
    return res < 0 ? res : check_policies(l);
}

int swift_conf_load(struct config *c, const char *file, char *problem, size_t problem_len)
{
    struct ini *ini = ini_new(INI_FOLD_NAMES | INI_LATIN1 | INI_PERCENT_STRICT);
    struct loading l = {
        .config = c, .ini = ini, .file = file, .problem = problem, .problem_len = problem_len};
    int res = ini_read(ini, file, problem, problem_len);
    if (res == 0)
        res = read_hash(&l);
    if (res == 0)
        res = read_constraints(&l);
    if (res == 0)
        res = read_policies(&l);
    text_list_release(&l.names);
    ini_free(ini);
    return res;
}
