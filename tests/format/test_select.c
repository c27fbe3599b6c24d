/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes of on-disk-format 5.2 and the edge cases of section 22.
 *
 * A name's leading letter a..e stands for 1700000001.00000 .. 1700000005.00000; "-" is no
 * file. `left` is what neither select_files() nor select_reclaim() declares obsolete. */
#include "diskfile/format/select.h"
#include "tests/format/cases.h"
#include <stdio.h>
#include <stdlib.h>

static const struct file_policy replicated = {.erasure_coded = false};
static const struct file_policy coded = {.erasure_coded = true};
static const struct file_policy coded_3 = {.erasure_coded = true, .fragments = 3};

#define SOON     0 /* seconds after e: nothing is old enough */
#define LATER    1000000
#define AGE_S    604800
#define WINDOW_S 60
#define TIME_E   1700000005u

struct row {
    const struct file_policy *policy;
    unsigned now; /* SOON or LATER */
    const char *files;
    const char *data, *meta, *ctype, *tombstone;
    const char *left; /* in the order of `files` */
    const struct fragment_wish *wish;
};

static const struct fragment_wish index_0 = {.only_index = true, .index = 0};
static const struct fragment_wish index_3 = {.only_index = true, .index = 3};
static const struct fragment_wish any = {.any = true};

#define TIME(letter)                                                                               \
    {                                                                                              \
        (1700000001ull + (letter) - 'a') * TIMESTAMP_TICKS_PER_S, 0                                \
    }
