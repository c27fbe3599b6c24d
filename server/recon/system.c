/* SPDX-License-Identifier: Apache-2.0 */
/* system.c -- recon's sources that are files: /proc, the daemons' caches, rings, swift.conf. */
#include "diskfile/slice.h"
#include "server/node/log.h"
#include "server/recon/sources.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- files ---- */

static int read_open(int fd, char **ret_text, size_t *ret_len)
{
    size_t len = 0, room = 4096;
    char *text = malloc(room);
    ssize_t n = 1;
    if (text == NULL)
        return -ENOMEM;
    while (n > 0) {
        if (len + 1 == room) {
            char *bigger = room < RECON_FILE_MAX ? realloc(text, room * 2) : NULL;
            if (bigger == NULL)
                break;
            text = bigger;
            room *= 2;
        }
        n = read(fd, text + len, room - len - 1);
        if (n > 0)
            len += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (n != 0) {
        int err = n < 0 ? -errno : -EFBIG;
        free(text);
        return err;
    }
    text[len] = '\0';
    *ret_text = text;
    *ret_len = len;
    return 0;
}

int recon_read_file(const char *path, char **ret_text, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int res = read_open(fd, ret_text, ret_len);
    close(fd);
    return res;
}

/* Hex, or -errno. In pieces: a ring may be large. */
static int md5_of_file(const char *path, char hex[33])
{
    unsigned char digest[16], block[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    ssize_t n = md5 != NULL && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1 ? 1 : -1;
    int res = n < 0 ? -ENOMEM : 0;
    while (n > 0 && (n = read(fd, block, sizeof(block))) > 0)
        (void)EVP_DigestUpdate(md5, block, (size_t)n); /* MD5 cannot fail here */
    if (n < 0 && res == 0)
        res = -errno;
    if (res == 0)
        (void)EVP_DigestFinal_ex(md5, digest, NULL);
    EVP_MD_CTX_free(md5);
    close(fd);
    for (unsigned i = 0; i < sizeof(digest) && res == 0; i++)
        snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
    return res;
}

/* A set that fails has freed its value; one that gets NULL had no memory for it. */
static int result(bool failed, json_t *value, json_t **ret)
{
    if (failed) {
        json_decref(value);
        return -ENOMEM;
    }
    *ret = value;
    return 0;
}

/* ---- the daemons' numbers ---- */

static json_t *read_cache(const char *path, bool may_be_missing)
{
    char *text = NULL;
    size_t len = 0;
    int res = recon_read_file(path, &text, &len);
    if (res < 0 && !(res == -ENOENT && may_be_missing))
        log_line(LOG_LEVEL_ERROR, "Error reading recon cache file: %s: %s", path, strerror(-res));
    if (res < 0)
        return NULL;
    json_error_t error;
    json_t *cache = json_loadb(text, len, JSON_ALLOW_NUL, &error);
    free(text);
    if (json_is_object(cache))
        return cache;
    log_line(LOG_LEVEL_ERROR, "Error parsing recon cache file: %s: %s", path,
             cache == NULL ? error.text : "no object");
    json_decref(cache);
    return NULL;
}

int recon_cached(const char *directory, const char *file, const char *const *keys,
                 bool may_be_missing, json_t **ret)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    json_t *cache = read_cache(path, may_be_missing), *wanted = json_object();
    bool failed = wanted == NULL;
    for (; *keys != NULL; keys++) {
        json_t *found = json_object_get(cache, *keys);
        failed |= json_object_set(wanted, *keys, found != NULL ? found : json_null()) < 0;
    }
    json_decref(cache);
    return result(failed, wanted, ret);
}

/* ---- /proc ---- */

static struct slice trimmed(const char *from, const char *end)
{
    while (from < end && strchr(" \t\n", *from) != NULL)
        from++;
    while (end > from && strchr(" \t\n", end[-1]) != NULL)
        end--;
    return (struct slice){from, (size_t)(end - from)};
}

int recon_mem(const struct recon_places *p, json_t **ret)
{
    char *text = NULL;
    size_t len = 0;
    int res = recon_read_file("/proc/meminfo", &text, &len);
    if (res < 0)
        return res;
    assert(text != NULL);
    json_t *sizes = json_object();
    bool failed = sizes == NULL;
    for (char *line = text, *end; *line != '\0'; line = end + (*end == '\n')) {
        end = line + strcspn(line, "\n");
        char *colon = memchr(line, ':', (size_t)(end - line));
        if (colon == NULL)
            continue;
        struct slice size = trimmed(colon + 1, end);
        *colon = '\0';
        failed |= json_object_set_new(sizes, line, json_stringn(size.at, size.len)) < 0;
    }
    free(text);
    return result(failed, sizes, ret);
}

int recon_load(const struct recon_places *p, json_t **ret)
{
    char *text = NULL, tasks[64];
    double load[3];
    long long processes;
    size_t len = 0;
    int res = recon_read_file("/proc/loadavg", &text, &len);
    if (res < 0)
        return res;
    int fields =
        sscanf(text, "%lf %lf %lf %63s %lld", &load[0], &load[1], &load[2], tasks, &processes);
    free(text);
    if (fields != 5)
        return -EINVAL;
    *ret = json_pack("{s:f, s:f, s:f, s:s, s:I}", "1m", load[0], "5m", load[1], "15m", load[2],
                     "tasks", tasks, "processes", (json_int_t)processes);
    return *ret != NULL ? 0 : -ENOMEM;
}

int recon_mounted(const struct recon_places *p, json_t **ret)
{
    char *text = NULL, *rest, *words;
    size_t len = 0;
    int res = recon_read_file("/proc/mounts", &text, &len);
    if (res < 0)
        return res;
    json_t *mounts = json_array();
    bool failed = mounts == NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *device = strtok_r(line, " \t", &words), *path = strtok_r(NULL, " \t", &words);
        if (path == NULL)
            continue;
        json_t *mount =
            json_pack("{s:o, s:o}", "device", json_stringn_nocheck(device, strlen(device)), "path",
                      json_stringn_nocheck(path, strlen(path)));
        failed |= json_array_append_new(mounts, mount) < 0;
    }
    free(text);
    return result(failed, mounts, ret);
}

