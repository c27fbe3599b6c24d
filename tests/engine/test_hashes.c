/* SPDX-License-Identifier: Apache-2.0 */
/* test_hashes.c -- suffix hashes of real directories: the specification's table, and what happens
 * when others write at the same time. */
#include "diskfile/engine/partition_hashes.h"
#include "diskfile/engine/suffix_hash.h"
#include "tests/engine/scratch.h"
#include "tests/format/cases.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define ALL_OF_IT UINT64_MAX / 2 /* ns */
#define H         "0123456789abcdef0123456789abcad8"
#define EMPTY_MD5 "d41d8cd98f00b204e9800998ecf8427e"

/* <device>/objects[-2]/7/<name> */
static const char *below(const struct scratch *s, unsigned policy, const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/sda1/objects%s/7/%s", s->devices, policy ? "-2" : "", name);
    return path;
}

/* Files of one hash directory, separated by blanks. */
static void put(const struct scratch *s, unsigned policy, const char *dir, const char *files)
{
    char names[1024], path[PATH_MAX + 256], *rest = names;
    snprintf(path, sizeof(path), "%s", below(s, policy, dir));
    scratch_mkdir(path);
    snprintf(names, sizeof(names), "%s", files);
    for (const char *name; (name = strsep(&rest, " "));) {
        snprintf(path, sizeof(path), "%s/%s", below(s, policy, dir), name);
        if (name[0])
            scratch_write(path, "", 0);
    }
}

static struct store_device *device_of(const struct scratch *s)
{
    struct store_device *device;
    assert_int_equal(store_device(s->store, SLICE("sda1"), &device), 0);
    return device;
}

static void begin(const struct scratch *s, unsigned policy, struct partition_hashes *h)
{
    assert_int_equal(partition_hashes_init(h, s->store, device_of(s),
                                           store_policy(s->store, policy), SLICE("7")),
                     0);
}

/* "ad8=<digits>,<index>:<digits> ..."; 8 digits of each. */
static const char *told(const struct suffix_hashes *h, char text[1024])
{
    size_t n = 0;
    char name[SUFFIX_LEN + 1];
    text[0] = '\0';
    for (unsigned i = 0; i < SUFFIXES; i++) {
        const struct suffix_value *v = &h->of[i];
        if (v->state == SUFFIX_ABSENT)
            continue;
        suffix_name(i, name);
        n += (size_t)snprintf(text + n, 1024 - n, "%s%s%s", n > 0 ? " " : "", name,
                              v->state == SUFFIX_STALE ? "=stale" : "");
        for (unsigned k = 0; k < v->count; k++)
            n += (size_t)snprintf(text + n, 1024 - n, "%c%d:%.8s", k > 0 ? ',' : '=',
                                  v->sums[k].fragment, v->sums[k].hex);
    }
    return text;
}

/* All at once. */
static const char *hashes(const struct scratch *s, unsigned policy, unsigned *ret_hashed,
                          char text[1024])
{
    struct partition_hashes h;
    begin(s, policy, &h);
    int r = partition_hashes_work(&h, ALL_OF_IT);
    if (r == 0)
        told(h.hashes, text);
    else
        snprintf(text, 1024, "%d", r);
    *ret_hashed = h.hashed;
    partition_hashes_release(&h);
    return text;
}

/* ---- one suffix ---- */