#define PREFER(name, letter, ...)                                                                  \
    static const int name##_excluded[] = {__VA_ARGS__};                                            \
    static const struct fragment_preference name##_one = {TIME(letter), name##_excluded,           \
                                                          sizeof(name##_excluded) / sizeof(int)};  \
    static const struct fragment_wish name = {.any = true, .preferences = &name##_one, .count = 1}
PREFER(b_not_1, 'b', 1);
PREFER(b_not_01, 'b', 0, 1);
PREFER(a_not_9, 'a', 9);

static const struct row rows[] = {
    /* on-disk-format 5.2 */
    {&replicated, SOON, "a.data a.ts", "-", "-", "-", "a.ts", "a.ts"},
    {&replicated, SOON, "b.data a.ts", "b.data", "-", "-", "-", "b.data"},
    {&replicated, SOON, "b.ts c.meta", "-", "-", "-", "b.ts", "b.ts c.meta"},
    {&replicated, SOON, "a.data b.meta c.meta", "a.data", "c.meta", "-", "-", "a.data c.meta"},
    {&replicated, SOON, "a.data c-186a0.meta d.meta", "a.data", "d.meta", "c-186a0.meta", "-",
     "a.data c-186a0.meta d.meta"},
    {&replicated, SOON, "a.data c-186a0.meta d+0.meta", "a.data", "d+0.meta", "d+0.meta", "-",
     "a.data d+0.meta"},
    {&replicated, SOON, "a.data c-186a0.meta c+0.meta c.meta", "a.data", "c+0.meta", "c+0.meta",
     "-", "a.data c+0.meta"},
    {&replicated, SOON, "a.data b+0.meta c+0.meta d.meta e.meta", "a.data", "e.meta", "c+0.meta",
     "-", "a.data c+0.meta e.meta"},
    {&replicated, SOON, "a.data c-30d40.meta", "a.data", "c-30d40.meta", "-", "-",
     "a.data c-30d40.meta"},
    {&replicated, SOON, "b.data b.durable a.foo c.foo junk", "b.data", "-", "-", "-",
     "b.data c.foo junk"},
    {&coded, SOON, "b#1.data", "-", "-", "-", "-", "b#1.data"},
    {&coded, SOON, "b#1#d.data b#0.data c#2.data a#0#d.data", "b#1#d.data", "-", "-", "-",
     "b#1#d.data b#0.data c#2.data"},
    {&coded, SOON, "b#1.data", "b#1.data", "-", "-", "-", "b#1.data", &any},
    {&coded, SOON, "b#1#d.data b#0.data c#2.data a#0#d.data", "b#0.data", "-", "-", "-",
     "b#1#d.data b#0.data c#2.data", &index_0},
    {&coded, SOON, "b#1#d.data b#0.data c#2.data a#0#d.data", "-", "-", "-", "-",
     "b#1#d.data b#0.data c#2.data", &index_3},
    {&coded, SOON, "b#1#d.data b#0.data c#2.data a#0#d.data", "c#2.data", "-", "-", "-",
     "b#1#d.data b#0.data c#2.data", &any},
    {&coded, SOON, "b#1#d.data b#0.data c#2.data a#0#d.data", "b#0.data", "-", "-", "-",
     "b#1#d.data b#0.data c#2.data", &b_not_1},
    {&coded, SOON, "b#1#d.data b#0.data c#2.data a#0#d.data", "c#2.data", "-", "-", "-",
     "b#1#d.data b#0.data c#2.data", &b_not_01},
    {&coded, SOON, "b#1#d.data a#0#d.data", "b#1#d.data", "-", "-", "-", "b#1#d.data", &a_not_9},
    {&coded, SOON, "b#1#d.data b#0.data", "-", "-", "-", "-", "b#1#d.data b#0.data", &b_not_01},
    {&coded, SOON, "b.ts c#1.data d.meta", "c#1.data", "d.meta", "-", "-", "b.ts c#1.data d.meta",
     &any},
    {&coded, SOON, "b#1#d.data c.meta d#0.data", "d#0.data", "-", "-", "-",
     "b#1#d.data c.meta d#0.data", &any},
    {&replicated, SOON, "a.data b.data", "b.data", "-", "-", "-", "b.data", &any},
    {&coded, SOON, "b.durable b#0.data b#1.data", "b#1.data", "-", "-", "-",
     "b.durable b#0.data b#1.data"},
    {&coded, SOON, "b.durable a#0#d.data", "-", "-", "-", "-", ""},
    {&coded, SOON, "b.ts b#0#d.data c#1.data", "-", "-", "-", "b.ts", "b.ts c#1.data"},

    /* Tombstones. */
    {&replicated, SOON, "", "-", "-", "-", "-", ""},
    {&replicated, SOON, "a.ts b.ts a.meta", "-", "-", "-", "b.ts", "b.ts"},
    {&replicated, SOON, "a_0000000000000001.ts a.data", "-", "-", "-", "a_0000000000000001.ts",
     "a_0000000000000001.ts"},
    {&replicated, LATER, "b.ts c.meta", "-", "-", "-", "-", ""},
    {&replicated, LATER, "c.meta", "-", "-", "-", "-", ""},
    {&replicated, SOON, "c.meta", "-", "-", "-", "-", "c.meta"},
    {&replicated, LATER, "b.data c.meta", "b.data", "c.meta", "-", "-", "b.data c.meta"},
    {&replicated, LATER, "c.foo junk", "-", "-", "-", "-", "c.foo junk"},
    /* Metas at the data's time. */
    {&replicated, SOON, "b.data b.meta", "b.data", "-", "-", "-", "b.data"},
    {&replicated, SOON, "b.data a+186a0.meta", "b.data", "-", "-", "-", "b.data"},
    {&replicated, SOON, "c.data b+186a0.meta d.meta", "c.data", "d.meta", "-", "-",
     "c.data d.meta"},
    {&coded, SOON, "b#0#d.data b.meta", "b#0#d.data", "b.meta", "-", "-", "b#0#d.data b.meta"},
    {&coded, SOON, "b#0#d.data a.meta", "b#0#d.data", "-", "-", "-", "b#0#d.data"},
    {&coded, SOON, "b#0#d.data d.meta c+0.meta", "b#0#d.data", "d.meta", "c+0.meta", "-",
     "b#0#d.data d.meta c+0.meta"},
    /* Two policies in one place. */
    {&replicated, SOON, "a.data b#1.data b#1#d.data", "a.data", "-", "-", "-",
     "a.data b#1.data b#1#d.data"},
    {&coded, SOON, "a#1#d.data b.data", "a#1#d.data", "-", "-", "-", "a#1#d.data b.data"},
    {&coded_3, SOON, "a#2#d.data b#3#d.data", "a#2#d.data", "-", "-", "-", "a#2#d.data b#3#d.data"},
    /* Fragments. */
    {&coded, SOON, "b#0#d.data b#10.data b#9.data", "b#10.data", "-", "-", "-",
     "b#0#d.data b#10.data b#9.data"},
    {&coded, SOON, "b#1.data b#1#d.data", "b#1#d.data", "-", "-", "-", "b#1.data b#1#d.data"},
    {&coded, SOON, "c.durable b#0#d.data d#1.data e.meta", "-", "-", "-", "-", "d#1.data e.meta"},
    {&coded, LATER, "c.durable b#0.data", "-", "-", "-", "-", ""},
    {&coded, SOON, "a.durable a#0.data b#1#d.data", "b#1#d.data", "-", "-", "-", "b#1#d.data"},
    {&coded, SOON, "a.ts b.durable", "-", "-", "-", "-", ""},
    {&coded, LATER, "b#1.data", "-", "-", "-", "-", "b#1.data"}, /* its mtime is recent */
    {&coded, LATER, "b#1.data c.meta", "-", "-", "-", "-", "b#1.data"},
    {&coded, SOON, "a.foo b#0#d.data b.foo", "b#0#d.data", "-", "-", "-", "b#0#d.data b.foo"},
};

static void expand(const char *word, size_t len, char *out, size_t size)
{
    bool has_letter =
        len > 1 && word[0] >= 'a' && word[0] <= 'e' && !(word[1] >= 'a' && word[1] <= 'z');
    if (has_letter)
        snprintf(out, size, "170000000%c.00000%.*s", word[0] - 'a' + '1', (int)len - 1, word + 1);
    else
        snprintf(out, size, "%.*s", (int)len, word);
}

/* The next blank-separated word, expanded; false at the end. */
static bool next_word(const char **list, char *out, size_t size)
{
    size_t len = strcspn(*list, " ");
    if (len == 0)
        return false;
    expand(*list, len, out, size);
    *list += len + ((*list)[len] == ' ');
    return true;
}

static void assert_chosen(const struct selection *s, int entry, const char *want)
{
    char name[FILENAME_MAX_LEN];
    expand(want, strlen(want), name, sizeof(name));
    assert_string_equal(entry < 0 ? "-" : s->entries[entry].name, name);
}

static const struct select_entry *entry_of(const struct selection *s, const char *name)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (strcmp(s->entries[i].name, name) == 0)
            return &s->entries[i];
    }
    fail_msg("%s is not in the selection", name);
    return NULL;
}

