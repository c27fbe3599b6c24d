/* SPDX-License-Identifier: Apache-2.0 */
/* test_hot.c -- what is kept in memory, and that it is given out only while the files are the
 * very ones it was read from (hot.h, H1 to H4). */
#include "diskfile/engine/hot.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define DATA "1700000001.00000.data"
/* A clock by which every file here is old. */
#define LATER ((struct timespec){.tv_sec = time(NULL) + 60})

static char *path_of(struct scratch *s, const char *name)
{
    static char path[PATH_MAX + 300];
    snprintf(path, sizeof(path), "%s/%s", s->place.dir, name);
    return path;
}

/* Loads /a/c/o as a GET does and offers it. Returns whether it was kept. */
static bool keep(struct scratch *s, struct hot_table *h, struct timespec now)
{
    struct object_state state = {.fd = -1};
    struct load_spec spec = scratch_spec();
    spec.want_identity = spec.keep_fd = true;
    assert_int_equal(hashdir_load(&s->place, &spec, &state), 0);
    char *body = malloc(5);
    memcpy(body, "hello", 5);
    struct hot_entry *e = hot_keep(h, &s->place, &state, body, 5, now);
    bool kept = e != NULL;
    if (kept)
        hot_unref(e);
    else
        free(body);
    object_state_release(&state);
    return kept;
}

static bool look(struct scratch *s, struct hot_table *h)
{
    struct hot_entry *e = hot_look(h, &s->place);
    if (!e)
        return false;
    assert_memory_equal(e->body, "hello", 5);
    assert_int_equal(e->state.info.size, 5);
    assert_non_null(metadata_get(e->state.info.metadata, "ETag"));
    hot_unref(e);
    return true;
}

static void test_kept_and_found(void **state)
{
    struct scratch *s = *state;
    scratch_put_data(s, DATA, "hello", "");
    struct hot_table *h = hot_new(1 << 20);
    assert_false(look(s, h));
    assert_true(keep(s, h, LATER));
    for (int i = 0; i < 3; i++)
        assert_true(look(s, h));
    hot_free(h);
}

/* H3 */
static void test_too_young(void **state)
{
    struct scratch *s = *state;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    struct stat st;
    scratch_put_data(s, DATA, "hello", "");
    struct hot_table *h = hot_new(1 << 20);
    assert_int_equal(stat(path_of(s, DATA), &st), 0); /* changed last, by its xattrs */
    struct timespec looked = st.st_ctim;
    assert_false(keep(s, h, looked));
    looked.tv_nsec += 50000000;
    assert_false(keep(s, h, looked));
    looked.tv_sec += 1;
    assert_true(keep(s, h, looked));
    /* A time without a fraction, ahead of all others. */
    times[1] = (struct timespec){.tv_sec = st.st_ctim.tv_sec + 100};
    assert_int_equal(utimensat(AT_FDCWD, path_of(s, DATA), times, 0), 0);
    looked = (struct timespec){.tv_sec = times[1].tv_sec + 1};
    assert_false(keep(s, h, looked));
    looked.tv_sec += 2;
    assert_true(keep(s, h, looked));
    hot_free(h);
}

/* H4 */
static void test_not_kept(void **state)
{
    struct scratch *s = *state;
    struct hot_table *h = hot_new(1 << 20);
    scratch_put_data(s, DATA, "hello", "|X-Delete-At=9999999999");
    assert_false(keep(s, h, LATER));
    scratch_put_data(s, DATA, "hello", "");
    scratch_put(s, "1700000002.00000.meta", "", "X-Timestamp=1700000002.00000|name=/a/c/o");
    assert_false(keep(s, h, LATER));
    hot_free(h);
}

/* ---- H2: each of these must be seen ---- */

static void add_newer(struct scratch *s)
{
    scratch_put_data(s, "1700000009.00000.data", "world", "");
}

static void add_tombstone(struct scratch *s)
{
    scratch_put(s, "1700000009.00000.ts", "", "X-Timestamp=1700000009.00000|name=/a/c/o");
}

static void remove_file(struct scratch *s)
{
    assert_int_equal(unlink(path_of(s, DATA)), 0);
}

static void remove_dir(struct scratch *s)
{
    scratch_remove(s->place.dir);
}

static void move_dir(struct scratch *s)
{
    scratch_remove(path_of(s, "../elsewhere"));
    assert_int_equal(rename(s->place.dir, path_of(s, "../elsewhere")), 0);
}

