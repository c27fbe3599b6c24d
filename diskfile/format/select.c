/* SPDX-License-Identifier: Apache-2.0 */
/* select.c -- see select.h; "step" is that of on-disk-format 5.
 *
 * The entries are sorted newest first once; each step then marks losers. What is marked is
 * out of the game for the later steps. */
#include "diskfile/format/select.h"
#include <errno.h>
#include <stdlib.h>

#define NO_KIND (-1)

void select_init(struct selection *s)
{
    *s = (struct selection){.data = -1, .meta = -1, .ctype = -1, .tombstone = -1, .durable = -1};
}

void select_release(struct selection *s)
{
    for (unsigned i = 0; i < s->count; i++)
        free(s->entries[i].name);
    free(s->entries);
    select_init(s);
}

static int make_room(struct selection *s)
{
    if (s->count < s->room)
        return 0;
    unsigned room = s->room ? s->room * 2 : 8;
    struct select_entry *entries = realloc(s->entries, room * sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    s->entries = entries;
    s->room = room;
    return 0;
}

int select_add(struct selection *s, struct slice name, const struct file_policy *policy)
{
    if (slice_eq(name, SLICE(".")) || slice_eq(name, SLICE("..")))
        return 0;
    int r = make_room(s);
    if (r < 0)
        return r;
    struct select_entry *e = &s->entries[s->count];
    e->name = strndup(name.at, name.len);
    if (!e->name)
        return -ENOMEM;
    filename_parse(name, policy, &e->file);
    e->verdict = e->file.kind == FILE_UNEXPECTED ? VERDICT_FOREIGN : VERDICT_KEEP;
    e->hidden = false;
    e->mtime_s = 0;
    s->count++;
    return 0;
}

/* Newest first, then by name downwards as Swift's cleanup lists them; foreign ones last. */
static int compare(const void *a, const void *b)
{
    const struct select_entry *x = a, *y = b;
    bool x_foreign = x->verdict == VERDICT_FOREIGN, y_foreign = y->verdict == VERDICT_FOREIGN;

    if (x_foreign != y_foreign)
        return x_foreign - y_foreign;
    int order = timestamp_cmp(y->file.timestamp, x->file.timestamp);
    return order ? order : strcmp(y->name, x->name);
}

static struct timestamp time_of(const struct selection *s, int entry)
{
    return s->entries[entry].file.timestamp;
}

static bool in_game(const struct selection *s, unsigned i, enum file_kind kind)
{
    const struct select_entry *e = &s->entries[i];
    return e->verdict == VERDICT_KEEP && e->file.kind == kind && !e->hidden;
}

static int newest(const struct selection *s, enum file_kind kind)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, kind))
            return (int)i;
    }
    return -1;
}

enum limit { OLDER, OLDER_OR_EQUAL };

/* Everything up to `time` is obsolete, but for one kind (or NO_KIND). */
static void drop(struct selection *s, struct timestamp time, enum limit limit, int spared_kind)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct select_entry *e = &s->entries[i];
        int order = timestamp_cmp(e->file.timestamp, time);
        if (e->verdict == VERDICT_KEEP && !e->hidden && (int)e->file.kind != spared_kind &&
            (order < 0 || (order == 0 && limit == OLDER_OR_EQUAL)))
            e->verdict = VERDICT_OBSOLETE;
    }
}

static void drop_kind_but(struct selection *s, enum file_kind kind, int kept, int also_kept)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, kind) && (int)i != kept && (int)i != also_kept)
            s->entries[i].verdict = VERDICT_OBSOLETE;
    }
}

static void verdict_of_kind(struct selection *s, enum file_kind kind, enum file_verdict verdict)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, kind))
            s->entries[i].verdict = verdict;
    }
}

/* Step 2. */
static void apply_tombstones(struct selection *s)
{
    int ts = newest(s, FILE_TOMBSTONE);
    if (ts < 0)
        return;
    drop(s, time_of(s, ts), OLDER_OR_EQUAL, FILE_TOMBSTONE);
    drop_kind_but(s, FILE_TOMBSTONE, ts, ts);
}

/* Zero when the name carries none, which counts as the oldest. */
static struct timestamp ctype_of(const struct selection *s, int entry)
{
    return s->entries[entry].file.ctype_timestamp;
}

