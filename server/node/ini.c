/* SPDX-License-Identifier: Apache-2.0 */
/* ini.c -- reads INI files line by line; see ini.h for the grammar.
 *
 * The rules follow what Python's configparser does in its strict mode, observed from outside:
 * tests/node compares the two over generated files. */
#include "server/node/ini.h"
#include "server/node/startmem.h"
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

#define VALUE_DEPTH_MAX 10 /* of options that name options */

struct ini {
    unsigned flags;
    unsigned files_read;
    struct ini_section *sections;
    unsigned section_count;
    char **file_names;
    unsigned file_name_count;
};

struct reader {
    struct ini *ini;
    const char *file;
    unsigned line;
    unsigned section; /* NONE before the first header */
    unsigned option;  /* the one that a deeper line continues, or NONE */
    size_t indent;    /* of that option's line */
    struct ini_seen {
        unsigned section;
        unsigned option;
    } * seen; /* options that this file has set */
    unsigned seen_count;
    char *problem;
    size_t problem_len;
};

#define NONE UINT32_MAX

/* ---- characters ---- */

static bool is_blank(const struct ini *ini, char c)
{
    unsigned char u = (unsigned char)c;
    return (u >= 0x09 && u <= 0x0d) || (u >= 0x1c && u <= 0x20) ||
           ((ini->flags & INI_LATIN1) && (u == 0x85 || u == 0xa0));
}

static size_t leading_blanks(const struct ini *ini, struct slice s)
{
    size_t n = 0;
    while (n < s.len && is_blank(ini, s.at[n]))
        n++;
    return n;
}

static struct slice strip(const struct ini *ini, struct slice s)
{
    size_t skip = leading_blanks(ini, s);
    s.at += skip;
    s.len -= skip;
    while (s.len > 0 && is_blank(ini, s.at[s.len - 1]))
        s.len--;
    return s;
}

static void fold(char *name)
{
    for (; *name != '\0'; name++)
        if (*name >= 'A' && *name <= 'Z')
            *name = (char)(*name - 'A' + 'a');
}

/* ---- sections and options ---- */

static unsigned add_section(struct ini *ini, struct slice name)
{
    ini->sections = start_grow(ini->sections, ini->section_count + 1, sizeof(*ini->sections));
    ini->sections[ini->section_count] = (struct ini_section){.name = start_text(name)};
    return ini->section_count++;
}

static unsigned find_section(const struct ini *ini, struct slice name)
{
    for (unsigned i = 0; i < ini->section_count; i++)
        if (slice_eq(slice_of(ini->sections[i].name), name))
            return i;
    return NONE;
}

static unsigned find_option(const struct ini_section *s, const char *name)
{
    for (unsigned i = 0; i < s->option_count; i++)
        if (strcmp(s->options[i].name, name) == 0)
            return i;
    return NONE;
}

static unsigned set_option(struct ini_section *s, const char *name, struct slice value)
{
    unsigned at = find_option(s, name);
    if (at == NONE) {
        s->options = start_grow(s->options, s->option_count + 1, sizeof(*s->options));
        at = s->option_count++;
        s->options[at] = (struct ini_option){.name = start_text(slice_of(name))};
    }
    free(s->options[at].value);
    s->options[at].value = start_text(value);
    return at;
}

struct ini *ini_new(unsigned flags)
{
    struct ini *ini = start_memory(calloc(1, sizeof(*ini)));
    ini->flags = flags;
    add_section(ini, SLICE("DEFAULT"));
    return ini;
}

void ini_free(struct ini *ini)
{
    if (ini == NULL)
        return;
    for (unsigned i = 0; i < ini->section_count; i++) {
        for (unsigned k = 0; k < ini->sections[i].option_count; k++) {
            free(ini->sections[i].options[k].name);
            free(ini->sections[i].options[k].value);
        }
        free(ini->sections[i].options);
        free(ini->sections[i].name);
    }
    free(ini->sections);
    for (unsigned i = 0; i < ini->file_name_count; i++)
        free(ini->file_names[i]);
    free(ini->file_names);
    free(ini);
}

void ini_set_default(struct ini *ini, const char *name, const char *value)
{
    set_option(&ini->sections[0], name, slice_of(value));
}

const struct ini_section *ini_section(const struct ini *ini, unsigned number)
{
    return number < ini->section_count ? &ini->sections[number] : NULL;
}

const struct ini_section *ini_find_section(const struct ini *ini, const char *name)
{
    unsigned at = find_section(ini, slice_of(name));
    return at == NONE ? NULL : &ini->sections[at];
}

const struct ini_option *ini_find(const struct ini *ini, const struct ini_section *section,
                                  const char *name)
{
    unsigned at = find_option(section, name);
    if (at != NONE)
        return &section->options[at];
    at = find_option(&ini->sections[0], name);
    return at == NONE ? NULL : &ini->sections[0].options[at];
}

