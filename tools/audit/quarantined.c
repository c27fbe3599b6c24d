/* SPDX-License-Identifier: Apache-2.0 */
/* quarantined.c -- see quarantined.h; putting back: restore.c. */
#include "tools/audit/quarantined.h"
#include "server/node/python_json.h"
#include "tools/audit/halt.h"
#include "tools/audit/listing.h"
#include "tools/audit/quarantine_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define REMOVE_DEPTH_MAX 3 /* a suffix, its hash directories, their files */

/* ---- every entry ---- */

static int each_in(struct device *d, const struct df_policy *policy,
                   int (*each)(void *arg, const struct quarantine_entry *e), void *arg)
{
    struct quarantine_entry entry = {.device = d, .policy = policy};
    struct listing dir;
    struct listing_entry e;
    struct stat st;
    char objects[24], path[PATH_MAX];
    policy_path_component("objects", policy->index, objects);
    snprintf(path, sizeof(path), "%s/quarantined/%s", d->sd.path, objects);
    int r = listing_open(&dir, AT_FDCWD, path);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    while ((r = listing_next(&dir, &e)) > 0 && !halted()) {
        if (snprintf(entry.path, sizeof(entry.path), "%s/%s", path, e.name) >=
            (int)sizeof(entry.path))
            continue;
        entry.name = e.name;
        entry.kind = e.kind;
        entry.parent_fd = dir.fd;
        entry.noted = quarantine_note_read(entry.path, &entry.note) == 0;
        if (!entry.noted) {
            memset(&entry.note, 0, sizeof(entry.note));
            if (lstat(entry.path, &st) == 0)
                entry.note.time.ticks = (uint64_t)st.st_ctim.tv_sec * TIMESTAMP_TICKS_PER_S;
        }
        int res = each(arg, &entry);
        if (res < 0) {
            r = res;
            break;
        }
    }
    listing_close(&dir);
    return r;
}

int quarantine_each(struct settings *s, struct device_list *devices,
                    int (*each)(void *arg, const struct quarantine_entry *e), void *arg)
{
    int first_error = 0;
    for (unsigned i = 0; i < devices->count; i++)
        for (unsigned j = 0; j < s->store.options.policy_count; j++) {
            struct device *d = &devices->devices[i];
            int r = each_in(d, &s->store.options.policies[j], each, arg);
            if (r < 0) {
                fprintf(stderr, "objsrv-audit: %s/quarantined: %s\n", d->sd.path, strerror(-r));
                first_error = first_error ? first_error : r;
            }
        }
    return first_error;
}

/* ---- the list ---- */

struct listing_out {
    bool json;
    unsigned count;
};

static void time_text(struct timestamp ts, char text[32])
{
    time_t s = (time_t)(ts.ticks / TIMESTAMP_TICKS_PER_S);
    struct tm tm;
    gmtime_r(&s, &tm);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void print_json(const struct quarantine_entry *e)
{
    printf("{\"event\": \"in_quarantine\", \"device\": ");
    python_json_print_text(slice_of(e->device->name), stdout);
    printf(", \"policy\": %u, \"name\": ", e->policy->index);
    python_json_print_text(slice_of(e->name), stdout);
    printf(", \"path\": ");
    python_json_print_text(slice_of(e->path), stdout);
    printf(", \"time\": %.5f, \"from\": ", (double)e->note.time.ticks / TIMESTAMP_TICKS_PER_S);
    python_json_print_text(slice_of(e->note.from), stdout);
    printf(", \"reason\": ");
    python_json_print_text(slice_of(e->note.reason), stdout);
    puts("}");
}

static int list_one(void *arg, const struct quarantine_entry *e)
{
    struct listing_out *out = arg;
    char when[32];
    out->count++;
    if (out->json) {
        print_json(e);
        return 0;
    }
    time_text(e->note.time, when);
    printf("%s %s policy %u %s\n    from %s\n    %s\n", when, e->device->name, e->policy->index,
           e->name, e->noted ? e->note.from : "(not noted)",
           e->noted ? e->note.reason : "no reason noted: put away by another program");
    return 0;
}

int quarantined_list(struct settings *s, struct device_list *devices, bool json)
{
    struct listing_out out = {.json = json};
    int r = quarantine_each(s, devices, list_one, &out);
    if (!json)
        printf("%u in quarantine\n", out.count);
    return r < 0 ? 2 : out.count > 0;
}

/* ---- throwing away ---- */

double quarantined_age(const char *text)
{
    static const struct {
        char unit;
        double s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    char *end;
    double n = strtod(text, &end);
    if (end == text || !(n >= 0) || (end[0] && end[1]))
        return -1;
    if (n == 0 && *end == '\0')
        return 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (*end == units[i].unit)
            return n * units[i].s;
    return -1;
}

/* Links are removed, never followed; another file system is never entered. */
static int remove_tree(int parent_fd, const char *name, enum entry_kind kind, dev_t dev, int depth)
{
    struct listing dir;
    struct listing_entry e;
    struct stat st;
    if (kind != ENTRY_DIRECTORY)
        return unlinkat(parent_fd, name, 0) < 0 ? -errno : 0;
    if (depth > REMOVE_DEPTH_MAX)
        return -ELOOP;
    int r = listing_open(&dir, parent_fd, name);
    if (r < 0)
        return r;
    r = fstat(dir.fd, &st) < 0 ? -errno : st.st_dev != dev ? -EXDEV : 0;
    while (r == 0 && (r = listing_next(&dir, &e)) > 0)
        r = remove_tree(dir.fd, e.name, e.kind, dev, depth + 1);
    listing_close(&dir);
    if (r == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
        r = -errno;
    return r;
}

struct purge {
    double age_s;
    bool dry_run;
    unsigned count, failed;
};

static int purge_one(void *arg, const struct quarantine_entry *e)
{
    struct purge *p = arg;
    struct stat st;
    double age_s = trusted_now_s(NULL) - (double)e->note.time.ticks / TIMESTAMP_TICKS_PER_S;
    if (age_s < p->age_s)
        return 0;
    int r = fstat(e->parent_fd, &st) < 0 ? -errno : 0;
    if (r == 0 && !p->dry_run)
        r = remove_tree(e->parent_fd, e->name, e->kind, st.st_dev, 0);
    if (r < 0) {
        fprintf(stderr, "objsrv-audit: %s: %s\n", e->path, strerror(-r));
        p->failed++;
        return 0;
    }
    p->count++;
    printf("%s %s (%.1f days old)\n", p->dry_run ? "would throw away" : "threw away", e->path,
           age_s / 86400);
    return 0;
}

int quarantined_purge(struct settings *s, struct device_list *devices, const char *older_than,
                      bool dry_run)
{
    struct purge p = {.age_s = quarantined_age(older_than), .dry_run = dry_run};
    if (p.age_s < 0) {
        fprintf(stderr,
                "objsrv-audit: --older-than=%s: expected a number and its unit: s, m, h, d or w\n",
                older_than);
        return 64;
    }
    int r = quarantine_each(s, devices, purge_one, &p);
    printf("%u %s\n", p.count, dry_run ? "would go" : "gone");
    return r < 0 || p.failed ? 2 : p.count > 0;
}
