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
    *s = (struct selection){.data = -1, .meta = -1, .ctype = -1, .tombstone = -1};
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
    return s->entries[i].verdict == VERDICT_KEEP && s->entries[i].file.kind == kind;
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
        if (e->verdict == VERDICT_KEEP && (int)e->file.kind != spared_kind &&
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

/* Marks each fragment of that time durable; returns the one of the highest index, or -1. */
static int mark_durable_set(struct selection *s, struct timestamp time)
{
    int chosen = -1;
    for (unsigned i = 0; i < s->count; i++) {
        struct file_name *file = &s->entries[i].file;
        if (!in_game(s, i, FILE_DATA) || timestamp_cmp(file->timestamp, time) != 0)
            continue;
        file->durable = true;
        if (chosen < 0 || file->fragment >= s->entries[chosen].file.fragment)
            chosen = (int)i;
    }
    return chosen;
}

static void choose_erasure_coded(struct selection *s)
{
    int durable = newest_durable(s);

    if (durable >= 0) {
        s->data = mark_durable_set(s, time_of(s, durable));
        drop(s, time_of(s, durable), OLDER, NO_KIND);
    }
    if (s->data < 0) {
        verdict_of_kind(s, FILE_DURABLE, VERDICT_OBSOLETE);
        verdict_of_kind(s, FILE_META, VERDICT_RECLAIM);
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, FILE_DATA) &&
            !(s->data >= 0 && timestamp_cmp(time_of(s, (int)i), time_of(s, s->data)) == 0))
            s->entries[i].verdict = VERDICT_RECLAIM;
    }
}

/* Step 6. */
static void report(struct selection *s)
{
    int last = -1;

    if (s->data < 0) {
        s->tombstone = newest(s, FILE_TOMBSTONE);
        return;
    }
    s->meta = newest(s, FILE_META);
    for (unsigned i = 0; i < s->count; i++) {
        if (in_game(s, i, FILE_META))
            last = (int)i;
    }
    if (last >= 0 && timestamp_cmp(ctype_of(s, last), time_of(s, s->data)) > 0)
        s->ctype = last;
}

void select_files(struct selection *s, const struct file_policy *policy)
{
    if (s->count > 1)
        qsort(s->entries, s->count, sizeof(s->entries[0]), compare);
    apply_tombstones(s);
    thin_metas(s);
    if (policy->erasure_coded)
        choose_erasure_coded(s);
    else
        choose_replicated(s);
    report(s);
}

static bool is_older(struct timestamp ts, struct timestamp now, uint64_t age_s)
{
    return now.ticks > ts.ticks && age_s < TIMESTAMP_TICKS_END / TIMESTAMP_TICKS_PER_S &&
           now.ticks - ts.ticks > age_s * TIMESTAMP_TICKS_PER_S;
}

void select_reclaim(struct selection *s, struct timestamp now, uint64_t reclaim_age_s)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct select_entry *e = &s->entries[i];
        bool waits =
            e->verdict == VERDICT_RECLAIM && (e->file.kind != FILE_DATA || e->file.durable);
        if ((waits || (int)i == s->tombstone) && is_older(e->file.timestamp, now, reclaim_age_s))
            e->verdict = VERDICT_OBSOLETE;
    }
    if (s->tombstone >= 0 && s->entries[s->tombstone].verdict == VERDICT_OBSOLETE)
        s->tombstone = -1;
}