/* ---- lines ---- */

static int line_problem(struct reader *r, const char *what)
{
    snprintf(r->problem, r->problem_len, "%s:%u: %s", r->file, r->line, what);
    return -EINVAL;
}

/* "[name] whatever": the name reaches to the last bracket of the line. */
static bool is_header(struct slice text, struct slice *ret_name)
{
    if (text.len < 3 || text.at[0] != '[')
        return false;
    const char *end = memrchr(text.at, ']', text.len);
    if (end == NULL || end < text.at + 2)
        return false;
    *ret_name = (struct slice){text.at + 1, (size_t)(end - text.at) - 1};
    return true;
}

static int read_header(struct reader *r, struct slice name)
{
    struct ini *ini = r->ini;
    r->option = NONE;
    r->section = find_section(ini, name);
    if (r->section == NONE)
        r->section = add_section(ini, name);
    else if (r->section != 0 && ini->sections[r->section].read_by == ini->files_read)
        return line_problem(r, "this section is here already, above");
    ini->sections[r->section].read_by = ini->files_read;
    return 0;
}

/* What an earlier file of the same directory set may be set again; in one file it is a slip. */
static bool set_in_this_file(struct reader *r, unsigned option)
{
    for (unsigned i = 0; i < r->seen_count; i++)
        if (r->seen[i].section == r->section && r->seen[i].option == option)
            return true;
    r->seen = start_grow(r->seen, r->seen_count + 1, sizeof(*r->seen));
    r->seen[r->seen_count++] = (struct ini_seen){r->section, option};
    return false;
}

static int read_option(struct reader *r, struct slice text)
{
    size_t delimiter = 0;
    while (delimiter < text.len && text.at[delimiter] != '=' && text.at[delimiter] != ':')
        delimiter++;
    if (delimiter == text.len)
        return line_problem(r, "expected \"option = value\" or \"[section]\"");
    struct slice name = strip(r->ini, (struct slice){text.at, delimiter});
    if (name.len == 0)
        return line_problem(r, "no option before the delimiter");

    struct ini_section *section = &r->ini->sections[r->section];
    char *key = start_text(name);
    if (r->ini->flags & INI_FOLD_NAMES)
        fold(key);
    struct slice value = {text.at + delimiter + 1, text.len - delimiter - 1};
    r->option = set_option(section, key, strip(r->ini, value));
    free(key);
    section->options[r->option].file = r->file;
    section->options[r->option].line = r->line;
    return set_in_this_file(r, r->option)
               ? line_problem(r, "this option is in this section already, above")
               : 0;
}

static void continue_option(struct reader *r, struct slice text)
{
    struct ini_option *o = &r->ini->sections[r->section].options[r->option];
    size_t len = strlen(o->value);
    o->value = start_grow(o->value, len + 1 + text.len + 1, 1);
    o->value[len] = '\n';
    memcpy(o->value + len + 1, text.at, text.len);
    o->value[len + 1 + text.len] = '\0';
}

static int read_line(struct reader *r, struct slice line)
{
    struct slice text = strip(r->ini, line), name;
    if (text.len > 0 && (text.at[0] == '#' || text.at[0] == ';'))
        return 0;
    if (text.len == 0) {
        if (r->option != NONE)
            continue_option(r, text);
        return 0;
    }
    size_t indent = leading_blanks(r->ini, line);
    if (r->option != NONE && indent > r->indent) {
        continue_option(r, text);
        return 0;
    }
    r->indent = indent;
    if (is_header(text, &name))
        return read_header(r, name);
    if (r->section == NONE)
        return line_problem(r, "expected a [section] before the first option");
    return read_option(r, text);
}

/* Blank lines below an option are not part of it after all. */
static void strip_values(struct reader *r)
{
    for (unsigned i = 0; i < r->seen_count; i++) {
        char *value = r->ini->sections[r->seen[i].section].options[r->seen[i].option].value;
        size_t len = strlen(value);
        while (len > 0 && is_blank(r->ini, value[len - 1]))
            value[--len] = '\0';
    }
}

static int read_text(struct reader *r, struct slice text)
{
    int res = 0;
    if (memchr(text.at, '\0', text.len) != NULL)
        return line_problem(r, "a NUL byte: this is not a text file");
    while (res == 0 && text.len > 0) {
        size_t end = 0;
        while (end < text.len && text.at[end] != '\n' && text.at[end] != '\r')
            end++;
        r->line++;
        res = read_line(r, (struct slice){text.at, end});
        if (end + 1 < text.len && text.at[end] == '\r' && text.at[end + 1] == '\n')
            end++;
        if (end < text.len)
            end++;
        text.at += end;
        text.len -= end;
    }
    strip_values(r);
    return res;
}

/* ---- files ---- */

