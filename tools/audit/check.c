/* SPDX-License-Identifier: Apache-2.0 */
/* check.c -- see check.h. */
#include "tools/audit/check.h"
#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/quarantine_note.h"
#include "diskfile/format/number.h"
#include "tools/audit/body.h"
#include "tools/audit/halt.h"
#include "tools/audit/orphans.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NO_SUCH_PATH 64

struct check {
    struct settings *settings;
    struct device *device;
    struct object_place place;
    bool misplaced;      /* not in its own suffix directory */
    const char *verdict; /* the last line; NULL: all is well */
    int result;
};

/* The worst that was found makes the exit status and the verdict. */
static void conclude(struct check *c, int result, const char *verdict)
{
    bool damage_over_dirt = result == 1 && c->result == 1 && verdict[0] == 'D';
    if (c->verdict && result <= c->result && !damage_over_dirt)
        return;
    c->result = result;
    c->verdict = verdict;
}

/* ---- which directory ---- */

static int split(char *rest, char *parts[4])
{
    char *save = NULL;
    int n = 0;
    for (char *p = strtok_r(rest, "/", &save); p && n < 4; p = strtok_r(NULL, "/", &save))
        parts[n++] = p;
    return n;
}

static const struct df_policy *policy_of(const struct settings *s, const char *objects)
{
    char name[24];
    for (unsigned i = 0; i < s->store.options.policy_count; i++) {
        policy_path_component("objects", s->store.options.policies[i].index, name);
        if (strcmp(name, objects) == 0)
            return &s->store.options.policies[i];
    }
    return NULL;
}

