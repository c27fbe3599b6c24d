/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c -- from quarantine back to its place, if a fresh check finds nothing wrong
 * (quarantined.h). */
#include "tools/audit/body.h"
#include "tools/audit/halt.h"
#include "tools/audit/quarantine_entry.h"
#include "tools/audit/quarantined.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SAMPLES_MAX 64

struct restore {
    struct settings *settings;
    const char *const *names;
    bool dry_run;
    bool all;
    unsigned matched, done, refused;
    char reason[REASON_MAX];
};

static bool is_wanted(const struct restore *r, const char *name)
{
    for (const char *const *n = r->names; *n; n++)
        if (strcmp(*n, name) == 0)
            return true;
    return r->all;
}

/* ---- where it belongs ---- */

/* The part powers under which this hash lies in this partition, one bit each. */
static uint64_t powers_of(const char *hash, const char *partition)
{
    char top[9];
    uint64_t powers = 0;
    snprintf(top, sizeof(top), "%.8s", hash);
    unsigned long bits = strtoul(top, NULL, 16), number = strtoul(partition, NULL, 10);
    for (unsigned power = 0; power <= 32; power++)
        if ((power == 0 ? 0 : bits >> (32 - power)) == number)
            powers |= 1ull << power;
    return powers;
}

static bool is_hash(const char *name)
{
    return strlen(name) == HASH_HEX_LEN && strspn(name, "0123456789abcdef") == HASH_HEX_LEN;
}

/* All samples of one partition agree on little; those of a few partitions on one power. */
static void sample_partition(int objects_fd, const char *partition, uint64_t *powers)
{
    struct listing part, suffix;
    struct listing_entry e;
    int taken = 0;
    if (listing_open(&part, objects_fd, partition) < 0)
        return;
    while (!taken && listing_next(&part, &e) > 0) {
        if (e.kind != ENTRY_DIRECTORY || strlen(e.name) != 3 ||
            listing_open(&suffix, part.fd, e.name) < 0)
            continue;
        while (!taken && listing_next(&suffix, &e) > 0)
            if (is_hash(e.name)) {
                *powers &= powers_of(e.name, partition);
                taken = 1;
            }
        listing_close(&suffix);
    }
    listing_close(&part);
}

static int find_part_power(const struct quarantine_entry *e, unsigned *ret)
{
    struct listing dir;
    struct listing_entry p;
    char path[PATH_MAX], objects[24];
    uint64_t powers = UINT64_MAX;
    policy_path_component("objects", e->policy->index, objects);
    snprintf(path, sizeof(path), "%s/%s", e->device->sd.path, objects);
    int r = listing_open(&dir, AT_FDCWD, path);
    if (r < 0)
        return r;
    for (int i = 0; i < SAMPLES_MAX && listing_next(&dir, &p) > 0; i++)
        if (p.kind == ENTRY_DIRECTORY && strspn(p.name, "0123456789") == strlen(p.name))
            sample_partition(dir.fd, p.name, &powers);
    listing_close(&dir);
    powers &= (1ull << 33) - 1;
    if (powers == 0 || (powers & (powers - 1)))
        return -ENODATA;
    *ret = (unsigned)__builtin_ctzll(powers);
    return 0;
}

/* From the note, else from how the other objects of the device lie. */
static int find_partition(const struct quarantine_entry *e, const char *hash, char partition[16])
{
    char expected[24], top[9];
    size_t len = policy_path_component("objects", e->policy->index, expected);
    const char *at = e->note.from;
    if (e->noted && strncmp(at, expected, len) == 0 && at[len] == '/') {
        size_t digits = strspn(at + len + 1, "0123456789");
        if (digits > 0 && digits < 12 && at[len + 1 + digits] == '/') {
            snprintf(partition, 16, "%.*s", (int)digits, at + len + 1);
            return 0;
        }
    }
    unsigned power;
    int r = find_part_power(e, &power);
    if (r < 0)
        return r;
    snprintf(top, sizeof(top), "%.8s", hash);
    snprintf(partition, 16, "%lu", power == 0 ? 0 : strtoul(top, NULL, 16) >> (32 - power));
    return 0;
}

/* ---- the fresh check ---- */

static int on_damaged(void *arg, const struct object_place *p, const char *file, int fd,
                      const char *reason)
{
    struct restore *r = arg;
    snprintf(r->reason, sizeof(r->reason), "%s", reason);
    return 0;
}

