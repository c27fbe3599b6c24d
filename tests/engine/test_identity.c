/* SPDX-License-Identifier: Apache-2.0 */
/* test_identity.c -- stand-alone mode: which directories belong together, who lies where. */
#include "diskfile/engine/identity_file.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS 200

struct set {
    struct scratch *s;
    char paths[8][PATH_MAX];
    const char *list[8];
    unsigned count;
};

static void configure(struct set *set, struct scratch *s, const char *names)
{
    memset(set, 0, sizeof(*set));
    set->s = s;
    for (; *names; names++, set->count++) {
        char name[16];
        snprintf(name, sizeof(name), "dirs/%c", *names);
        set->list[set->count] = scratch_path(s, name, set->paths[set->count]);
    }
}

static int open_set(struct set *set, struct df_store **ret_store)
{
    struct df_options options = set->s->options;
    options.devices = NULL;
    options.hash_key = (struct hash_key){0};
    options.data_dirs = set->list;
    options.data_dir_count = set->count;
    set->s->problem[0] = '\0';
    return df_store_open(&options, ret_store, set->s->problem, sizeof(set->s->problem));
}

static void note_path(void *arg, const char *device, const char *path, const char *found)
{
    struct {
        const char *device;
        char path[PATH_MAX];
    } *wanted = arg;
    if (strcmp(device, wanted->device) == 0)
        snprintf(wanted->path, sizeof(wanted->path), "%s", path);
}

/* Where each key lies: the last letter of the data directory's path, and the partition. */
static void map(struct df_store *store, char text[KEYS * 8])
{
    text[0] = '\0';
    for (int i = 0; i < KEYS; i++) {
        char key[16], partition[16];
        struct {
            const char *device;
            char path[PATH_MAX];
        } wanted;
        snprintf(key, sizeof(key), "key%d", i);
        wanted.device = df_store_place(store, SLICE("a"), SLICE("c"), slice_of(key), partition);
        df_store_each_device(store, note_path, &wanted);
        assert_true(atoi(partition) < 1024);
        sprintf(text + strlen(text), "%c%s ", wanted.path[strlen(wanted.path) - 1], partition);
    }
}

static void test_mapping_is_stable(void **state)
{
    struct set set;
    struct df_store *store;
    char before[KEYS * 8], after[KEYS * 8];
    configure(&set, *state, "abc");
    assert_int_equal(open_set(&set, &store), 0);
    map(store, before);
    for (const char *letter = "abc"; *letter; letter++)
        assert_non_null(strchr(before, *letter)); /* all are used */
    df_store_close(store);
    static const char *const orders[] = {"abc", "cba", "bca"};
    for (int i = 0; i < 3; i++) {
        configure(&set, *state, orders[i]);
        assert_int_equal(open_set(&set, &store), 0);
        map(store, after);
        assert_string_equal(before, after);
        df_store_close(store);
    }
}

static void make_store(struct scratch *s, const char *names)
{
    struct set set;
    struct df_store *store;
    configure(&set, s, names);
    assert_int_equal(open_set(&set, &store), 0);
    df_store_close(store);
}

static void refused(struct scratch *s, const char *names, const char *where, const char *why)
{
    struct set set;
    struct df_store *store;
    configure(&set, s, names);
    print_message("  %s: ", names);
    assert_true(open_set(&set, &store) < 0);
    print_message("%s\n", s->problem);
    assert_non_null(strstr(s->problem, where));
    assert_non_null(strstr(s->problem, why));
}

static void shell(struct scratch *s, const char *command)
{
    char line[PATH_MAX * 2];
    snprintf(line, sizeof(line), "cd %s/dirs && %s", s->root, command);
    assert_int_equal(system(line), 0);
}

static void test_refusals(void **state)
{
    struct scratch *s = *state;
    make_store(s, "abc");
    make_store(s, "x");
    refused(s, "ab", "dirs/a", "has 3 data directories, but 2 are configured");
    refused(s, "abcd", "dirs/d", "is not one of the 3");
    refused(s, "abx", "dirs/x", "belong to different stores");
    refused(s, "abcx", "dirs/x", "belong to different stores");
    refused(s, "abb", "dirs/b", "the same directory");
    shell(s, "cp -a c C && mv c away");
    refused(s, "abc", "dirs/c", "has no objsrv-identity");
    shell(s, "test ! -e c && ln -s C c");
    make_store(s, "abc");
    refused(s, "abcC", "dirs/C", "the same directory");
    shell(s, "rm c && mkdir c");
    refused(s, "abc", "dirs/c", "mount its disk");
    shell(s, "rmdir c && cp -a b c");
    refused(s, "abc", "dirs/c", "same identity");
    shell(s, "rm -r c && mv away c && echo junk >> c/objsrv-identity");
    refused(s, "abc", "dirs/c/objsrv-identity", "damaged");
    shell(s, "cp C/objsrv-identity c && sed -i 's/^part_power.*/part_power = 11/' "
             "c/objsrv-identity");
    refused(s, "abc", "dirs/c", "do not agree");
    shell(s, "cp C/objsrv-identity c");
    make_store(s, "abc");
    shell(s, "mkdir full && mv full f && touch f/mine");
    refused(s, "f", "dirs/f", "is not empty");
    shell(s, "touch plain && mv plain p");
    refused(s, "p", "dirs/p", "Not a directory");
}

