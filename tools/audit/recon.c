/* SPDX-License-Identifier: Apache-2.0 */
/* recon.c -- see recon.h. */
#include "tools/audit/recon.h"
#include "server/node/python_json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_STEP_MS    10
#define LOCK_TIMEOUT_MS 2000
#define LINE_BYTES_MAX  (16u << 20)

/* ---- merging ---- */

static bool is_empty(const json_t *v)
{
    return json_is_object(v) && json_object_size(v) == 0;
}

static int merge_object(json_t *cache, const char *key, json_t *update)
{
    json_t *there = json_object_get(cache, key), *v;
    int r = 0;
    if (!json_is_object(there)) {
        there = json_object();
        r = json_object_set_new(cache, key, there);
    }
    json_object_foreach (update, key, v) {
        if (r < 0)
            break;
        if (is_empty(v))
            (void)json_object_del(there, key); /* it may not be there */
        else
            r = json_object_set(there, key, v);
    }
    return r < 0 ? -ENOMEM : 0;
}

int recon_merge(json_t *cache, json_t *update)
{
    const char *key;
    json_t *v;
    json_object_foreach (update, key, v) {
        int r = 0;
        if (is_empty(v))
            (void)json_object_del(cache, key); /* it may not be there */
        else if (json_is_object(v))
            r = merge_object(cache, key, v);
        else
            r = json_object_set(cache, key, v);
        if (r < 0)
            return -ENOMEM;
    }
    return 0;
}

/* ---- the file ---- */

/* Locked, and still the file of that name. */
static int open_locked(const char *file, int *ret_fd)
{
    struct stat mine, there;
    for (int waited_ms = 0;;) {
        int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return -errno;
        int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
        if (r == 0 && fstat(fd, &mine) == 0 && stat(file, &there) == 0 &&
            mine.st_ino == there.st_ino) {
            *ret_fd = fd;
            return 0;
        }
        close(fd);
        if (r == 0)
            continue; /* replaced while we waited */
        if (r != -EWOULDBLOCK)
            return r;
        if (waited_ms >= LOCK_TIMEOUT_MS)
            return -ETIMEDOUT;
        struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};
        nanosleep(&step, NULL);
        waited_ms += LOCK_STEP_MS;
    }
}

static json_t *read_cache(int fd)
{
    struct stat st;
    json_t *cache = NULL;
    char *text = NULL;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size < LINE_BYTES_MAX)
        text = malloc((size_t)st.st_size);
    ssize_t n = text ? pread(fd, text, (size_t)st.st_size, 0) : 0;
    if (n > 0) {
        const char *end = memchr(text, '\n', (size_t)n);
        cache = json_loadb(text, end ? (size_t)(end - text) : (size_t)n, JSON_ALLOW_NUL, NULL);
    }
    free(text);
    if (json_is_object(cache))
        return cache;
    json_decref(cache);
    return json_object();
}

static int write_cache(const char *file, const json_t *cache)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof(name), "%s.XXXXXX", file) >= (int)sizeof(name))
        return -ENAMETOOLONG;
    int fd = mkostemp(name, O_CLOEXEC);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        return -errno;
    int r = python_json_print(cache, true, out);
    fputc('\n', out);
    if (ferror(out) && r == 0)
        r = -EIO;
    if (fclose(out) != 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(name, file) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(name);
    return r;
}

int recon_dump(const char *file, json_t *update)
{
    int fd = -1;
    int r = open_locked(file, &fd);
    if (r < 0)
        return r;
    json_t *cache = read_cache(fd);
    r = cache ? recon_merge(cache, update) : -ENOMEM;
    if (r == 0)
        r = write_cache(file, cache);
    json_decref(cache);
    close(fd);
    return r;
}