static bool listed(const char *list, const char *name)
{
    char word[FILENAME_MAX_LEN];
    while (next_word(&list, word, sizeof(word))) {
        if (strcmp(word, name) == 0)
            return true;
    }
    return false;
}

static void assert_sorted(const struct selection *s)
{
    for (unsigned i = 1; i < s->count; i++) {
        const struct select_entry *a = &s->entries[i - 1], *b = &s->entries[i];
        if (b->verdict == VERDICT_FOREIGN)
            continue;
        assert_int_not_equal(a->verdict, VERDICT_FOREIGN);
        assert_true(timestamp_cmp(a->file.timestamp, b->file.timestamp) >= 0);
    }
}

static void run_row(const struct row *row, bool reversed)
{
    struct timestamp now = {(uint64_t)(TIME_E + row->now) * TIMESTAMP_TICKS_PER_S, 0};
    char names[16][FILENAME_MAX_LEN];
    const char *list = row->files;
    struct selection s;
    int count = 0;

    while (next_word(&list, names[count], sizeof(names[0])))
        count++;
    select_init(&s);
    for (int i = 0; i < count; i++) {
        const char *name = names[reversed ? count - 1 - i : i];
        assert_int_equal(select_add(&s, slice_of(name), row->policy), 0);
    }
    select_files(&s, row->policy, row->wish);
    for (unsigned i = 0; i < s.count; i++)
        s.entries[i].mtime_s = TIME_E + row->now - WINDOW_S;
    select_reclaim(&s, &(struct reclaim){now, AGE_S, WINDOW_S});
    assert_int_equal(s.count, count);
    assert_sorted(&s);
    assert_chosen(&s, s.data, row->data);
    assert_chosen(&s, s.meta, row->meta);
    assert_chosen(&s, s.ctype, row->ctype);
    assert_chosen(&s, s.tombstone, row->tombstone);
    for (int i = 0; i < count; i++) {
        bool stays = entry_of(&s, names[i])->verdict != VERDICT_OBSOLETE;
        if (stays != listed(row->left, names[i]))
            fail_msg("%s: wrongly %s", names[i], stays ? "kept" : "obsolete");
    }
    select_release(&s);
}