static void check_body(struct restore *r, const struct object_state *s,
                       const struct df_policy *policy)
{
    struct verify_result found;
    int res = body_judge_at_once(s, policy, &found, r->reason);
    if (res < 0 && res != -EBADMSG)
        snprintf(r->reason, sizeof(r->reason), "%s",
                 res == -EINVAL ? "metadata without ETag" : strerror(-res));
}

/* r->reason is empty if it is good. */
static void check(struct restore *r, const struct quarantine_entry *e,
                  const struct object_place *target)
{
    struct object_place *there = malloc(sizeof(*there));
    struct object_state state;
    r->reason[0] = '\0';
    if (!there) {
        snprintf(r->reason, sizeof(r->reason), "out of memory");
        return;
    }
    *there = *target; /* whose hash the name must have */
    snprintf(there->dir, sizeof(there->dir), "%s", e->path);
    struct load_spec spec = {.now = trusted_now(),
                             .open_expired = true,
                             .keep_fd = true,
                             .by_directory = true,
                             .damaged = on_damaged,
                             .damaged_arg = r};
    int res = hashdir_load(there, &spec, &state);
    if (res < 0) {
        snprintf(r->reason, sizeof(r->reason), "%s",
                 res == -EINVAL ? "metadata without name" : strerror(-res));
    } else {
        if (state.info.state == DF_LIVE)
            check_body(r, &state, target->policy);
        else if (state.info.state == DF_ABSENT && r->reason[0] == '\0')
            snprintf(r->reason, sizeof(r->reason), "there is no object in it");
        object_state_release(&state);
    }
    free(there);
}

/* ---- the way back ---- */

static int put_back(const struct quarantine_entry *e, struct object_place *target)
{
    int lock_fd;
    unsigned existed_len;
    int r = hashdir_lock(target, &lock_fd);
    if (r < 0)
        return r;
    target->locked = true;
    r = hashdir_invalidate(target);
    if (r == 0)
        r = hashdir_make(target, &existed_len);
    /* Over an empty directory only: what has come in the meantime is newer and stays. */
    if (r == 0 && rename(e->path, target->dir) < 0)
        r = -errno;
    if (r == 0) {
        (void)removexattr(target->dir, XATTR_QUARANTINE); /* may never have had one */
        r = hashdir_sync(target, target->partition_len);
    }
    target->locked = false;
    close(lock_fd);
    return r;
}

static int refuse(struct restore *r, const struct quarantine_entry *e, const char *why)
{
    fprintf(stderr, "objsrv-audit: %s stays in quarantine: %s\n", e->path, why);
    r->refused++;
    return 0;
}

static int restore_one(void *arg, const struct quarantine_entry *e)
{
    struct restore *r = arg;
    struct object_place target;
    char hash[HASH_HEX_LEN + 1], partition[16];
    if (!is_wanted(r, e->name))
        return 0;
    r->matched++;
    snprintf(hash, sizeof(hash), "%.32s", e->name);
    if (e->kind != ENTRY_DIRECTORY || !is_hash(hash) || (e->name[32] && e->name[32] != '-'))
        return refuse(r, e, "it is no hash directory");
    if (find_partition(e, hash, partition) < 0)
        return refuse(r, e,
                      "its partition is not noted, and the device has too few objects to tell");
    int res =
        place_of_directory(&r->settings->store, &e->device->sd, e->policy, slice_of(partition),
                           slice_of(hash + HASH_HEX_LEN - 3), slice_of(hash), &target);
    if (res < 0)
        return refuse(r, e, strerror(-res));
    check(r, e, &target);
    if (r->reason[0])
        return refuse(r, e, r->reason);
    res = r->dry_run ? 0 : put_back(e, &target);
    if (res == -ENOTEMPTY || res == -EEXIST)
        return refuse(r, e, "its place is taken by something newer");
    if (res < 0)
        return refuse(r, e, strerror(-res));
    r->done++;
    printf("%s %s to %s\n", r->dry_run ? "would restore" : "restored", e->name, target.dir);
    return 0;
}

int quarantined_restore(struct settings *s, struct device_list *devices, const char *const *names,
                        bool dry_run)
{
    struct restore r = {.settings = s, .names = names, .dry_run = dry_run};
    for (const char *const *n = names; *n; n++)
        r.all = r.all || strcmp(*n, "all") == 0;
    int res = quarantine_each(s, devices, restore_one, &r);
    bool unknown = r.matched == 0 && !r.all;
    if (unknown && res == 0)
        fprintf(stderr, "objsrv-audit: nothing of that name in quarantine\n");
    printf("%u %s, %u stay\n", r.done, dry_run ? "would be restored" : "restored", r.refused);
    return res < 0 || r.refused > 0 || unknown ? 2 : r.done > 0;
}