static bool is_same_directory(const char *a, const char *b)
{
    struct stat x, y;
    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* By whatever name it goes: some beginning of the path is the device. */
static struct device *device_of(struct device_list *l, const char *path, const char **ret_rest)
{
    char beginning[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(beginning, sizeof(beginning), "%.*s", (int)(slash - path), path);
        for (unsigned i = 0; i < l->count; i++)
            if (is_same_directory(beginning, l->devices[i].sd.path)) {
                *ret_rest = slash + 1;
                return &l->devices[i];
            }
    }
    return NULL;
}

static int find_place(struct check *c, struct device_list *devices, const char *given)
{
    char path[PATH_MAX], cwd[PATH_MAX], *parts[4];
    const char *rest;
    if (given[0] == '/' || !getcwd(cwd, sizeof(cwd)))
        cwd[0] = '\0';
    if (snprintf(path, sizeof(path), "%s%s%s", cwd, cwd[0] ? "/" : "", given) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    c->device = device_of(devices, path, &rest);
    if (!c->device)
        return -ENODEV;
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", rest);
    if (split(copy, parts) < 4)
        return -ENOTDIR;
    const struct df_policy *policy = policy_of(c->settings, parts[0]);
    if (!policy || strlen(parts[2]) != 3)
        return -EINVAL;
    return place_of_directory(&c->settings->store, &c->device->sd, policy, slice_of(parts[1]),
                              slice_of(parts[2]), slice_of(parts[3]), &c->place);
}

/* ---- words ---- */

static void print_day(time_t s)
{
    char day[64];
    struct tm tm;
    if (gmtime_r(&s, &tm) && strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S UTC", &tm) > 0)
        fputs(day, stdout);
    else
        fputs("a time out of range", stdout);
}

static void print_time(struct timestamp ts)
{
    print_day((time_t)(ts.ticks / TIMESTAMP_TICKS_PER_S));
}

static const char *kind_in_words(const struct select_entry *e)
{
    switch (e->file.kind) {
    case FILE_DATA:
        return e->file.fragment == FILE_NO_FRAGMENT ? "the body of an object"
               : e->file.durable                    ? "a durable fragment"
                                                    : "a fragment, not durable";
    case FILE_META:
        return "metadata of a POST";
    case FILE_TOMBSTONE:
        return "a tombstone: deleted";
    case FILE_DURABLE:
        return "a mark of old: fragments of this time are durable";
    case FILE_OTHER:
        return "a time with an extension nobody knows";
    case FILE_UNEXPECTED:
        return "no file of an object";
    }
    return "";
}

static bool is_reclaimable(const struct check *c, const struct select_entry *e)
{
    double t = (double)e->file.timestamp.ticks / TIMESTAMP_TICKS_PER_S;
    return trusted_now_s(NULL) - t > (double)c->settings->store.options.reclaim_age_s;
}

/* As what a sweep would take this file, if not yet for its age. false: it stays. */
static bool class_of(const struct check *c, const struct selection *s, int i, enum sweep_class *ret)
{
    const struct select_entry *e = &s->entries[i];
    bool obsolete = e->verdict == VERDICT_OBSOLETE && e->file.kind != FILE_OTHER;
    bool rsync = filename_is_rsync_temp(slice_of(e->name));
    *ret = rsync                       ? SWEEP_RSYNC_TMP
           : obsolete                  ? SWEEP_OBSOLETE
           : i == s->tombstone         ? SWEEP_TOMBSTONE
           : e->file.kind == FILE_DATA ? SWEEP_FRAGMENT
                                       : SWEEP_META;
    return rsync || obsolete ||
           ((e->verdict == VERDICT_RECLAIM || i == s->tombstone) && is_reclaimable(c, e));
}

/* What the rules of the format make of it. */
static const char *verdict_in_words(const struct check *c, const struct selection *s, int i)
{
    const struct select_entry *e = &s->entries[i];
    if (filename_is_rsync_temp(slice_of(e->name)))
        return "rsync's temporary file";
    if (e->verdict == VERDICT_FOREIGN)
        return "not understood: left alone";
    if (i == s->data)
        return "WINS: no newer body, and no tombstone of this time or later";
    if (i == s->tombstone)
        return is_reclaimable(c, e) ? "WINS: nothing is newer; but it is past reclaim_age"
                                    : "WINS: nothing is newer; kept until reclaim_age";
    if (i == s->meta)
        return i == s->ctype ? "APPLIES: the newest metadata, with a newer content type"
                             : "APPLIES: the newest metadata";
    if (i == s->ctype)
        return "APPLIES for its content type, which is newer than the newest metadata's";
    if (e->verdict == VERDICT_OBSOLETE)
        return e->file.kind == FILE_OTHER ? "LOST to a newer file; not understood: left alone"
                                          : "LOST to a newer file";
    if (e->verdict == VERDICT_RECLAIM)
        return is_reclaimable(c, e) ? "belongs to nothing, and is past reclaim_age"
                                    : "belongs to nothing yet: kept until reclaim_age";
    return "kept";
}

static void print_duration(double s)
{
    if (s < 120)
        printf("%.0f s", s);
    else if (s < 7200)
        printf("%.0f min", s / 60);
    else if (s < 172800)
        printf("%.1f h", s / 3600);
    else
        printf("%.1f days", s / 86400);
}

/* When a sweep removes `path`, which has not been touched since. */
static void print_removal(struct check *c, enum sweep_class class, const char *path)
{
    struct stat st;
    double limit_s = orphan_age_limit(c->settings, class);
    if (c->misplaced) {
        printf("A sweep leaves it, here where it is misplaced.\n");
        return;
    }
    if (limit_s == AGE_OFF) {
        printf("A sweep leaves it: this class (%s) is switched off.\n", sweep_class_name(class));
        return;
    }
    conclude(c, 1, "a sweep would clean up here");
    double wait_s =
        lstat(path, &st) < 0 ? 0 : limit_s - (trusted_now_s(NULL) - orphan_time(class, &st));
    if (wait_s <= 0) {
        printf("A sweep would remove it now.\n");
        return;
    }
    printf("A sweep would remove it once it has lain here for another ");
    print_duration(wait_s);
    printf(".\n");
}

static void print_file(struct check *c, const struct selection *s, int i)
{
    const struct select_entry *e = &s->entries[i];
    char path[PATH_MAX + 256];
    enum sweep_class class;
    printf("  %s\n    %s", e->name, kind_in_words(e));
    if (e->file.kind != FILE_UNEXPECTED) {
        printf(", ");
        print_time(e->file.timestamp);
    }
    printf("\n    %s\n", verdict_in_words(c, s, i));
    if (e->verdict == VERDICT_FOREIGN && !filename_is_rsync_temp(slice_of(e->name)))
        conclude(c, 1, "something lies here that is not understood, and is left alone");
    if (!class_of(c, s, i, &class))
        return;
    snprintf(path, sizeof(path), "%s/%s", c->place.dir, e->name);
    printf("    ");
    print_removal(c, class, path);
}

static void print_files(struct check *c, const struct selection *s)
{
    if (s->count == 0) {
        printf("It is empty: left by an aborted upload, a crash or a sweep.\n");
        print_removal(c, SWEEP_EMPTY_HASH, c->place.dir);
        return;
    }
    printf("%u file%s%s:\n", s->count, s->count == 1 ? "" : "s",
           s->count == 1 ? "" : ", newest first");
    for (unsigned i = 0; i < s->count; i++)
        print_file(c, s, (int)i);
}

static void print_text(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char b = (unsigned char)text.at[i];
        if (b < 0x20 || b == 0x7f || b == '\\')
            printf("\\x%02x", b);
        else
            putchar(b);
    }
}

/* Seconds since 1970 in words. */
static void print_meaning(struct slice key, struct slice value)
{
    struct number n;
    bool is_time = slice_eq(key, SLICE("X-Timestamp")) || slice_eq(key, SLICE("X-Delete-At")) ||
                   slice_eq(key, SLICE("Content-Type-Timestamp"));
    const char *end = memchr(value.at, '.', value.len);
    struct slice seconds = {value.at, end ? (size_t)(end - value.at) : value.len};
    if (!is_time || number_parse(seconds, 10, &n) < 0 || n.negative)
        return;
    printf("   (");
    print_day((time_t)n.magnitude);
    putchar(')');
}

static void print_metadata(const char *title, const struct metadata *m)
{
    if (!m)
        return;
    printf("\n%s:\n", title);
    for (unsigned i = 0; i < m->count; i++) {
        printf("  ");
        print_text(m->items[i].key);
        printf(": ");
        print_text(m->items[i].value);
        print_meaning(m->items[i].key, m->items[i].value);
        putchar('\n');
    }
}

/* ---- looking ---- */

static int on_damaged(void *arg, const struct object_place *p, const char *file, int fd,
                      const char *reason)
{
    struct check *c = arg;
    printf("DAMAGED: %s%s%s\n", file ? file : "", file ? ": " : "", reason);
    conclude(c, 1, "DAMAGED: an audit would quarantine the whole directory");
    return 0;
}

static void check_body(struct check *c, const struct object_state *s)
{
    struct verify_result found;
    char reason[REASON_MAX];
    int r = body_judge_at_once(s, c->place.policy, &found, reason);
    if (r == 0) {
        printf("The body is good: %llu bytes, MD5 %s as in the metadata.\n",
               (unsigned long long)found.bytes, found.md5);
    } else if (r == -EBADMSG) {
        (void)on_damaged(c, &c->place, s->file, s->fd, reason);
    } else {
        printf("The body cannot be judged: %s\n",
               r == -EINVAL ? "there is no ETag in the metadata" : strerror(-r));
        conclude(c, 2, "not to be told");
    }
}

static void print_state(struct check *c, const struct object_state *s)
{
    switch (s->info.state) {
    case DF_ABSENT:
        if (!s->info.quarantined)
            printf("\nThere is no object: a GET answers 404.\n");
        return;
    case DF_DELETED:
        printf("\nThe object was deleted, ");
        print_time(s->info.timestamp);
        printf(": a GET answers 404.\n");
        print_metadata("Metadata of the tombstone", &s->data);
        return;
    case DF_EXPIRED:
        printf("\nThe object has expired (X-Delete-At): a GET answers 404.\n");
        break;
    case DF_LIVE:
        printf("\nThe object is there: %llu bytes, last changed ",
               (unsigned long long)s->info.size);
        print_time(s->info.timestamp);
        printf(".\n");
        check_body(c, s);
        break;
    }
    print_metadata("Metadata, merged", s->info.metadata);
    if (s->info.has_meta)
        print_metadata("Metadata of the body's file alone", s->info.data_metadata);
}

static void print_place(struct check *c)
{
    const char *name = c->place.dir + c->place.suffix_len + 1;
    printf("%s\n", c->place.dir);
    printf("Device %s, policy %u (%s), directory %s\n\n", c->device->name, c->place.policy->index,
           c->place.policy->erasure_coded ? "erasure-coded" : "replicated", name);
    c->misplaced = strlen(name) == HASH_HEX_LEN &&
                   strncmp(name + 29, c->place.dir + c->place.suffix_len - 3, 3) != 0;
    if (!c->misplaced)
        return;
    printf("It is misplaced: its suffix is %s, where every server looks for it.\n\n", name + 29);
    conclude(c, 1, "misplaced; an audit examines it where it is, a sweep leaves it");
}

int check_path(struct settings *s, struct device_list *devices, const char *path)
{
    struct check c = {.settings = s};
    struct object_state state;
    struct selection listed;
    struct stat st;
    int r = find_place(&c, devices, path);
    if (r < 0) {
        fprintf(
            stderr,
            "objsrv-audit: %s: expected <device>/objects[-N]/<partition>/<suffix>/<hash> on one of "
            "the configured devices\n",
            path);
        return NO_SUCH_PATH;
    }
    print_place(&c);
    if (lstat(c.place.dir, &st) < 0) {
        printf("It is not there: %s.\n", strerror(errno));
        return 2;
    }
    if (S_ISLNK(st.st_mode)) {
        printf("It is a symbolic link, which is never followed.\n");
        return 1;
    }
    const char *name = c.place.dir + c.place.suffix_len + 1;
    if (strlen(name) != HASH_HEX_LEN || strspn(name, "0123456789abcdef") != HASH_HEX_LEN) {
        printf("It is no hash directory, whose names are 32 hex digits: left alone.\n");
        return 1;
    }
    struct load_spec spec = {.now = trusted_now(),
                             .keep_fd = true,
                             .by_directory = true,
                             .damaged = on_damaged,
                             .damaged_arg = &c,
                             .ret_selection = &listed};
    r = hashdir_load(&c.place, &spec, &state);
    if (r < 0) {
        printf("It cannot be examined: %s\n",
               r == -EINVAL ? "metadata without name" : strerror(-r));
        return 2;
    }
    if (S_ISDIR(st.st_mode))
        print_files(&c, &listed);
    print_state(&c, &state);
    printf("\nVerdict: %s.\n", c.verdict ? c.verdict : "all is well");
    select_release(&listed);
    object_state_release(&state);
    return c.result;
}
