/* SPDX-License-Identifier: Apache-2.0 */
/* partition_hashes.c -- see partition_hashes.h. */
#include "diskfile/engine/partition_hashes.h"
#include "diskfile/engine/suffix_hash.h"
#include "diskfile/engine/thread.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Then the answer is what was found, and hashes.pkl is left to those who write it all the time. */
#define TRIES_MAX 8

int partition_hashes_init(struct partition_hashes *h, struct df_store *store,
                          struct store_device *device, const struct df_policy *policy,
                          struct slice partition)
{
    memset(h, 0, sizeof(*h));
    h->hashes = suffix_hashes_new();
    if (!h->hashes)
        return -ENOMEM;
    return place_of_directory(store, device, policy, partition, SLICE("000"), SLICE(""), &h->place);
}

void partition_hashes_release(struct partition_hashes *h)
{
    suffix_hashes_free(h->hashes);
    hashes_image_release(&h->seen);
    h->hashes = NULL;
}

static const char *partition_path(const struct partition_hashes *h, char path[PATH_MAX])
{
    memcpy(path, h->place.dir, h->place.partition_len);
    path[h->place.partition_len] = '\0';
    return path;
}

/* ---- READ ---- */

static bool is_there(const struct partition_hashes *h)
{
    char path[PATH_MAX];
    return access(partition_path(h, path), F_OK) == 0 ||
           (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG);
}

static int consolidate(struct partition_hashes *h)
{
    int lock_fd;
    int r = hashdir_lock_existing(&h->place, &lock_fd);
    if (r < 0)
        return r;
    r = hashes_file_consolidate(&h->place, h->hashes, &h->seen);
    close(lock_fd);
    return r;
}

/* What cannot be read is computed. */
static void distrust(struct partition_hashes *h, int error)
{
    store_event(h->place.store, DF_EVENT_WARNING, "Unable to read '%.*s/hashes.pkl': %s",
                (int)h->place.partition_len, h->place.dir, strerror(-error));
    suffix_hashes_clear(h->hashes);
    hashes_image_release(&h->seen);
    (void)hashes_file_read(&h->place, &h->seen); /* WRITE compares with what can be read */
}

/* Every suffix directory whose hash is not known. */
static int list_suffixes(struct partition_hashes *h)
{
    char path[PATH_MAX];
    DIR *dir = opendir(partition_path(h, path));
    if (!dir)
        return -errno;
    errno = 0;
    for (const struct dirent *e; (e = readdir(dir));) {
        int number = suffix_number(slice_of(e->d_name));
        if (number >= 0 && h->hashes->of[number].state == SUFFIX_ABSENT)
            h->hashes->of[number].state = SUFFIX_STALE;
    }
    int r = -errno;
    closedir(dir);
    return r;
}

static int read_step(struct partition_hashes *h)
{
    suffix_hashes_clear(h->hashes);
    hashes_image_release(&h->seen);
    h->at = 0;
    h->changed = false;
    if (!is_there(h)) {
        h->step = PARTITION_END;
        return 0;
    }
    int r = consolidate(h);
    if (r == -ETIMEDOUT || r == -ENOMEM || r == -ENOENT)
        return r;
    if (r < 0)
        distrust(h, r);
    h->step = PARTITION_HASH;
    if (h->hashes->valid)
        return 0;
    suffix_hashes_clear(h->hashes);
    h->hashes->valid = true;
    h->changed = true;
    return list_suffixes(h);
}

/* ---- HASH ---- */

/* Also a value of the other kind of policy; and one without any sum, as in Swift. */
static bool is_unknown(const struct partition_hashes *h, const struct suffix_value *v)
{
    enum suffix_state known = h->place.policy->erasure_coded ? SUFFIX_CODED : SUFFIX_REPLICATED;
    return v->state != SUFFIX_ABSENT && (v->state != known || v->count == 0);
}

