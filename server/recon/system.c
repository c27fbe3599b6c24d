/* SPDX-License-Identifier: Apache-2.0 */
/* system.c -- recon's sources that are files: /proc, the daemons' caches, rings, swift.conf. */
#include "server/node/log.h"
#include "server/recon/sources.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- the daemons' numbers ---- */

enum { KEYS_MAX = 8 };

static void put_nulls(struct json *j, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        json_key(j, slice_of(*keys));
        json_null(j);
    }
}

static void put_found(struct json *j, const char *const *keys, const struct slice *values)
{
    for (; *keys != NULL; keys++, values++) {
        json_key(j, slice_of(*keys));
        if (values->len > 0)
            json_copy(j, *values);
        else
            json_null(j);
    }
}

void recon_cached(struct json *j, const char *directory, const char *file, const char *const *keys,
                  bool may_be_missing)
{
    char path[PATH_MAX], *text = NULL;
    struct slice values[KEYS_MAX];
    size_t len = 0;
    unsigned count = 0;
    while (keys[count] != NULL)
        count++;
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    int res = recon_read_file(path, &text, &len);
    if (res < 0 && !(res == -ENOENT && may_be_missing))
        log_line(LOG_LEVEL_ERROR, "Error reading recon cache file: %s: %s", path, strerror(-res));
    if (res == 0 && (res = json_find((struct slice){text, len}, keys, count, values)) < 0)
        log_line(LOG_LEVEL_ERROR, "Error parsing recon cache file: %s: no JSON object", path);
    json_object(j);
    if (res == 0)
        put_found(j, keys, values);
    else
        put_nulls(j, keys);
    json_end_object(j);
    free(text);
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

int recon_mem(struct json *j, const struct recon_places *p)
{
    char *text = NULL;
    size_t len = 0;
    int res = recon_read_file("/proc/meminfo", &text, &len);
    if (res < 0)
        return res;
    assert(text != NULL);
    json_object(j);
    for (char *line = text, *end; *line != '\0'; line = end + (*end == '\n')) {
        end = line + strcspn(line, "\n");
        const char *colon = memchr(line, ':', (size_t)(end - line));
        if (colon == NULL)
            continue;
        json_key(j, (struct slice){line, (size_t)(colon - line)});
        json_text(j, trimmed(colon + 1, end));
    }
    json_end_object(j);
    free(text);
    return 0;
}

int recon_load(struct json *j, const struct recon_places *p)
{
    static const char *const names[] = {"1m", "5m", "15m"};
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
    json_object(j);
    for (unsigned i = 0; i < 3; i++) {
        json_key(j, slice_of(names[i]));
        json_float(j, load[i]);
    }
    json_key(j, SLICE("tasks"));
    json_text(j, slice_of(tasks));
    json_key(j, SLICE("processes"));
    json_int(j, processes);
    json_end_object(j);
    return 0;
}

int recon_mounted(struct json *j, const struct recon_places *p)
{
    char *text = NULL, *rest, *words;
    size_t len = 0;
    int res = recon_read_file("/proc/mounts", &text, &len);
    if (res < 0)
        return res;
    json_array(j);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *device = strtok_r(line, " \t", &words), *path = strtok_r(NULL, " \t", &words);
        if (path == NULL)
            continue;
        json_object(j);
        json_key(j, SLICE("device"));
        json_text(j, slice_of(device));
        json_key(j, SLICE("path"));
        json_text(j, slice_of(path));
        json_end_object(j);
    }
    json_end_array(j);
    free(text);
    return 0;
}

static void put_number(struct json *j, const char *key, int64_t value)
{
    json_key(j, slice_of(key));
    json_int(j, value);
}

static void put_tcp(struct json *j, const char *text)
{
    long long in_use, orphan, time_wait, allocated, pages;
    const char *line = strstr(text, "TCP: inuse");
    if (line == NULL || sscanf(line, "TCP: inuse %lld orphan %lld tw %lld alloc %lld mem %lld",
                               &in_use, &orphan, &time_wait, &allocated, &pages) != 5)
        return;
    put_number(j, "tcp_in_use", in_use);
    put_number(j, "orphan", orphan);
    put_number(j, "time_wait", time_wait);
    put_number(j, "tcp_mem_allocated_bytes", pages * sysconf(_SC_PAGESIZE));
}

static void put_tcp6(struct json *j, const char *text)
{
    long long in_use;
    const char *line = strstr(text, "TCP6: inuse");
    if (line != NULL && sscanf(line, "TCP6: inuse %lld", &in_use) == 1)
        put_number(j, "tcp6_in_use", in_use);
}

static int put_sockstat(struct json *j, const char *path,
                        void (*put)(struct json *j, const char *text))
{
    char *text = NULL;
    size_t len = 0;
    int res = recon_read_file(path, &text, &len);
    if (res < 0)
        return res == -ENOENT ? 0 : res;
    put(j, text);
    free(text);
    return 0;
}

int recon_sockstat(struct json *j, const struct recon_places *p)
{
    json_object(j);
    int res = put_sockstat(j, "/proc/net/sockstat", put_tcp);
    if (res == 0)
        res = put_sockstat(j, "/proc/net/sockstat6", put_tcp6);
    json_end_object(j);
    return res;
}

int recon_time(struct json *j, const struct recon_places *p)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_float(j, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    return 0;
}

/* ---- what must be the same on all nodes ---- */

/* The release whose place this server takes: swift-recon --swift-versions compares the nodes of a
 * cluster. Which program answers is said by OPTIONS, --version and /metrics. */
int recon_version(struct json *j, const struct recon_places *p)
{
    json_object(j);
    json_key(j, SLICE("version"));
    json_text(j, SLICE("2.30.1"));
    json_end_object(j);
    return 0;
}

static void put_md5(struct json *j, const char *path, bool only_existing)
{
    char hex[33];
    struct stat st;
    if (only_existing && stat(path, &st) < 0)
        return;
    int res = md5_of_file(path, hex);
    if (res < 0 && res != -ENOENT)
        log_line(LOG_LEVEL_ERROR, "Error reading %s: %s", path, strerror(-res));
    json_key(j, slice_of(path));
    if (res == 0)
        json_text(j, slice_of(hex));
    else
        json_null(j);
}

int recon_ring_md5(struct json *j, const struct recon_places *p)
{
    static const char *const others[] = {"account", "container"};
    char path[PATH_MAX];
    json_object(j);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s.ring.gz", p->swift_dir, others[i]);
        put_md5(j, path, true);
    }
    for (unsigned i = 0; i < p->policy_count; i++) {
        if (p->policies[i] == 0)
            snprintf(path, sizeof(path), "%s/object.ring.gz", p->swift_dir);
        else
            snprintf(path, sizeof(path), "%s/object-%u.ring.gz", p->swift_dir, p->policies[i]);
        put_md5(j, path, true);
    }
    json_end_object(j);
    return 0;
}

int recon_swift_conf_md5(struct json *j, const struct recon_places *p)
{
    json_object(j);
    put_md5(j, p->swift_conf, false);
    json_end_object(j);
    return 0;
}