/* Old files stay: nothing is reclaimed before a century. */
static void test_table(void **state)
{
    static const struct {
        unsigned policy;
        const char *files, *told;
    } rows[] = {
        /* the specification's, taken from Debian's Swift */
        {0, "1700000000.00000.data", "ad8=-1:841dfe82"},
        {0, "1700000000.00000.data 1700000001.00000.meta", "ad8=-1:ff101aa3"},
        {0, "1700000000.00000.data 1700000003.00000-186a0.meta", "ad8=-1:cb241a5b"},
        {0, "1700000009.00000.ts", "ad8=-1:d71c2b59"},
        {2, "1700000000.00000#2.data", "ad8=2:ba09af0f"},
        {2, "1700000000.00000#0#d.data 1700000000.00000#2.data",
         "ad8=2:ba09af0f,0:ba09af0f,-1:b851eea3"},
        {2,
         "1700000000.00000#0#d.data 1700000000.00000#2.data 1700000003.00000.meta "
         "1700000005.00000#1.data",
         "ad8=-1:1e1468c1,1:c50ea8bd,2:ba09af0f,0:ba09af0f"},
        /* a name that is written otherwise says the same */
        {0, "1700000000.0.data", "ad8=-1:841dfe82"},
        /* what has no bearing on the object: losers go, strangers stay */
        {0, "1700000000.00000.data 1600000000.00000.data 1600000000.00000.ts", "ad8=-1:841dfe82"},
        {0, "1700000000.00000.data junk .1700000009.00000.data.aB3xYz", "ad8=-1:841dfe82"},
        {0, "junk", "ad8=-1:d41d8cd9"},
        {2, "junk", "ad8"},
        {2, "1700000000.00000#3.data", "ad8"}, /* of 2 + 1 fragments */
        {0, "", ""},
    };
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024];
    ((struct df_store *)s->store)->options.reclaim_age_s = UINT64_MAX;
    for (EACH(row, rows)) {
        put(s, row->policy, "ad8/" H, row->files);
        if (strcmp(hashes(s, row->policy, &hashed, text), row->told) != 0)
            fail_msg("%s: %s, not %s", row->files, text, row->told);
        assert_int_equal(hashed, row->told[0] ? 1 : 0);
        scratch_remove(below(s, row->policy, ""));
    }
}

/* Hash directories are taken in ascending order, whatever the disk says. */
static void test_order(void **state)
{
    static const struct {
        const char *dir, *file;
    } rows[] = {{"ad8/0123456789abcdef0123456789abcad8", "1890000000.00000.data"},
                {"ad8/a123456789abcdef0123456789abcad8", "1890000001.00000.ts"},
                {"ad8/f123456789abcdef0123456789abcad8", "1890000002.00000.data"}};
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024];
    for (int first = 0; first < 3; first++) {
        for (int i = 0; i < 3; i++)
            put(s, 0, rows[(first + i) % 3].dir, rows[(first + i) % 3].file);
        assert_string_equal(hashes(s, 0, &hashed, text), "ad8=-1:cc3980df");
        scratch_remove(below(s, 0, ""));
    }
}

static void test_cleaned(void **state)
{
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024], names[1024];
    put(s, 0, "ad8/" H, "1500000000.00000.ts");            /* reclaimable */
    put(s, 0, "abc/0123456789abcdef0123456789abcabc", ""); /* an aborted upload's */
    put(s, 2, "ad8/" H, "1500000000.00000#1.data 1890000000.00000#0.data"); /* the first too */
    assert_string_equal(hashes(s, 0, &hashed, text), "");
    assert_string_equal(scratch_list(below(s, 0, ""), names), ".lock hashes.pkl");
    assert_string_equal(hashes(s, 2, &hashed, text), "ad8=0:35440192");
    assert_string_equal(scratch_list(below(s, 2, "ad8/" H), names), "1890000000.00000#0.data");
}

static void test_file_for_directory(void **state)
{
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024], path[PATH_MAX];
    scratch_mkdir(below(s, 0, "ad8"));
    scratch_write(below(s, 0, "ad8/" H), "x", 1);
    assert_string_equal(hashes(s, 0, &hashed, text), "");
    assert_int_equal(s->quarantines, 1);
    assert_true(scratch_exists(scratch_path(s, "node/sda1/quarantined/objects/" H, path)));
}

