/* SPDX-License-Identifier: Apache-2.0 */
/* coverage.c -- see coverage.h. */
#include "tools/audit/coverage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD                      "objsrv-audit state 1"
#define ROOM_MIN                  64
#define DAY_S                     86400.0
#define KEY_OF(policy, partition) ((uint64_t)((policy) + 1) << 32 | (partition))

const unsigned coverage_days[4] = {1, 7, 30, 90};

void coverage_release(struct coverage *c)
{
    free(c->entries);
    *c = (struct coverage){0};
}

/* ---- the table ---- */

/* Where the key is, or the free place for it. */
static struct coverage_entry *slot(struct coverage_entry *entries, uint32_t room, uint64_t key)
{
    uint32_t at = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (room - 1);
    while (entries[at].key && entries[at].key != key)
        at = (at + 1) & (room - 1);
    return &entries[at];
}

static int rebuild(struct coverage *c, uint32_t room, uint64_t dropped_policy_key)
{
    struct coverage_entry *entries = calloc(room, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->room; i++) {
        struct coverage_entry e = c->entries[i];
        if (!e.key || (e.key >> 32 == dropped_policy_key && !e.seen))
            continue;
        *slot(entries, room, e.key) = e;
        count++;
    }
    free(c->entries);
    c->entries = entries;
    c->room = room;
    c->count = count;
    return 0;
}

static int find_or_add(struct coverage *c, uint64_t key, struct coverage_entry **ret)
{
    if (c->count * 4 >= c->room * 3) {
        int r = rebuild(c, c->room ? c->room * 2 : ROOM_MIN, UINT64_MAX);
        if (r < 0)
            return r;
    }
    struct coverage_entry *e = slot(c->entries, c->room, key);
    if (!e->key) {
        e->key = key;
        c->count++;
        c->dirty = true;
    }
    *ret = e;
    return 0;
}

/* false: no plain number of 32 bits. */
static bool number_of(const char *partition, uint32_t *ret)
{
    size_t len = strlen(partition);
    if (len == 0 || len > 10 || strspn(partition, "0123456789") != len)
        return false;
    unsigned long long n = strtoull(partition, NULL, 10);
    *ret = (uint32_t)n;
    return n <= UINT32_MAX;
}

int coverage_seen(struct coverage *c, unsigned policy, const char *partition)
{
    uint32_t number;
    struct coverage_entry *e;
    if (!number_of(partition, &number))
        return 0;
    int r = find_or_add(c, KEY_OF(policy, number), &e);
    if (r == 0)
        e->seen = true;
    return r;
}

int coverage_verified(struct coverage *c, unsigned policy, const char *partition, uint32_t time_s,
                      uint32_t objects, uint64_t bytes)
{
    uint32_t number;
    struct coverage_entry *e;
    if (!number_of(partition, &number))
        return 0;
    int r = find_or_add(c, KEY_OF(policy, number), &e);
    if (r < 0)
        return r;
    e->time_s = time_s;
    e->objects = objects;
    e->bytes = bytes;
    c->dirty = true;
    return 0;
}

void coverage_forget_unseen(struct coverage *c, unsigned policy)
{
    if (c->room > 0 && rebuild(c, c->room, (uint64_t)policy + 1) == 0)
        c->dirty = true;
    for (uint32_t i = 0; i < c->room; i++)
        c->entries[i].seen = false;
}

void coverage_within(const struct coverage *c, double now_s, unsigned days,
                     struct coverage_sum *ret_sum)
{
    *ret_sum = (struct coverage_sum){0};
    for (uint32_t i = 0; i < c->room; i++) {
        const struct coverage_entry *e = &c->entries[i];
        if (!e->key)
            continue;
        ret_sum->partitions++;
        ret_sum->objects += e->objects;
        ret_sum->bytes += e->bytes;
        if (e->time_s == 0 || now_s - e->time_s > days * DAY_S)
            continue;
        ret_sum->fresh_partitions++;
        ret_sum->fresh_objects += e->objects;
        ret_sum->fresh_bytes += e->bytes;
    }
}

/* ---- the file ---- */

int coverage_write(const struct coverage *c, FILE *out)
{
    fprintf(out, HEAD "\nfuse %d %d\n", c->fuse_blown[0], c->fuse_blown[1]);
    for (uint32_t i = 0; i < c->room; i++) {
        const struct coverage_entry *e = &c->entries[i];
        if (e->key)
            fprintf(out, "%u %u %u %u %" PRIu64 "\n", (unsigned)(e->key >> 32) - 1,
                    (unsigned)(e->key & UINT32_MAX), e->time_s, e->objects, e->bytes);
    }
    return ferror(out) ? -EIO : 0;
}

static int read_line(struct coverage *c, const char *line)
{
    unsigned policy, partition, time_s, objects;
    uint64_t bytes;
    char end;
    struct coverage_entry *e;
    if (sscanf(line, "%u %u %u %u %" SCNu64 "%c", &policy, &partition, &time_s, &objects, &bytes,
               &end) != 6 ||
        end != '\n')
        return -EBADMSG;
    int r = find_or_add(c, KEY_OF(policy, partition), &e);
    if (r < 0)
        return r;
    e->time_s = time_s;
    e->objects = objects;
    e->bytes = bytes;
    return 0;
}

int coverage_read(struct coverage *c, FILE *in)
{
    char line[128];
    int blown[2], r = 0;
    if (!fgets(line, sizeof(line), in) || strcmp(line, HEAD "\n") != 0)
        return -EBADMSG;
    if (!fgets(line, sizeof(line), in) || sscanf(line, "fuse %d %d", &blown[0], &blown[1]) != 2)
        return -EBADMSG;
    c->fuse_blown[0] = blown[0] != 0;
    c->fuse_blown[1] = blown[1] != 0;
    while (r == 0 && fgets(line, sizeof(line), in))
        r = read_line(c, line);
    c->dirty = false;
    return r;
}

int coverage_load(struct coverage *c, int dir)
{
    int fd = openat(dir, COVERAGE_STATE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    FILE *in = fdopen(fd, "r");
    if (!in) {
        close(fd);
        return -ENOMEM;
    }
    int r = coverage_read(c, in);
    fclose(in);
    return r;
}

int coverage_save(struct coverage *c, int dir)
{
    static const char tmp[] = COVERAGE_STATE_FILE ".tmp";
    if (!c->dirty)
        return 0;
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    FILE *out = fdopen(fd, "w");
    if (!out) {
        close(fd);
        return -ENOMEM;
    }
    int r = coverage_write(c, out);
    if (r == 0 && (fflush(out) != 0 || fsync(fd) < 0))
        r = -errno;
    if (fclose(out) != 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(dir, tmp, dir, COVERAGE_STATE_FILE) < 0)
        r = -errno;
    if (r == 0)
        c->dirty = false;
    return r;
}