/* An interruption at every point of the first start. */
static void test_interrupted_first_start(void **state)
{
    struct scratch *s = *state;
    static const char *const left_by[] = {
        "rm -r b c; sed -i s/yes/no/ a/objsrv-identity",
        "mv b/objsrv-identity b/objsrv-identity.tmp; sed -i s/yes/no/ [ac]/objsrv-identity",
        "sed -i s/yes/no/ a/objsrv-identity b/objsrv-identity c/objsrv-identity",
        "sed -i s/yes/no/ b/objsrv-identity c/objsrv-identity",
        "rm */objsrv-identity",
    };
    for (size_t i = 0; i < sizeof(left_by) / sizeof(left_by[0]); i++) {
        make_store(s, "abc");
        shell(s, left_by[i]);
        make_store(s, "cab");
        shell(s, "test $(cat */objsrv-identity | grep -c 'complete = yes') = 3");
        shell(s, "test $(cat */objsrv-identity | grep '^self' | sort -u | wc -l) = 3");
        make_store(s, "bca");
    }
    shell(s, "rm b/objsrv-identity; sed -i s/yes/no/ a/objsrv-identity"); /* c says yes */
    refused(s, "abc", "dirs/b", "mount its disk");
}

/* The second directory cannot be written to: what the first one got must not bind anybody. */
static void test_failed_first_start(void **state)
{
    struct scratch *s = *state;
    char path[PATH_MAX];
    scratch_mkdir(scratch_path(s, "dirs/b/objsrv-identity.tmp", path));
    refused(s, "abc", "dirs/b/objsrv-identity", "Is a directory");
    shell(s, "grep -q 'complete = no' a/objsrv-identity && rmdir b/objsrv-identity.tmp");
    make_store(s, "abc");
}

static void test_one_process(void **state)
{
    struct scratch *s = *state;
    struct set set;
    struct df_store *store, *second;
    configure(&set, s, "ab");
    assert_int_equal(open_set(&set, &store), 0);
    configure(&set, s, "bc");
    assert_true(open_set(&set, &second) < 0);
    assert_non_null(strstr(s->problem, "dirs/b is in use by another process"));
    df_store_close(store);
}

/* The disk goes away (its mount point stays) and comes back. */
static void test_vanished(void **state)
{
    struct scratch *s = *state;
    struct set set;
    struct df_store *store;
    struct store_device *d;
    configure(&set, s, "a");
    assert_int_equal(open_set(&set, &store), 0);
    assert_int_equal(store_device(store, SLICE("d0"), &d), 0);
    assert_int_equal(store_device(store, SLICE("d1"), &d), -ENODEV);
    assert_int_equal(store_device_check(store, d), 0);
    shell(s, "mv a away && mkdir a");
    assert_int_equal(store_device_check(store, d), -ENODEV);
    shell(s,
          "cp -a away/objsrv-identity a && sed -i s/part_power.*/part_power=3/ a/objsrv-identity");
    assert_int_equal(store_device_check(store, d), -ENODEV);
    shell(s, "rm -r a && cp -a away a"); /* as if under another device number */
    assert_int_equal(store_device_check(store, d), 0);
    shell(s, "rm -r a && mv away a");
    assert_int_equal(store_device_check(store, d), 0);
    assert_int_equal(store_device_check(store, d), 0);
    df_store_close(store);
}

static void test_clock(void **state)
{
    struct scratch *s = *state;
    struct timestamp now = df_now(), last = {0};
    for (int i = 0; i < 1000; i++) {
        struct timestamp t = df_store_clock(s->store, (struct timestamp){0});
        assert_true(timestamp_cmp(t, last) > 0 && timestamp_cmp(t, now) >= 0);
        last = t;
    }
    struct timestamp later = {.ticks = last.ticks + 100000000, .offset = 5};
    struct timestamp t = df_store_clock(s->store, later);
    assert_true(timestamp_cmp(t, later) > 0);
    assert_true(timestamp_cmp(df_store_clock(s->store, (struct timestamp){0}), t) > 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mapping_is_stable),
        TEST(test_refusals),
        TEST(test_interrupted_first_start),
        TEST(test_failed_first_start),
        TEST(test_one_process),
        TEST(test_vanished),
        TEST(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