static int read_stream(FILE *f, char **ret_text, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0, got;
    do {
        text = start_grow(text, len + 65536, 1);
        got = fread(text + len, 1, 65536, f);
        len += got;
    } while (got > 0);
    if (ferror(f)) {
        free(text);
        return -EIO;
    }
    *ret_text = text;
    *ret_len = len;
    return 0;
}

static int read_file(struct ini *ini, const char *path, char *problem, size_t problem_len)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = fopen(path, "re");
    int res = f == NULL ? -errno : read_stream(f, &text, &len);
    if (f != NULL)
        fclose(f);
    if (res < 0) {
        snprintf(problem, problem_len, "%s: %s", path, strerror(-res));
        return res;
    }
    ini->files_read++;
    ini->file_names =
        start_grow(ini->file_names, ini->file_name_count + 1, sizeof(*ini->file_names));
    ini->file_names[ini->file_name_count] = start_text(slice_of(path));
    struct reader r = {.ini = ini,
                       .file = ini->file_names[ini->file_name_count++],
                       .section = NONE,
                       .option = NONE,
                       .problem = problem,
                       .problem_len = problem_len};
    res = read_text(&r, (struct slice){text, len});
    free(r.seen);
    free(text);
    return res;
}

static int is_conf_file(const struct dirent *e)
{
    size_t len = strlen(e->d_name);
    return e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_directory(struct ini *ini, const char *path, char *problem, size_t problem_len)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_conf_file, by_bytes);
    int res = count < 0 ? -errno : 0;
    if (count <= 0) {
        snprintf(problem, problem_len, "%s: %s", path,
                 count < 0 ? strerror(-res) : "no *.conf in this directory");
        res = count < 0 ? res : -ENOENT;
    }
    for (int i = 0; i < count; i++) {
        char *file = NULL;
        if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
            file = NULL;
        start_memory(file);
        if (res == 0)
            res = read_file(ini, file, problem, problem_len);
        free(file);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return res;
}

int ini_read(struct ini *ini, const char *path, char *problem, size_t problem_len)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return read_directory(ini, path, problem, problem_len);
    return read_file(ini, path, problem, problem_len);
}

/* ---- values ---- */

struct expansion {
    const struct ini *ini;
    const struct ini_section *section;
    const struct ini_option *option;
    FILE *out;
    const char *wrong;
};

static int expand(struct expansion *x, const char *value, unsigned depth);

/* `at` is behind "%(". Moves it behind ")s". */
static int expand_name(struct expansion *x, const char **at, unsigned depth)
{
    const char *end = strchr(*at, ')');
    if (end == NULL || end == *at || end[1] != 's') {
        x->wrong = "expected %(name)s";
        return -EINVAL;
    }
    char *name = start_text((struct slice){*at, (size_t)(end - *at)});
    if (x->ini->flags & INI_FOLD_NAMES)
        fold(name);
    const struct ini_option *o = ini_find(x->ini, x->section, name);
    free(name);
    *at = end + 2;
    if (o == NULL) {
        x->wrong = "%(name)s names no option";
        return -EINVAL;
    }
    return expand(x, o->value, depth + 1);
}

static int expand(struct expansion *x, const char *value, unsigned depth)
{
    int res = 0;
    if (strchr(value, '%') != NULL && depth > VALUE_DEPTH_MAX) {
        x->wrong = "%(name)s goes round in a circle";
        return -EINVAL;
    }
    while (res == 0 && *value != '\0') {
        size_t plain = strcspn(value, "%");
        fwrite(value, 1, plain, x->out);
        value += plain;
        if (*value == '\0')
            break;
        if (value[1] == '%') {
            fputc('%', x->out);
            value += 2;
        } else if (value[1] == '(') {
            value += 2;
            res = expand_name(x, &value, depth);
        } else {
            x->wrong = "a '%' stands alone; write \"%%\"";
            res = -EINVAL;
        }
    }
    return res;
}

int ini_value(const struct ini *ini, const struct ini_section *section,
              const struct ini_option *option, char **ret_value, char *problem, size_t problem_len)
{
    bool plain = !(ini->flags & INI_PERCENT_STRICT) && strstr(option->value, "%(") == NULL;
    if (plain) {
        *ret_value = start_text(slice_of(option->value));
        return 0;
    }
    char *text = NULL;
    size_t len = 0;
    struct expansion x = {.ini = ini, .section = section, .option = option};
    x.out = start_memory(open_memstream(&text, &len));
    int res = expand(&x, option->value, 1);
    bool no_memory = ferror(x.out) != 0;
    if (fclose(x.out) != 0 || no_memory)
        start_memory(NULL);
    if (res < 0) {
        snprintf(problem, problem_len, "%s:%u: [%s] %s: %s: %s",
                 option->file != NULL ? option->file : "", option->line, section->name,
                 option->name, option->value, x.wrong);
        free(text);
        return res;
    }
    *ret_value = text;
    return 0;
}
