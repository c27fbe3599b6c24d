/* SPDX-License-Identifier: Apache-2.0 */
/* recon.c -- see recon.h. */
#include "tools/audit/recon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_STEP_MS    10
#define LOCK_TIMEOUT_MS 2000
#define LINE_BYTES_MAX  (16u << 20)

/* ---- merging ---- */

static struct json *copy(const struct json *v)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    json_print(v, out);
    struct json *twin = fclose(out) == 0 ? json_parse((struct slice){text, len}) : NULL;
    free(text);
    return twin;
}

static bool is_empty(const struct json *v)
{
    return v->type == JSON_OBJECT && !v->first;
}

static int merge_object(struct json *cache, const struct json *update)
{
    struct json *there = json_get(cache, update->key);
    if (!there || there->type != JSON_OBJECT) {
        int r = json_set(cache, update->key, json_object());
        if (r < 0)
            return r;
        there = json_get(cache, update->key);
    }
    for (const struct json *m = update->first; m; m = m->next) {
        if (is_empty(m)) {
            json_remove(there, m->key);
            continue;
        }
        int r = json_set(there, m->key, copy(m));
        if (r < 0)
            return r;
    }
    return 0;
}

int recon_merge(struct json *cache, const struct json *update)
{
    for (const struct json *m = update->first; m; m = m->next) {
        int r = 0;
        if (is_empty(m))
            json_remove(cache, m->key);
        else if (m->type == JSON_OBJECT)
            r = merge_object(cache, m);
        else
            r = json_set(cache, m->key, copy(m));
        if (r < 0)
            return r;
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

static struct json *read_cache(int fd)
{
    struct stat st;
    struct json *cache = NULL;
    char *text = NULL;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size < LINE_BYTES_MAX)
        text = malloc((size_t)st.st_size);
    ssize_t n = text ? pread(fd, text, (size_t)st.st_size, 0) : 0;
    if (n > 0) {
        const char *end = memchr(text, '\n', (size_t)n);
        cache = json_parse((struct slice){text, end ? (size_t)(end - text) : (size_t)n});
    }
    free(text);
    if (cache && cache->type == JSON_OBJECT)
        return cache;
    json_free(cache);
    return json_object();
}

static int write_cache(const char *file, const struct json *cache)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof(name), "%s.XXXXXX", file) >= (int)sizeof(name))
        return -ENAMETOOLONG;
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    FILE *out = fdopen(fd, "w");
    int r = out ? 0 : -errno;
    if (out) {
        json_print(cache, out);
        fputc('\n', out);
        r = ferror(out) ? -EIO : 0;
        if (fclose(out) != 0 && r == 0)
            r = -errno;
    } else {
        close(fd);
    }
    if (r == 0 && rename(name, file) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(name);
    return r;
}

int recon_dump(const char *file, const struct json *update)
{
    int fd = -1;
    int r = open_locked(file, &fd);
    if (r < 0)
        return r;
    struct json *cache = read_cache(fd);
    r = cache ? recon_merge(cache, update) : -ENOMEM;
    if (r == 0)
        r = write_cache(file, cache);
    json_free(cache);
    close(fd);
    return r;
}
