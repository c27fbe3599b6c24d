/* SPDX-License-Identifier: Apache-2.0 */
/* check.c -- see check.h. */
#include "tools/audit/check.h"
#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/quarantine_note.h"
#include "tools/audit/halt.h"
#include "tools/audit/verify.h"

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
    int result;
};

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

static struct device *device_of(struct device_list *l, const char *path, const char **ret_rest)
{
    for (unsigned i = 0; i < l->count; i++) {
        size_t len = strlen(l->devices[i].sd.path);
        if (strncmp(path, l->devices[i].sd.path, len) == 0 && path[len] == '/') {
            *ret_rest = path + len + 1;
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

static void print_time(struct timestamp ts)
{
    char text[TIMESTAMP_TEXT_MAX], day[32];
    time_t s = (time_t)(ts.ticks / TIMESTAMP_TICKS_PER_S);
    struct tm tm;
    timestamp_internal(ts, text);
    gmtime_r(&s, &tm);
    strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S UTC", &tm);
    printf("%s (%s)", text, day);
}

static const char *kind_in_words(const struct select_entry *e)
{
    switch (e->file.kind) {
    case FILE_DATA:
        return e->file.fragment == FILE_NO_FRAGMENT ? "the body of an object"
               : e->file.durable                    ? "a durable fragment"
                                                    : "a fragment, not durable";
    case FILE_META:
        return "metadata of a later POST";
    case FILE_TOMBSTONE:
        return "a tombstone: the object was deleted";
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

static const char *verdict_in_words(const struct check *c, const struct selection *s, int i)
{
    const struct select_entry *e = &s->entries[i];
    if (filename_is_rsync_temp(slice_of(e->name)))
        return "rsync's temporary file: removed when old enough";
    if (e->verdict == VERDICT_FOREIGN)
        return "left alone";
    if (i == s->data)
        return "WINS: no newer body and no tombstone of this time or later";
    if (i == s->tombstone)
        return is_reclaimable(c, e) ? "WINS, but it is past reclaim_age: would be removed"
                                    : "WINS: nothing newer than it";
    if (i == s->meta)
        return i == s->ctype ? "applies: the newest metadata, with a newer content type"
                             : "applies: the newest metadata";
    if (i == s->ctype)
        return "applies for its content type, which is newer than the newest metadata's";
    if (e->verdict == VERDICT_OBSOLETE)
        return e->file.kind == FILE_OTHER ? "lost to a newer file; left alone"
                                          : "has lost to a newer file: would be removed";
    if (e->verdict == VERDICT_RECLAIM)
        return is_reclaimable(c, e) ? "belongs to nothing and is past reclaim_age: would be removed"
                                    : "belongs to nothing yet: kept until reclaim_age";
    return "kept";
}

static bool would_go(const struct check *c, const struct selection *s, int i)
{
    const struct select_entry *e = &s->entries[i];
    return filename_is_rsync_temp(slice_of(e->name)) ||
           (e->verdict == VERDICT_OBSOLETE && e->file.kind != FILE_OTHER) ||
           ((e->verdict == VERDICT_RECLAIM || i == s->tombstone) && is_reclaimable(c, e));
}

static void print_files(struct check *c, const struct selection *s)
{
    if (s->count == 0) {
        printf("It is empty: left by an aborted upload or a crash; would be removed.\n");
        c->result = c->result ? c->result : 1;
        return;
    }
    printf("%u file%s, newest first:\n", s->count, s->count == 1 ? "" : "s");
    for (unsigned i = 0; i < s->count; i++) {
        const struct select_entry *e = &s->entries[i];
        printf("  %s\n    %s", e->name, kind_in_words(e));
        if (e->file.kind != FILE_UNEXPECTED) {
            printf(", of ");
            print_time(e->file.timestamp);
        }
        printf("\n    %s\n", verdict_in_words(c, s, (int)i));
        if (would_go(c, s, (int)i) && c->result == 0)
            c->result = 1;
    }
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

static void print_metadata(const char *title, const struct metadata *m)
{
    if (!m)
        return;
    printf("%s:\n", title);
    for (unsigned i = 0; i < m->count; i++) {
        printf("  ");
        print_text(m->items[i].key);
        printf(": ");
        print_text(m->items[i].value);
        putchar('\n');
    }
}

/* ---- looking ---- */

static int on_damaged(void *arg, const struct object_place *p, const char *file, int fd,
                      const char *reason)
{
    struct check *c = arg;
    printf("DAMAGED: %s%s%s\n  An audit would quarantine the whole directory.\n", file ? file : "",
           file ? ": " : "", reason);
    c->result = 1;
    return 0;
}

static void check_body(struct check *c, const struct object_state *s)
{
    struct limiter unlimited;
    struct pace no_pace;
    struct verifier *v;
    struct verify_result found;
    limiter_init(&unlimited, 0);
    pace_init(&no_pace, 0);
    if (verifier_new(&no_pace, &unlimited, &v) < 0)
        return;
    int r = verify_body(v, s->fd, s->info.size, &found);
    const struct slice *etag = metadata_get(s->info.metadata, "ETag");
    if (r < 0) {
        printf("The body cannot be read: %s\n", strerror(-r));
        c->result = 2;
    } else if (etag && slice_eq(*etag, slice_of(found.md5))) {
        printf("The body is good: %llu bytes, MD5 %s as in the metadata.\n",
               (unsigned long long)found.bytes, found.md5);
    } else {
        printf("DAMAGED: the body's MD5 is %s, the metadata say %.*s.\n  An audit would quarantine "
               "the whole directory.\n",
               found.md5, etag ? (int)etag->len : 4, etag ? etag->at : "none");
        c->result = 1;
    }
    verifier_free(v);
    limiter_release(&unlimited);
}

static void print_state(struct check *c, const struct object_state *s)
{
    switch (s->info.state) {
    case DF_ABSENT:
        if (!s->info.quarantined)
            printf("There is no object: a GET answers 404.\n");
        return;
    case DF_DELETED:
        printf("The object was deleted at ");
        print_time(s->info.timestamp);
        printf(".\n");
        print_metadata("Metadata of the tombstone", &s->data);
        return;
    case DF_EXPIRED:
        printf("The object has expired (X-Delete-At): a GET answers 404.\n");
        break;
    case DF_LIVE:
        printf("The object is there, of ");
        print_time(s->info.timestamp);
        printf(", %llu bytes.\n", (unsigned long long)s->info.size);
        check_body(c, s);
        break;
    }
    print_metadata("Metadata, merged", s->info.metadata);
    if (s->info.has_meta)
        print_metadata("Metadata of the body's file alone", s->info.data_metadata);
}

static void print_place(const struct check *c)
{
    const char *name = c->place.dir + c->place.suffix_len + 1;
    printf("%s\n", c->place.dir);
    printf("Device %s, policy %u (%s), hash directory %s\n", c->device->name,
           c->place.policy->index, c->place.policy->erasure_coded ? "erasure-coded" : "replicated",
           name);
    if (strlen(name) == HASH_HEX_LEN &&
        strncmp(name + 29, c->place.dir + c->place.suffix_len - 3, 3) != 0)
        printf("It lies in the wrong suffix directory: its suffix is %s.\n", name + 29);
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
    select_release(&listed);
    object_state_release(&state);
    return c.result;
}
