/* SPDX-License-Identifier: Apache-2.0 */
/* devices.c -- recon's sources that look at the devices: always by the mount test, whatever
 * mount_check says, since an operator asks for just that. */
#include "server/node/log.h"
#include "server/recon/sources.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static bool is_stub(const char *path)
{
    char stub[PATH_MAX];
    struct stat st;
    return snprintf(stub, sizeof(stub), "%s/.ismount", path) < (int)sizeof(stub) &&
           stat(stub, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_mount(const char *path)
{
    char parent[PATH_MAX];
    struct stat st, up;
    if (lstat(path, &st) < 0)
        return false;
    if (S_ISLNK(st.st_mode))
        return is_stub(path);
    if (snprintf(parent, sizeof(parent), "%s/..", path) >= (int)sizeof(parent) ||
        lstat(parent, &up) < 0)
        return false;
    return st.st_dev != up.st_dev || st.st_ino == up.st_ino || is_stub(path);
}

/* What quoting leaves as it is. */
static bool is_plain_name(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_.-~";
    return name[strspn(name, plain)] == '\0';
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* One call per entry of `directory`. */
static int each_entry(const char *directory,
                      void (*each)(void *arg, const char *name, const char *path), void *arg)
{
    char path[PATH_MAX];
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return -errno;
    errno = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", directory, e->d_name) < (int)sizeof(path))
            each(arg, e->d_name, path);
    }
    int res = -errno;
    closedir(dir);
    return res;
}

/* ---- devices ---- */

static void put_name(void *arg, const char *name, const char *path)
{
    json_text(arg, slice_of(name));
}

int recon_devices(struct json *j, const struct recon_places *p)
{
    struct json list;
    size_t len;
    json_init(&list);
    json_array(&list);
    int res = each_entry(p->devices, put_name, &list);
    json_end_array(&list);
    char *text = json_take(&list, &len);
    json_object(j);
    json_key(j, slice_of(p->devices));
    if (res == 0 && text != NULL) {
        json_copy(j, (struct slice){text, len});
    } else {
        log_line(LOG_LEVEL_ERROR, "Error listing devices: %s: %s", p->devices, strerror(-res));
        json_null(j);
    }
    json_end_object(j);
    free(text);
    return 0;
}

/* ---- unmounted, diskusage ---- */

static void begin_device(struct json *j, const char *name, bool mounted)
{
    json_object(j);
    json_key(j, SLICE("device"));
    json_text(j, slice_of(name));
    json_key(j, SLICE("mounted"));
    json_bool(j, mounted);
}

static void put_unmounted(void *arg, const char *name, const char *path)
{
    if (!is_directory(path) || (is_plain_name(name) && is_mount(path)))
        return;
    begin_device(arg, name, false);
    json_end_object(arg);
}

int recon_unmounted(struct json *j, const struct recon_places *p)
{
    json_array(j);
    int res = each_entry(p->devices, put_unmounted, j);
    json_end_array(j);
    return res;
}

static void put_sizes(struct json *j, const struct statvfs *fs)
{
    const int64_t block = (int64_t)fs->f_bsize;
    json_key(j, SLICE("size"));
    json_int(j, block * (int64_t)fs->f_blocks);
    json_key(j, SLICE("used"));
    json_int(j, block * (int64_t)(fs->f_blocks - fs->f_bavail));
    json_key(j, SLICE("avail"));
    json_int(j, block * (int64_t)fs->f_bavail);
}

static void put_usage(void *arg, const char *name, const char *path)
{
    static const char *const sizes[] = {"size", "used", "avail"};
    struct json *j = arg;
    struct statvfs fs;
    if (!is_directory(path))
        return;
    bool mounted = is_plain_name(name) && is_mount(path) && statvfs(path, &fs) == 0;
    begin_device(j, name, mounted);
    if (mounted)
        put_sizes(j, &fs);
    for (unsigned i = 0; !mounted && i < 3; i++) {
        json_key(j, slice_of(sizes[i]));
        json_text(j, SLICE(""));
    }
    json_end_object(j);
}

int recon_disk_usage(struct json *j, const struct recon_places *p)
{
    json_array(j);
    int res = each_entry(p->devices, put_usage, j);
    json_end_array(j);
    return res;
}

/* ---- quarantined ---- */

#define POLICIES_MOST 64

struct quarantined {
    int64_t objects, containers, accounts;
    unsigned count;
    struct {
        char key[24]; /* as in the directory's name */
        int64_t objects;
    } policies[POLICIES_MOST];
};

static void count_objects(struct quarantined *q, const char *key, int64_t found)
{
    unsigned i = 0;
    while (i < q->count && strcmp(q->policies[i].key, key) != 0)
        i++;
    q->objects += found;
    if (i == POLICIES_MOST || strlen(key) >= sizeof(q->policies[i].key))
        return;
    if (i == q->count)
        strcpy(q->policies[q->count++].key, key);
    q->policies[i].objects += found;
}

/* A link for each directory in it, and two of its own. */
static void count_kind(void *arg, const char *name, const char *path)
{
    struct quarantined *q = arg;
    struct stat st;
    if (lstat(path, &st) < 0 || st.st_nlink <= 2)
        return;
    int64_t found = (int64_t)st.st_nlink - 2;
    if (strncmp(name, "objects", 7) == 0)
        count_objects(q, strchr(name, '-') != NULL ? strchr(name, '-') + 1 : "0", found);
    else if (strcmp(name, "containers") == 0)
        q->containers += found;
    else if (strcmp(name, "accounts") == 0)
        q->accounts += found;
}

static void count_device(void *arg, const char *name, const char *path)
{
    char quarantine[PATH_MAX];
    if (snprintf(quarantine, sizeof(quarantine), "%s/quarantined", path) < (int)sizeof(quarantine))
        (void)each_entry(quarantine, count_kind, arg); /* most devices have none */
}

static void put_count(struct json *j, const char *key, int64_t count)
{
    json_key(j, slice_of(key));
    json_int(j, count);
}

int recon_quarantined(struct json *j, const struct recon_places *p)
{
    struct quarantined q = {.count = 0};
    int res = each_entry(p->devices, count_device, &q);
    if (res < 0)
        return res;
    json_object(j);
    put_count(j, "objects", q.objects);
    put_count(j, "containers", q.containers);
    put_count(j, "accounts", q.accounts);
    json_key(j, SLICE("policies"));
    json_object(j);
    for (unsigned i = 0; i < q.count; i++) {
        json_key(j, slice_of(q.policies[i].key));
        json_object(j);
        put_count(j, "objects", q.policies[i].objects);
        json_end_object(j);
    }
    json_end_object(j);
    json_end_object(j);
    return 0;
}