static int put_number(json_t *object, const char *key, int64_t value)
{
    return json_object_set_new(object, key, json_integer(value));
}

static int put_tcp(json_t *object, const char *text)
{
    long long in_use, orphan, time_wait, allocated, pages;
    const char *line = strstr(text, "TCP: inuse");
    if (line == NULL || sscanf(line, "TCP: inuse %lld orphan %lld tw %lld alloc %lld mem %lld",
                               &in_use, &orphan, &time_wait, &allocated, &pages) != 5)
        return 0;
    bool failed = put_number(object, "tcp_in_use", in_use) < 0;
    failed |= put_number(object, "orphan", orphan) < 0;
    failed |= put_number(object, "time_wait", time_wait) < 0;
    failed |= put_number(object, "tcp_mem_allocated_bytes", pages * sysconf(_SC_PAGESIZE)) < 0;
    return failed ? -ENOMEM : 0;
}

static int put_tcp6(json_t *object, const char *text)
{
    long long in_use;
    const char *line = strstr(text, "TCP6: inuse");
    if (line == NULL || sscanf(line, "TCP6: inuse %lld", &in_use) != 1)
        return 0;
    return put_number(object, "tcp6_in_use", in_use) < 0 ? -ENOMEM : 0;
}

static int put_sockstat(json_t *object, const char *path, int (*put)(json_t *, const char *text))
{
    char *text = NULL;
    size_t len = 0;
    int res = recon_read_file(path, &text, &len);
    if (res < 0)
        return res == -ENOENT ? 0 : res;
    res = put(object, text);
    free(text);
    return res;
}

int recon_sockstat(const struct recon_places *p, json_t **ret)
{
    json_t *numbers = json_object();
    int res = numbers != NULL ? 0 : -ENOMEM;
    if (res == 0)
        res = put_sockstat(numbers, "/proc/net/sockstat", put_tcp);
    if (res == 0)
        res = put_sockstat(numbers, "/proc/net/sockstat6", put_tcp6);
    if (res == 0)
        *ret = numbers;
    else
        json_decref(numbers);
    return res;
}

int recon_time(const struct recon_places *p, json_t **ret)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret = json_real((double)now.tv_sec + (double)now.tv_nsec / 1e9);
    return *ret != NULL ? 0 : -ENOMEM;
}

/* ---- what must be the same on all nodes ---- */

int recon_version(const struct recon_places *p, json_t **ret)
{
    *ret = json_pack("{s:s}", "version", OBJSRV_VERSION);
    return *ret != NULL ? 0 : -ENOMEM;
}

static bool put_md5(json_t *object, const char *path, bool only_existing)
{
    char hex[33];
    struct stat st;
    if (only_existing && stat(path, &st) < 0)
        return true;
    int res = md5_of_file(path, hex);
    if (res < 0 && res != -ENOENT)
        log_line(LOG_LEVEL_ERROR, "Error reading %s: %s", path, strerror(-res));
    return json_object_set_new_nocheck(object, path, res == 0 ? json_string(hex) : json_null()) ==
           0;
}

int recon_ring_md5(const struct recon_places *p, json_t **ret)
{
    static const char *const others[] = {"account", "container"};
    char path[PATH_MAX];
    json_t *sums = json_object();
    bool failed = sums == NULL;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s.ring.gz", p->swift_dir, others[i]);
        failed |= !put_md5(sums, path, true);
    }
    for (unsigned i = 0; i < p->policy_count; i++) {
        if (p->policies[i] == 0)
            snprintf(path, sizeof(path), "%s/object.ring.gz", p->swift_dir);
        else
            snprintf(path, sizeof(path), "%s/object-%u.ring.gz", p->swift_dir, p->policies[i]);
        failed |= !put_md5(sums, path, true);
    }
    return result(failed, sums, ret);
}

int recon_swift_conf_md5(const struct recon_places *p, json_t **ret)
{
    json_t *sum = json_object();
    bool failed = sum == NULL || !put_md5(sum, p->swift_conf, false);
    return result(failed, sum, ret);
}