/* Step 3: the newest .meta, and another whose content type is newer than that one's. */
static void thin_metas(struct selection *s)
{
    int first = newest(s, FILE_META), second = -1;
    if (first < 0)
        return;
    for (unsigned i = (unsigned)first + 1; i < s->count; i++) {
        if (in_game(s, i, FILE_META) &&
            (second < 0 || timestamp_cmp(ctype_of(s, (int)i), ctype_of(s, second)) > 0))
            second = (int)i;
    }
    if (second >= 0 && timestamp_cmp(ctype_of(s, second), ctype_of(s, first)) <= 0)
        second = -1;
    if (second >= 0 && timestamp_cmp(time_of(s, second), time_of(s, first)) == 0)
        first = second;
    drop_kind_but(s, FILE_META, first, second);
}

/* Step 4. */
static void choose_replicated(struct selection *s)
{
    s->data = newest(s, FILE_DATA);
    if (s->data >= 0) {
        drop(s, time_of(s, s->data), OLDER_OR_EQUAL, FILE_DATA);
        drop(s, time_of(s, s->data), OLDER, NO_KIND);
    } else {
        verdict_of_kind(s, FILE_META, VERDICT_RECLAIM);
    }
}

/* Step 5: the newest fragment marked "#d", unless a legacy .durable is at least as new. */
static int newest_durable(const struct selection *s)
{
    int legacy = newest(s, FILE_DURABLE);
    for (unsigned i = 0; i < s->count; i++) {
        if (!in_game(s, i, FILE_DATA) || !s->entries[i].file.durable)
            continue;
        if (legacy >= 0 && timestamp_cmp(time_of(s, legacy), time_of(s, (int)i)) >= 0)
            return legacy;
        return (int)i;
    }
    return legacy;
}

static bool in_set(const struct selection *s, unsigned i, struct timestamp time)
{
    return in_game(s, i, FILE_DATA) && timestamp_cmp(time_of(s, (int)i), time) == 0;
}

/* Marks each fragment of that time durable; returns one of them, or -1. */
static int mark_durable_set(struct selection *s, struct timestamp time)
{
    int one = -1;
    for (unsigned i = 0; i < s->count; i++) {
        if (!in_set(s, i, time))
            continue;
        s->entries[i].file.durable = true;
        one = (int)i;
    }
    return one;
}

static bool is_excluded(const struct fragment_preference *p, int index)
{
    for (unsigned i = 0; p && i < p->excluded_count; i++)
        if (p->excluded[i] == index)
            return true;
    return false;
}

/* The highest index of a set that is not excluded; of two files the one marked durable. */
static int highest(const struct selection *s, struct timestamp time,
                   const struct fragment_preference *excluding)
{
    int best = -1;
    for (unsigned i = 0; i < s->count; i++) {
        int index = s->entries[i].file.fragment;
        if (in_set(s, i, time) && !is_excluded(excluding, index) &&
            (best < 0 || index >= s->entries[best].file.fragment))
            best = (int)i;
    }
    return best;
}

static int of_set(const struct selection *s, struct timestamp time,
                  const struct fragment_wish *wish)
{
    if (!wish || !wish->only_index)
        return highest(s, time, NULL);
    int found = -1;
    for (unsigned i = 0; i < s->count; i++) {
        if (in_set(s, i, time) && s->entries[i].file.fragment == wish->index)
            found = (int)i; /* of two files the one marked durable, which sorts behind */
    }
    return found;
}

static bool is_mentioned(const struct fragment_wish *wish, struct timestamp time)
{
    for (unsigned i = 0; i < wish->count; i++)
        if (timestamp_cmp(wish->preferences[i].timestamp, time) == 0)
            return true;
    return false;
}

/* Is there a set of this time, in the walk from the newest to the durable one? */
static bool in_walk(const struct selection *s, struct timestamp time)
{
    return s->durable < 0 || timestamp_cmp(time, time_of(s, s->durable)) >= 0;
}

/* 5.1. A set that was mentioned and had no acceptable fragment is out. *ret_set: whose
 * fragment was looked for, or -1. */
static int choose_preferred(const struct selection *s, const struct fragment_wish *wish,
                            int *ret_set)
{
    *ret_set = -1;
    for (unsigned i = 0; i < wish->count; i++) {
        const struct fragment_preference *p = &wish->preferences[i];
        int best = in_walk(s, p->timestamp) ? highest(s, p->timestamp, p) : -1;
        if (best >= 0) {
            *ret_set = best;
            return best;
        }
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, FILE_DATA) && in_walk(s, time_of(s, (int)i)) &&
            !is_mentioned(wish, time_of(s, (int)i))) {
            *ret_set = (int)i;
            return of_set(s, time_of(s, (int)i), wish);
        }
    }
    return -1;
}