/* A directory that cannot be opened stays stale, and the others are hashed. */
static void test_unreadable(void **state)
{
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024];
    ((struct df_store *)s->store)->options.reclaim_age_s = UINT64_MAX;
    put(s, 0, "abc/0123456789abcdef0123456789abcabc", "1700000000.00000.data");
    scratch_mkdir(below(s, 0, "ad8"));
    assert_int_equal(symlink(H, below(s, 0, "ad8/" H)), 0); /* leads to itself */
    assert_string_equal(hashes(s, 0, &hashed, text), "abc=-1:841dfe82 ad8=stale");
    assert_int_equal(hashed, 1);
    assert_string_equal(hashes(s, 0, &hashed, text), "abc=-1:841dfe82 ad8=stale");
    assert_int_equal(hashed, 0);
    assert_int_equal(unlink(below(s, 0, "ad8/" H)), 0);
    assert_string_equal(hashes(s, 0, &hashed, text), "abc=-1:841dfe82");
}

/* ---- a partition ---- */

static void test_not_made(void **state)
{
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024];
    assert_string_equal(hashes(s, 0, &hashed, text), "");
    assert_false(scratch_exists(below(s, 0, "")));
}

/* What is known is believed until hashes.invalid says otherwise. */
static void test_cached(void **state)
{
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024], names[1024];
    put(s, 0, "ad8/" H, "1890000000.00000.data");
    hashes(s, 0, &hashed, text);
    assert_int_equal(hashed, 1);
    put(s, 0, "ad8/" H, "1890000001.00000.data");
    assert_string_equal(hashes(s, 0, &hashed, names), text);
    assert_int_equal(hashed, 0);
    scratch_write(below(s, 0, "hashes.invalid"), "\nad8\n  \nxyz\n", 12);
    assert_string_not_equal(hashes(s, 0, &hashed, names), text);
    assert_int_equal(hashed, 1);
    hashes(s, 0, &hashed, text);
    assert_int_equal(hashed, 0); /* the odd lines poisoned nothing */
    assert_string_equal(scratch_list(below(s, 0, ""), names),
                        ".lock ad8 hashes.invalid hashes.pkl");
}

/* In pieces of one suffix each; somebody marks and consolidates between them: all is read again. */
static void test_overtaken(void **state)
{
    struct scratch *s = *state;
    struct partition_hashes h;
    unsigned hashed, pieces = 0;
    char text[1024], theirs[1024];
    put(s, 0, "ad8/" H, "1890000000.00000.data");
    put(s, 0, "abc/0123456789abcdef0123456789abcabc", "1890000000.00000.data");
    begin(s, 0, &h);
    int r;
    while ((r = partition_hashes_work(&h, 0)) > 0) {
        if (++pieces > 100)
            fail();
        if (h.step != PARTITION_WRITE || h.tries > 0)
            continue;
        put(s, 0, "abc/0123456789abcdef0123456789abcabc", "1890000009.00000.data");
        assert_int_equal(partition_hashes_forget(&h.place, SLICE("abc")), 0);
        hashes(s, 0, &hashed, theirs);
    }
    assert_int_equal(r, 0);
    assert_int_equal(h.tries, 1);
    assert_true(pieces >= 4);
    assert_string_equal(told(h.hashes, text), theirs);
    partition_hashes_release(&h);
}