static int hash_one(struct partition_hashes *h, unsigned number)
{
    struct object_place *p = &h->place;
    struct suffix_value value;
    suffix_name(number, p->dir + p->partition_len + 1); /* its NUL is where the hash would be */
    int r = suffix_hash(p, df_now(), &value);
    h->changed = true;
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        store_event(p->store, DF_EVENT_ERROR, "Error hashing suffix %s: %s", p->dir, strerror(-r));
        value = (struct suffix_value){.state = SUFFIX_STALE};
    } else if (value.state != SUFFIX_ABSENT) {
        h->hashed++;
    }
    suffix_hashes_set(h->hashes, number, value);
    return 0;
}

static int hash_step(struct partition_hashes *h, uint64_t until_ns)
{
    for (; h->at < SUFFIXES; h->at++) {
        if (!is_unknown(h, &h->hashes->of[h->at]))
            continue;
        int r = hash_one(h, h->at);
        if (r < 0)
            return r;
        if (clock_monotonic_ns() >= until_ns) {
            h->at++;
            return 0;
        }
    }
    h->step = h->changed ? PARTITION_WRITE : PARTITION_END;
    return 0;
}

/* ---- WRITE ---- */

static int write_locked(struct partition_hashes *h)
{
    struct hashes_image now;
    int r = hashes_file_read(&h->place, &now);
    if (r == -ENOMEM)
        return r;
    bool same = hashes_image_eq(&now, &h->seen);
    hashes_image_release(&now);
    if (same) {
        h->step = PARTITION_END;
        return hashes_file_write(&h->place, h->hashes, NULL);
    }
    h->step = ++h->tries < TRIES_MAX ? PARTITION_READ : PARTITION_END;
    return 0;
}

static int write_step(struct partition_hashes *h)
{
    int lock_fd;
    int r = hashdir_lock_existing(&h->place, &lock_fd);
    if (r < 0)
        return r;
    r = write_locked(h);
    close(lock_fd);
    return r;
}

/* ---- all of it ---- */

static int next_step(struct partition_hashes *h, uint64_t until_ns)
{
    return h->step == PARTITION_READ   ? read_step(h)
           : h->step == PARTITION_HASH ? hash_step(h, until_ns)
                                       : write_step(h);
}

int partition_hashes_work(struct partition_hashes *h, uint64_t most_ns)
{
    uint64_t until_ns = clock_monotonic_ns() + most_ns;
    int r = 0;
    do
        r = next_step(h, until_ns);
    while (r == 0 && h->step != PARTITION_END && clock_monotonic_ns() < until_ns);
    if (r == -ENOENT) { /* the partition was removed meanwhile */
        suffix_hashes_clear(h->hashes);
        h->step = PARTITION_END;
        r = 0;
    }
    return r < 0 ? r : h->step != PARTITION_END;
}

/* ---- forgetting ---- */

/* "abc-def" to "abc\ndef\n"; returns its length. `lines` has room for suffixes.len + 1. */
static size_t to_lines(struct slice suffixes, char *lines)
{
    size_t len = 0;
    const char *at = suffixes.at, *end = suffixes.at + suffixes.len;
    while (at <= end) {
        const char *dash = at < end ? memchr(at, '-', (size_t)(end - at)) : NULL;
        const char *name_end = dash ? dash : end;
        if (suffix_number((struct slice){at, (size_t)(name_end - at)}) >= 0) {
            memcpy(lines + len, at, SUFFIX_LEN);
            lines[len + SUFFIX_LEN] = '\n';
            len += SUFFIX_LEN + 1;
        }
        at = name_end + 1;
    }
    return len;
}

int partition_hashes_forget(const struct object_place *p, struct slice suffixes)
{
    char *lines = malloc(suffixes.len + 1);
    if (!lines)
        return -ENOMEM;
    struct slice marked = {lines, to_lines(suffixes, lines)};
    int lock_fd = -1;
    int r = marked.len > 0 ? hashdir_lock(p, &lock_fd) : 0;
    if (r == 0 && marked.len > 0)
        r = hashes_file_invalidate(p, marked);
    if (lock_fd >= 0)
        close(lock_fd);
    free(lines);
    return r;
}