/* Same size, and the time put back: only ctime tells. */
static void alter_a_byte(struct scratch *s)
{
    struct stat st;
    int fd = open(path_of(s, DATA), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pwrite(fd, "J", 1, 0), 1);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void truncate_it(struct scratch *s)
{
    assert_int_equal(truncate(path_of(s, DATA), 3), 0);
}

static void alter_metadata(struct scratch *s)
{
    assert_int_equal(setxattr(path_of(s, DATA), XATTR_CHECKSUM, "x", 1, 0), 0);
}

static void replace_by_rename(struct scratch *s)
{
    char other[PATH_MAX + 300];
    scratch_put_data(s, "other", "hello", "");
    snprintf(other, sizeof(other), "%s", path_of(s, "other"));
    assert_int_equal(rename(other, path_of(s, DATA)), 0);
}

/* The clock of the files moves in steps of up to 10 ms; H3 is about just that. */
static void wait_for_the_next_tick(struct scratch *s)
{
    struct stat before, after; /* the file was changed last, by its xattrs */
    assert_int_equal(stat(path_of(s, DATA), &before), 0);
    do {
        scratch_mkdir(path_of(s, "../tick"));
        assert_int_equal(stat(path_of(s, "../tick"), &after), 0);
        assert_int_equal(rmdir(path_of(s, "../tick")), 0);
    } while (after.st_mtim.tv_sec == before.st_ctim.tv_sec &&
             after.st_mtim.tv_nsec <= before.st_ctim.tv_nsec);
}

static struct hot_table *table_with_it(struct scratch *s)
{
    struct hot_table *h = hot_new(1 << 20);
    scratch_remove(s->place.dir);
    scratch_put_data(s, DATA, "hello", "");
    assert_true(keep(s, h, LATER));
    return h;
}

/* An entry is watched from its first use on (H5); before, its files are looked at (H2). */
static void test_changes_are_seen(void **state)
{
    struct scratch *s = *state;
    void (*const changes[])(struct scratch *) = {
        add_newer,    add_tombstone, remove_file,    remove_dir,        move_dir,
        alter_a_byte, truncate_it,   alter_metadata, replace_by_rename,
    };
    for (unsigned i = 0; i < 2 * sizeof(changes) / sizeof(changes[0]); i++) {
        bool watched = i % 2;
        struct hot_table *h = table_with_it(s);
        if (watched)
            assert_true(look(s, h));
        else
            wait_for_the_next_tick(s);
        changes[i / 2](s);
        if (look(s, h))
            fail_msg("change %u was not seen (%s)", i / 2, watched ? "watched" : "not watched");
        hot_free(h);
    }
}

/* H5: nothing tells of a directory above that goes away. */
static void test_belief_ends(void **state)
{
    struct scratch *s = *state;
    char away[PATH_MAX + 300];
    struct hot_table *h = table_with_it(s);
    assert_true(look(s, h));
    char *suffix = strdup(path_of(s, ".."));
    assert_non_null(suffix);
    char *real = realpath(suffix, NULL);
    snprintf(away, sizeof(away), "%s.away", real);
    assert_int_equal(rename(real, away), 0);
    time_t end = time(NULL) + 30;
    while (look(s, h) && time(NULL) < end) /* the clock itself is what is waited for */
        continue;
    assert_false(look(s, h));
    assert_int_equal(rename(away, real), 0);
    free(real);
    free(suffix);
    hot_free(h);
}

/* More changes than the kernel keeps events for: then nothing is believed. */
static void test_lost_events(void **state)
{
    struct scratch *s = *state;
    unsigned long queue = 0;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu", &queue), 1);
    fclose(f);
    struct hot_table *h = table_with_it(s);
    assert_true(look(s, h));
    struct object_place first = s->place;
    s->place.dir[s->place.dir_len - 1] ^= 1; /* a neighbour, whose events fill the queue */
    s->place.hash.md5[15] ^= 1;
    scratch_put_data(s, DATA, "hello", "");
    assert_true(keep(s, h, LATER));
    assert_true(look(s, h));
    int fd = open(path_of(s, DATA), O_WRONLY);
    for (unsigned long i = 0; i <= queue / 2; i++) { /* two in turn: what repeats is merged */
        assert_int_equal(ftruncate(fd, 5), 0);
        assert_int_equal(fchmod(fd, 0644), 0);
    }
    close(fd);
    s->place = first;
    assert_int_equal(unlink(path_of(s, DATA)), 0); /* this one is not told any more */
    assert_false(look(s, h));
    hot_free(h);
}

/* Bounded: the least recently used go. */
static void test_limit(void **state)
{
    struct scratch *s = *state;
    struct hot_table *h = hot_new(32 << 10);
    unsigned kept = 0, found = 0;
    struct object_place first = s->place;
    scratch_put_data(s, DATA, "hello", "");
    for (unsigned char i = 0; i < 64; i++) {
        s->place.hash.md5[0] = i; /* another object for the table, the same for the disk */
        kept += keep(s, h, LATER);
    }
    assert_int_equal(kept, 64);
    for (unsigned char i = 0; i < 64; i++) {
        s->place.hash.md5[0] = i;
        found += look(s, h);
    }
    s->place = first;
    assert_in_range(found, 10, 40);
    hot_free(h);
}

static void test_disabled(void **state)
{
    struct scratch *s = *state;
    scratch_put_data(s, DATA, "hello", "");
    struct hot_table *h = hot_new(0);
    assert_false(keep(s, h, LATER));
    assert_true(hot_is_empty(h));
    hot_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_and_found, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_too_young, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_not_kept, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_changes_are_seen, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_belief_ends, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_lost_events, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_limit, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_disabled, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