static void test_outcomes(void **state)
{
    for (EACH(row, rows)) {
        print_message("%s: %s\n", row->policy->erasure_coded ? "EC" : "REPL", row->files);
        run_row(row, false);
        run_row(row, true);
    }
}

static void add_all(struct selection *s, const char *list, const struct file_policy *policy)
{
    char name[FILENAME_MAX_LEN];
    select_init(s);
    while (next_word(&list, name, sizeof(name)))
        assert_int_equal(select_add(s, slice_of(name), policy), 0);
    select_files(s, policy, NULL);
}

static void test_reclaim_is_strictly_older(void **state)
{
    struct selection s;
    struct timestamp now = {(1700000002ull + AGE_S) * TIMESTAMP_TICKS_PER_S, 0};

    add_all(&s, "b.ts", &replicated);
    select_reclaim(&s, &(struct reclaim){now, AGE_S, WINDOW_S});
    assert_int_equal(s.tombstone, 0);
    select_reclaim(&s, &(struct reclaim){now, UINT64_MAX, WINDOW_S});
    assert_int_equal(s.tombstone, 0);
    select_reclaim(&s, &(struct reclaim){{0, 0}, 0, WINDOW_S});
    assert_int_equal(s.tombstone, 0);
    now.ticks++;
    select_reclaim(&s, &(struct reclaim){now, AGE_S, WINDOW_S});
    assert_int_equal(s.tombstone, -1);
    assert_int_equal(s.entries[0].verdict, VERDICT_OBSOLETE);
    select_release(&s);
}

/* A fragment without its commit: old by name, and left alone for longer than the window. */
static void test_commit_window(void **state)
{
    static const struct {
        int64_t mtime_ago_s;
        uint64_t age_s, window_s;
        bool goes;
    } windows[] = {
        {WINDOW_S, AGE_S, WINDOW_S, false},
        {WINDOW_S + 1, AGE_S, WINDOW_S, true},
        {-10, AGE_S, WINDOW_S, false},
        {0, AGE_S, 0, true},
        {WINDOW_S + 1, 2 * LATER, WINDOW_S, false},
        {2 * TIME_E, AGE_S, WINDOW_S, true},
    };
    struct timestamp now = {(uint64_t)(TIME_E + LATER) * TIMESTAMP_TICKS_PER_S, 0};
    for (EACH(w, windows)) {
        struct selection s;
        struct reclaim limits = {now, w->age_s, w->window_s};
        add_all(&s, "b#1.data", &coded);
        s.entries[0].mtime_s = (int64_t)TIME_E + LATER - w->mtime_ago_s;
        assert_int_equal(select_needs_mtime(&s.entries[0], &limits),
                         w->window_s > 0 && w->age_s == AGE_S);
        select_reclaim(&s, &limits);
        assert_int_equal(s.entries[0].verdict == VERDICT_OBSOLETE, w->goes);
        select_release(&s);
    }
}

static void test_verdicts(void **state)
{
    struct selection s;
    add_all(&s, ". .. junk b#0#d.data b#1.data c#1.data d.meta a.ts", &coded);
    assert_int_equal(s.count, 6); /* without "." and ".." */
    assert_int_equal(entry_of(&s, "junk")->verdict, VERDICT_FOREIGN);
    assert_int_equal(entry_of(&s, "1700000001.00000.ts")->verdict, VERDICT_OBSOLETE);
    assert_int_equal(entry_of(&s, "1700000003.00000#1.data")->verdict, VERDICT_RECLAIM);
    assert_int_equal(entry_of(&s, "1700000004.00000.meta")->verdict, VERDICT_KEEP);
    assert_true(entry_of(&s, "1700000002.00000#1.data")->file.durable); /* by company */
    assert_false(entry_of(&s, "1700000003.00000#1.data")->file.durable);
    select_release(&s);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.data, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_reclaim_is_strictly_older),
        cmocka_unit_test(test_commit_window),
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
