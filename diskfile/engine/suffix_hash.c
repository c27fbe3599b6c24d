/* SPDX-License-Identifier: Apache-2.0 */
/* suffix_hash.c -- see suffix_hash.h. */
#include "diskfile/engine/suffix_hash.h"
#include "diskfile/engine/checksum.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One MD5 in the making for each fragment index met, and one for the rest. */
struct hashing {
    const struct object_place *place; /* of the suffix */
    struct timestamp now;
    struct running {
        int fragment;
        struct checksum *sum;
    } * at;
    unsigned count;
};

/* ---- sums ---- */

static int sum_for(struct hashing *h, int fragment, struct checksum **ret_sum)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->at[i].fragment == fragment) {
            *ret_sum = h->at[i].sum;
            return 0;
        }
    struct running *more = realloc(h->at, (h->count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    h->at = more;
    int r = checksum_new(ret_sum);
    if (r == 0)
        h->at[h->count++] = (struct running){fragment, *ret_sum};
    return r;
}

static int feed(struct hashing *h, int fragment, struct timestamp time, const char *kind)
{
    char text[TIMESTAMP_TEXT_MAX + 16];
    struct checksum *sum;
    int r = sum_for(h, fragment, &sum);
    if (r < 0)
        return r;
    int len = timestamp_internal(time, text);
    len += snprintf(text + len, sizeof(text) - (size_t)len, "%s", kind);
    checksum_add(sum, text, (size_t)len);
    return 0;
}

static int feed_chosen(struct hashing *h, const struct selection *s, int chosen, const char *kind)
{
    return chosen < 0 ? 0 : feed(h, SUFFIX_WHOLE, s->entries[chosen].file.timestamp, kind);
}

static int feed_fragments(struct hashing *h, const struct selection *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct select_entry *e = &s->entries[i];
        int r = select_is_listed(e) ? feed(h, e->file.fragment, e->file.timestamp, "") : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Files that have no bearing on what the object is are left out. */
static int feed_object(struct hashing *h, const struct selection *s)
{
    bool coded = h->place->policy->erasure_coded;
    int r = feed_chosen(h, s, s->meta, ".meta");
    if (r == 0)
        r = feed_chosen(h, s, s->tombstone, ".ts");
    if (r == 0 && coded)
        r = feed_fragments(h, s);
    if (r == 0)
        r = coded ? feed_chosen(h, s, s->durable, ".durable") : feed_chosen(h, s, s->data, ".data");
    if (r == 0 && s->ctype >= 0)
        r = feed(h, SUFFIX_WHOLE, s->entries[s->ctype].file.ctype_timestamp, "_ctype");
    return r;
}

/* ---- hash directories ---- */

static int put_away(const struct object_place *p, int error)
{
    char reason[PATH_MAX + 64];
    bool is_file = error == -ENOTDIR;
    snprintf(reason, sizeof(reason), "%s %s",
             is_file ? "Expected directory, found file at" : "Failed to list directory at", p->dir);
    int r = hashdir_quarantine(p, NULL, -1, reason);
    if (r < 0 && r != -ESTALE && !is_file)
        r = hashdir_quarantine_suffix(p, reason);
    return r == -ESTALE ? 0 : r;
}

static int hash_directory(struct hashing *h, const char *name)
{
    const struct object_place *p = h->place;
    struct object_place place;
    struct selection s;
    int r = place_of_directory(
        p->store, p->device, p->policy,
        (struct slice){p->dir + p->objects_len + 1, p->partition_len - p->objects_len - 1},
        (struct slice){p->dir + p->partition_len + 1, p->suffix_len - p->partition_len - 1},
        slice_of(name), &place);
    if (r < 0)
        return r;
    r = hashdir_clean_select(&place, h->now, &s);
    if (r == -ENOENT)
        return 0;
    if (r == -ENOTDIR || r == -ENODATA || r == -EUCLEAN)
        return put_away(&place, r);
    if (r < 0)
        return r;
    r = feed_object(h, &s);
    select_release(&s);
    return r;
}

/* ---- the suffix ---- */

static int is_entry(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* All of them, ascending, since their order is in the hash. */
static int hash_directories(struct hashing *h, const char *suffix_dir)
{
    struct dirent **names;
    int n = scandir(suffix_dir, &names, is_entry, by_bytes);
    if (n < 0)
        return -errno;
    int r = 0;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = hash_directory(h, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return r;
}

/* A replicated suffix has a sum even if nothing went into it: there are files of no known kind. */
static int take_sums(struct hashing *h, struct suffix_value *ret)
{
    struct checksum *whole;
    bool coded = h->place->policy->erasure_coded;
    int r = coded ? 0 : sum_for(h, SUFFIX_WHOLE, &whole);
    struct suffix_sum *sums = r == 0 ? calloc(h->count + 1, sizeof(*sums)) : NULL;
    if (!sums)
        return -ENOMEM;
    for (unsigned i = 0; i < h->count; i++) {
        sums[i].fragment = h->at[i].fragment;
        checksum_end(h->at[i].sum, sums[i].hex);
    }
    *ret = (struct suffix_value){coded ? SUFFIX_CODED : SUFFIX_REPLICATED, h->count, sums};
    return 0;
}

int suffix_hash(const struct object_place *p, struct timestamp now, struct suffix_value *ret_value)
{
    char dir[PATH_MAX];
    struct hashing h = {.place = p, .now = now};
    memcpy(dir, p->dir, p->suffix_len);
    dir[p->suffix_len] = '\0';
    *ret_value = (struct suffix_value){.state = SUFFIX_ABSENT};

    int r = hash_directories(&h, dir);
    bool absent = r == -ENOENT || r == -ENOTDIR;
    if (r == 0) /* not empty, or it cannot be removed: then it has a hash */
        absent = rmdir(dir) == 0 || errno == ENOENT;
    if (r == 0 && !absent)
        r = take_sums(&h, ret_value);
    for (unsigned i = 0; i < h.count; i++)
        checksum_free(h.at[i].sum);
    free(h.at);
    return absent ? 0 : r;
}
