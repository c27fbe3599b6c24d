/* SPDX-License-Identifier: Apache-2.0 */
/* test_quarantine.c -- what is found damaged, where it goes, and what must stay. */
#include "tests/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD "X-Timestamp=1700000001.00000|name=/a/c/o|"

struct damage_row {
    const char *file, *body, *metadata, *reason;
};

static const struct damage_row rows[] = {
    {"1700000001.00000.data", "body", "X-Timestamp=1700000001.00000|Content-Length=4",
     "missing name metadata"},
    {"1700000001.00000.data", "body", GOOD "Content-Length=5",
     "metadata content-length 5 does not match actual object size 4"},
    {"1700000001.00000.data", "body", GOOD "Content-Length=-4",
     "metadata content-length -4 does not match actual object size 4"},
    {"1700000001.00000.data", "body", GOOD "Content-Length=four",
     "bad metadata content-length value four"},
    {"1700000001.00000.data", "body", GOOD "ETag=x", "missing content-length in metadata"},
    {"1700000001.00000.data", "body",
     GOOD "Content-Length=4|X-Delete-At=", "bad metadata x-delete-at value "},
    {"1700000001.00000.data", "body", "", "Exception reading metadata"},
    {"1700000001.00000.ts", "", "", "Exception reading metadata"},
};

static const char *quarantined(struct scratch *s, char text[1024])
{
    char path[PATH_MAX];
    return scratch_list(scratch_path(s, "node/sda1/quarantined/objects", path), text);
}

static void load_damaged(struct scratch *s, const char *reason)
{
    struct object_state st;
    struct load_spec spec = scratch_spec();
    spec.keep_fd = true;
    unsigned before = s->quarantines;
    assert_int_equal(hashdir_load(&s->place, &spec, &st), 0);
    assert_int_equal(st.info.state, DF_ABSENT);
    assert_true(st.info.quarantined);
    assert_null(st.info.metadata);
    assert_int_equal(st.fd, -1);
    assert_int_equal(s->quarantines, before + 1);
    assert_non_null(strstr(s->last_event, reason));
    assert_non_null(strstr(s->last_event, s->place.dir));
    object_state_release(&st);
    assert_false(scratch_exists(s->place.dir));
}

static void test_damage(void **state)
{
    struct scratch *s = *state;
    char text[1024], path[PATH_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("  %s\n", rows[i].reason);
        if (rows[i].metadata[0])
            scratch_put(s, rows[i].file, rows[i].body, rows[i].metadata);
        else
            scratch_put_raw(s, rows[i].file, rows[i].body, "", 0, NULL, 1);
        load_damaged(s, rows[i].reason);
        assert_string_equal(quarantined(s, text), s->place.hash.hex);
        scratch_remove(scratch_path(s, "node/sda1/quarantined", path));
        snprintf(path, sizeof(path), "%.*s/hashes.invalid", (int)s->place.partition_len,
                 s->place.dir);
        assert_true(scratch_exists(path));
        unlink(path);
    }
}

static void test_bad_meta_takes_the_object(void **state)
{
    struct scratch *s = *state;
    scratch_put_data(s, "1700000001.00000.data", "body", "");
    scratch_put_raw(s, "1700000002.00000.meta", "", "rubbish", 7, NULL, 100);
    load_damaged(s, "1700000002.00000.meta: Exception reading metadata");
}

static void test_file_in_place_of_directory(void **state)
{
    struct scratch *s = *state;
    char text[1024];
    scratch_mkdir(s->place.dir);
    rmdir(s->place.dir);
    scratch_write(s->place.dir, "x", 1);
    load_damaged(s, "Expected directory, found file");
    assert_string_equal(quarantined(s, text), s->place.hash.hex);
}

/* A second find of the same hash gets a name of its own: file, directory, empty directory. */
static void test_collision(void **state)
{
    struct scratch *s = *state;
    char text[1024], path[PATH_MAX], name[PATH_MAX];
    for (int i = 0; i < 4; i++) {
        if (i == 2) {
            scratch_mkdir(s->place.dir);
            rmdir(s->place.dir);
            scratch_write(s->place.dir, "x", 1);
        } else {
            scratch_put_raw(s, "1700000001.00000.data", "", "", 0, NULL, 1);
        }
        load_damaged(s, "");
        if (i == 0) {
            snprintf(name, sizeof(name), "node/sda1/quarantined/objects/%s/1700000001.00000.data",
                     s->place.hash.hex);
            unlink(scratch_path(s, name, path)); /* leaves an empty directory */
        }
    }
    assert_int_equal(strlen(quarantined(s, text)), 4 * HASH_HEX_LEN + 3 * (1 + 33));
    assert_memory_equal(text, s->place.hash.hex, HASH_HEX_LEN);
}

/* A reader that has had the bad file open for long must not put its successor away. */
static void test_successor_stays(void **state)
{
    struct scratch *s = *state;
    char old[PATH_MAX + 64], text[1024];
    scratch_put_data(s, "1700000001.00000.data", "body", "");
    snprintf(old, sizeof(old), "%s/1700000001.00000.data", s->place.dir);
    int fd = open(old, O_RDONLY | O_CLOEXEC);

    scratch_put_data(s, "1700000002.00000.data", "new", "");
    assert_int_equal(hashdir_quarantine(&s->place, "1700000001.00000.data", fd, "r"), -ESTALE);
    unlink(old);
    assert_int_equal(hashdir_quarantine(&s->place, "1700000001.00000.data", fd, "r"), -ESTALE);
    scratch_put_data(s, "1700000001.00000.data", "same name", ""); /* and another inode */
    snprintf(old, sizeof(old), "%s/1700000002.00000.data", s->place.dir);
    unlink(old);
    assert_int_equal(hashdir_quarantine(&s->place, "1700000001.00000.data", fd, "r"), -ESTALE);
    assert_string_equal(scratch_list(s->place.dir, text), "1700000001.00000.data");
    close(fd);

    scratch_remove(s->place.dir);
    assert_int_equal(hashdir_quarantine(&s->place, "1700000001.00000.data", -1, "r"), -ESTALE);
    assert_int_equal(s->quarantines, 0);
}

/* Under the caller's own lock no second lock is waited for; under another's it is. */
static void test_lock(void **state)
{
    struct scratch *s = *state;
    struct object_state st;
    struct load_spec spec = scratch_spec();
    int fd;
    scratch_put_raw(s, "1700000001.00000.data", "", "", 0, NULL, 1);
    assert_int_equal(hashdir_lock(&s->place, &fd), 0);
    assert_int_equal(hashdir_load(&s->place, &spec, &st), -ETIMEDOUT);
    assert_true(scratch_exists(s->place.dir));
    s->place.locked = true;
    load_damaged(s, "");
    s->place.locked = false;
    close(fd);
}

static void test_suffix(void **state)
{
    struct scratch *s = *state;
    char text[1024];
    scratch_put_data(s, "1700000001.00000.data", "body", "");
    assert_int_equal(hashdir_quarantine_suffix(&s->place, "r"), 0);
    assert_string_equal(quarantined(s, text), hash_suffix(&s->place.hash));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_damage),
        TEST(test_bad_meta_takes_the_object),
        TEST(test_file_in_place_of_directory),
        TEST(test_collision),
        TEST(test_successor_stays),
        TEST(test_lock),
        TEST(test_suffix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
