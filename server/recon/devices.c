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
#include <string.h>
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

/* One call per entry of `directory`; the first that says -errno ends it. */
static int each_entry(const char *directory,
                      int (*each)(void *arg, const char *name, const char *path), void *arg)
{
    char path[PATH_MAX];
    int res = 0;
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return -errno;
    errno = 0;
    for (struct dirent *e; res == 0 && (e = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", directory, e->d_name) < (int)sizeof(path))
            res = each(arg, e->d_name, path);
    }
    res = res < 0 ? res : -errno;
    closedir(dir);
    return res;
}

/* A list with what `each` appends. */
static int list_devices(const struct recon_places *p,
                        int (*each)(void *list, const char *name, const char *path), json_t **ret)
{
    json_t *list = json_array();
    int res = list != NULL ? each_entry(p->devices, each, list) : -ENOMEM;
    if (res == 0)
        *ret = list;
    else
        json_decref(list);
    return res;
}

static int append(json_t *list, json_t *take_value)
{
    return json_array_append_new(list, take_value) < 0 ? -ENOMEM : 0;
}

/* A name may be no UTF-8. */
static json_t *name_value(const char *name)
{
    return json_stringn_nocheck(name, strlen(name));
}

/* ---- devices ---- */

static int add_name(void *list, const char *name, const char *path)
{
    return append(list, name_value(name));
}

int recon_devices(const struct recon_places *p, json_t **ret)
{
    json_t *names = NULL, *devices = json_object();
    int res = list_devices(p, add_name, &names);
    if (res < 0)
        log_line(LOG_LEVEL_ERROR, "Error listing devices: %s: %s", p->devices, strerror(-res));
    res = json_object_set_new_nocheck(devices, p->devices, res == 0 ? names : json_null());
    if (res == 0)
        *ret = devices;
    else
        json_decref(devices);
    return res == 0 ? 0 : -ENOMEM;
}

/* ---- unmounted, diskusage ---- */

static int add_unmounted(void *list, const char *name, const char *path)
{
    if (!is_directory(path) || (is_plain_name(name) && is_mount(path)))
        return 0;
    return append(list, json_pack("{s:o, s:b}", "device", name_value(name), "mounted", 0));
}

int recon_unmounted(const struct recon_places *p, json_t **ret)
{
    return list_devices(p, add_unmounted, ret);
}

static json_t *usage(const char *name, const struct statvfs *fs)
{
    const json_int_t block = (json_int_t)fs->f_bsize, size = block * (json_int_t)fs->f_blocks,
                     avail = block * (json_int_t)fs->f_bavail;
    return json_pack("{s:o, s:b, s:I, s:I, s:I}", "device", name_value(name), "mounted", 1, "size",
                     size, "used", size - avail, "avail", avail);
}

static json_t *no_usage(const char *name)
{
    return json_pack("{s:o, s:b, s:s, s:s, s:s}", "device", name_value(name), "mounted", 0, "size",
                     "", "used", "", "avail", "");
}

static int add_usage(void *list, const char *name, const char *path)
{
    struct statvfs fs;
    if (!is_directory(path))
        return 0;
    bool mounted = is_plain_name(name) && is_mount(path) && statvfs(path, &fs) == 0;
    return append(list, mounted ? usage(name, &fs) : no_usage(name));
}

int recon_disk_usage(const struct recon_places *p, json_t **ret)
{
    return list_devices(p, add_usage, ret);
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
static int count_kind(void *arg, const char *name, const char *path)
{
    struct quarantined *q = arg;
    struct stat st;
    if (lstat(path, &st) < 0 || st.st_nlink <= 2)
        return 0;
    int64_t found = (int64_t)st.st_nlink - 2;
    if (strncmp(name, "objects", 7) == 0)
        count_objects(q, strchr(name, '-') != NULL ? strchr(name, '-') + 1 : "0", found);
    else if (strcmp(name, "containers") == 0)
        q->containers += found;
    else if (strcmp(name, "accounts") == 0)
        q->accounts += found;
    return 0;
}

static int count_device(void *arg, const char *name, const char *path)
{
    char quarantine[PATH_MAX];
    if (snprintf(quarantine, sizeof(quarantine), "%s/quarantined", path) < (int)sizeof(quarantine))
        (void)each_entry(quarantine, count_kind, arg); /* most devices have none */
    return 0;
}

static json_t *quarantined_value(const struct quarantined *q)
{
    json_t *policies = json_object();
    bool failed = policies == NULL;
    for (unsigned i = 0; i < q->count; i++)
        failed |= json_object_set_new_nocheck(
                      policies, q->policies[i].key,
                      json_pack("{s:I}", "objects", (json_int_t)q->policies[i].objects)) < 0;
    if (failed) {
        json_decref(policies);
        return NULL;
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "objects", (json_int_t)q->objects, "containers",
                     (json_int_t)q->containers, "accounts", (json_int_t)q->accounts, "policies",
                     policies);
}

int recon_quarantined(const struct recon_places *p, json_t **ret)
{
    struct quarantined q = {.count = 0};
    int res = each_entry(p->devices, count_device, &q);
    if (res < 0)
        return res;
    *ret = quarantined_value(&q);
    return *ret != NULL ? 0 : -ENOMEM;
}