static void test_locked(void **state)
{
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024];
    put(s, 0, "ad8/" H, "1890000000.00000.data");
    int fd = open(below(s, 0, ".lock"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    snprintf(text, sizeof(text), "%d", -ETIMEDOUT);
    char found[1024];
    assert_string_equal(hashes(s, 0, &hashed, found), text);
    close(fd);
}

/* hashes.invalid that cannot be read: everything is hashed, and the file stays for who can. */
static void test_distrusted(void **state)
{
    struct scratch *s = *state;
    unsigned hashed;
    char text[1024], again[1024];
    put(s, 0, "ad8/" H, "1890000000.00000.data");
    hashes(s, 0, &hashed, text);
    scratch_mkdir(below(s, 0, "hashes.invalid"));
    assert_string_equal(hashes(s, 0, &hashed, again), text);
    assert_int_equal(hashed, 1);
    assert_int_equal(s->warnings, 1);
    assert_non_null(strstr(s->last_event, "Unable to read"));
}

static void test_forget(void **state)
{
    static const struct {
        const char *suffixes, *lines;
    } rows[] = {{"abc", "abc\n"},    {"abc-def-abc", "abc\ndef\nabc\n"},
                {"-abc--", "abc\n"}, {"ABC-xyz-abcd-ab/c-abc/def-0", NULL},
                {"-", NULL},         {"", NULL}};
    struct scratch *s = *state;
    struct partition_hashes h;
    char found[64];
    begin(s, 0, &h);
    for (EACH(row, rows)) {
        assert_int_equal(partition_hashes_forget(&h.place, slice_of(row->suffixes)), 0);
        int fd = open(below(s, 0, "hashes.invalid"), O_RDONLY | O_CLOEXEC);
        if (!row->lines) {
            assert_int_equal(fd, -1);
            assert_false(scratch_exists(below(s, 0, ""))); /* for nothing none is made */
            continue;
        }
        ssize_t n = read(fd, found, sizeof(found));
        assert_int_equal(n, strlen(row->lines));
        assert_memory_equal(found, row->lines, (size_t)n);
        close(fd);
        scratch_remove(below(s, 0, ""));
    }
    partition_hashes_release(&h);
}

/* ---- a thread that is to end ---- */

static void on_hashes(void *arg, int res, const struct df_hashes *found)
{
    (void)found;
    *(int *)arg = res;
}

static int hashes_of_thread(struct df_thread *t, bool hurry)
{
    int res = 1;
    assert_true(df_hashes_get(t, 0, SLICE("sda1"), SLICE("7"), on_hashes, &res));
    if (hurry)
        df_thread_hurry(t);
    while (res == 1) {
        struct pollfd ready = {.fd = df_thread_fd(t), .events = POLLIN};
        df_thread_flush(t);
        (void)poll(&ready, 1, -1);
        df_thread_reap(t);
    }
    return res;
}

/* It ends between two pieces, and leaves what was known. */
static void test_hurried(void **state)
{
    struct scratch *s = *state;
    struct df_thread *t;
    char name[64];
    for (unsigned i = 0; i < SUFFIXES; i++) {
        snprintf(name, sizeof(name), "%03x/%032x", i, i);
        put(s, 0, name, "1890000000.00000.data");
    }
    assert_int_equal(df_thread_open(s->store, &t), 0);
    assert_int_equal(hashes_of_thread(t, true), -ECANCELED);
    df_thread_close(t);
    assert_false(scratch_exists(below(s, 0, "hashes.pkl")));
    assert_int_equal(df_thread_open(s->store, &t), 0);
    assert_int_equal(hashes_of_thread(t, false), 0);
    assert_int_equal(hashes_of_thread(t, true), 0); /* nothing to do any more, in one piece */
    df_thread_close(t);
}

/* No descriptor stays open, on any path. */
static void test_descriptors(void **state)
{
    struct scratch *s = *state;
    unsigned fds = scratch_open_fds();
    test_cached(state);
    scratch_remove(below(s, 0, ""));
    test_distrusted(state);
    scratch_remove(below(s, 0, ""));
    test_unreadable(state);
    assert_int_equal(scratch_open_fds(), fds);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_table),      ROW(test_order),      ROW(test_cleaned), ROW(test_file_for_directory),
        ROW(test_unreadable), ROW(test_not_made),   ROW(test_cached),  ROW(test_overtaken),
        ROW(test_locked),     ROW(test_distrusted), ROW(test_forget),  ROW(test_hurried),
        ROW(test_descriptors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