/* A fragment newer than the durable set: a .meta up to its time is about something older. */
static void hide_metas(struct selection *s, struct timestamp time)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, FILE_META) && timestamp_cmp(time_of(s, (int)i), time) <= 0)
            s->entries[i].hidden = true;
    }
}

static bool same_set(const struct selection *s, unsigned i, int of)
{
    return of >= 0 && timestamp_cmp(time_of(s, (int)i), time_of(s, of)) == 0;
}

static void choose_erasure_coded(struct selection *s, const struct fragment_wish *wish)
{
    int durable = newest_durable(s), set;
    if (durable >= 0)
        s->durable = mark_durable_set(s, time_of(s, durable));
    if (wish && wish->any) {
        s->data = choose_preferred(s, wish, &set);
    } else {
        set = s->durable;
        s->data = set >= 0 ? of_set(s, time_of(s, set), wish) : -1;
    }
    if (s->data >= 0 && !(s->durable >= 0 && same_set(s, (unsigned)s->data, s->durable)))
        hide_metas(s, time_of(s, s->data));
    if (durable >= 0)
        drop(s, time_of(s, durable), OLDER, NO_KIND);
    if (s->durable < 0) {
        verdict_of_kind(s, FILE_DURABLE, VERDICT_OBSOLETE);
        verdict_of_kind(s, FILE_META, VERDICT_RECLAIM);
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, FILE_DATA) && !same_set(s, i, s->durable) && !same_set(s, i, set))
            s->entries[i].verdict = VERDICT_RECLAIM;
    }
}

/* Also one that a cleanup may take, when the fragment read is not durable. */
static bool is_usable_meta(const struct selection *s, unsigned i)
{
    const struct select_entry *e = &s->entries[i];
    return e->file.kind == FILE_META && !e->hidden &&
           (e->verdict == VERDICT_KEEP || e->verdict == VERDICT_RECLAIM);
}

/* Step 6. */
static void report(struct selection *s)
{
    int last = -1;

    if (s->data < 0) {
        s->tombstone = newest(s, FILE_TOMBSTONE);
        return;
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (!is_usable_meta(s, i))
            continue;
        if (s->meta < 0)
            s->meta = (int)i;
        last = (int)i;
    }
    if (last >= 0 && timestamp_cmp(ctype_of(s, last), time_of(s, s->data)) > 0)
        s->ctype = last;
}

void select_files(struct selection *s, const struct file_policy *policy,
                  const struct fragment_wish *wish)
{
    if (s->count > 1)
        qsort(s->entries, s->count, sizeof(s->entries[0]), compare);
    apply_tombstones(s);
    thin_metas(s);
    if (policy->erasure_coded)
        choose_erasure_coded(s, wish);
    else
        choose_replicated(s);
    report(s);
}

static bool is_older(struct timestamp ts, const struct reclaim *limits)
{
    return limits->now.ticks > ts.ticks &&
           limits->age_s < TIMESTAMP_TICKS_END / TIMESTAMP_TICKS_PER_S &&
           limits->now.ticks - ts.ticks > limits->age_s * TIMESTAMP_TICKS_PER_S;
}

bool select_needs_mtime(const struct select_entry *e, const struct reclaim *limits)
{
    return e->verdict == VERDICT_RECLAIM && e->file.kind == FILE_DATA && !e->file.durable &&
           limits->commit_window_s > 0 && is_older(e->file.timestamp, limits);
}

static bool was_left_alone(const struct select_entry *e, const struct reclaim *limits)
{
    uint64_t now_s = limits->now.ticks / TIMESTAMP_TICKS_PER_S;
    return e->mtime_s < 0 ||
           ((uint64_t)e->mtime_s < now_s && now_s - (uint64_t)e->mtime_s > limits->commit_window_s);
}

void select_reclaim(struct selection *s, const struct reclaim *limits)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct select_entry *e = &s->entries[i];
        bool waits = e->verdict == VERDICT_RECLAIM &&
                     (!select_needs_mtime(e, limits) || was_left_alone(e, limits));
        if ((waits || (int)i == s->tombstone) && is_older(e->file.timestamp, limits))
            e->verdict = VERDICT_OBSOLETE;
    }
    if (s->tombstone >= 0 && s->entries[s->tombstone].verdict == VERDICT_OBSOLETE)
        s->tombstone = -1;
}
