/* SPDX-License-Identifier: Apache-2.0 */
/* test_load.c -- which object is in a hash directory, what its metadata is, what cleanup
 * leaves (on-disk-format 5.2, 6, 7, 8). */
#include "diskfile/engine/checksum.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* a..e stand for 1700000001..1700000005 */
struct outcome_row {
    const char *files;
    enum df_state state;
    const char *timestamp; /* merged, or the tombstone's */
    const char *type;      /* merged Content-Type */
    const char *after;     /* cleanup */
};

static const struct outcome_row outcomes[] = {
    {"", DF_ABSENT, NULL, NULL, "-"},
    {"a.data", DF_LIVE, "a", "data-a", "a.data"},
    {"a.ts", DF_DELETED, "a", NULL, "a.ts"},
    {"a.data a.ts", DF_DELETED, "a", NULL, "a.ts"},
    {"b.data a.ts", DF_LIVE, "b", "data-b", "b.data"},
    {"b.ts c.meta", DF_DELETED, "b", NULL, "b.ts c.meta"},
    {"a.data a.meta", DF_LIVE, "a", "data-a", "a.data"},
    {"a.data b.meta c.meta", DF_LIVE, "c", "data-a", "a.data c.meta"},
    {"a.data c-186a0.meta d.meta", DF_LIVE, "d", "meta-c", "a.data c-186a0.meta d.meta"},
    {"a.data c-186a0.meta d+0.meta", DF_LIVE, "d", "meta-d", "a.data d+0.meta"},
    {"a.data c-186a0.meta c+0.meta c.meta", DF_LIVE, "c", "meta-c", "a.data c+0.meta"},
    {"a.data b+0.meta c+0.meta d.meta e.meta", DF_LIVE, "e", "meta-c", "a.data c+0.meta e.meta"},
    {"a.data c-30d40.meta", DF_LIVE, "c", "meta-c", "a.data c-30d40.meta"},
    {"b.data b.durable a.foo c.foo junk", DF_LIVE, "b", "data-b", "b.data c.foo junk"},
    {"a.meta", DF_ABSENT, NULL, NULL, "a.meta"},
    {"b#1.data b#1#d.data", DF_ABSENT, NULL, NULL, "b#1#d.data b#1.data"},
    {"a.data b#1.data", DF_LIVE, "a", "data-a", "a.data b#1.data"},
};

static void expand(const char *shortened, char name[64])
{
    bool starts_with_time =
        shortened[0] >= 'a' && shortened[0] <= 'e' && shortened[1] && strchr(".-+#", shortened[1]);
    if (starts_with_time)
        snprintf(name, 64, "170000000%d.00000%s", shortened[0] - 'a' + 1, shortened + 1);
    else
        snprintf(name, 64, "%s", shortened);
}

static void expand_all(const char *files, char text[1024])
{
    char copy[256], *rest = copy, name[64];
    strcpy(copy, files);
    text[0] = '\0';
    for (char *file; (file = strsep(&rest, " "));) {
        expand(file, name);
        strcat(text, text[0] ? " " : "");
        strcat(text, name);
    }
}

/* Content-Type-Timestamp of a .meta, from its delta: in seconds before its own time. */
static void put_meta(struct scratch *s, const char *file, const char *name)
{
    char metadata[512], type[128] = "";
    const char *delta = strpbrk(file, "-+");
    long ticks = delta ? strtol(delta, NULL, 16) : 0;
    if (delta)
        snprintf(type, sizeof(type),
                 "|Content-Type=meta-%c|Content-Type-Timestamp=170000000%ld.00000", file[0],
                 file[0] - 'a' + 1 + ticks / (long)TIMESTAMP_TICKS_PER_S);
    snprintf(metadata, sizeof(metadata), "X-Timestamp=%.16s|X-Object-Meta-Of=%c|name=/a/c/o%s",
             name, file[0], type);
    scratch_put(s, name, "", metadata);
}

static void put_short(struct scratch *s, const char *file)
{
    char name[64], metadata[128];
    expand(file, name);
    if (strstr(file, ".meta")) {
        put_meta(s, file, name);
    } else if (strstr(file, ".data")) {
        snprintf(metadata, sizeof(metadata), "Content-Type=data-%c|X-Object-Meta-Own=1", file[0]);
        scratch_put_data(s, name, "body", metadata);
    } else {
        snprintf(metadata, sizeof(metadata), "X-Timestamp=%.16s|name=/a/c/o", name);
        scratch_put(s, name, "", metadata);
    }
}

static void check_outcome(struct scratch *s, const struct outcome_row *row)
{
    char copy[256], *rest = copy, text[1024], expected[1024], name[64];
    strcpy(copy, row->files);
    for (char *file; (file = strsep(&rest, " "));)
        if (file[0])
            put_short(s, file);

    struct object_state state;
    struct load_spec spec = scratch_spec();
    print_message("  %s\n", row->files);
    assert_int_equal(hashdir_load(&s->place, &spec, &state), 0);
    assert_int_equal(state.info.state, row->state);
    assert_false(state.info.quarantined);
    if (row->timestamp) {
        expand(row->timestamp, name);
        assert_int_equal(state.info.timestamp.ticks,
                         (1700000000ull + (uint64_t)(row->timestamp[0] - 'a' + 1)) *
                             TIMESTAMP_TICKS_PER_S);
    }
    if (row->type) {
        const struct slice *type = metadata_get(state.info.metadata, "Content-Type");
        assert_true(type && slice_eq(*type, slice_of(row->type)));
        assert_int_equal(state.info.ctype_from_meta, row->type[0] == 'm');
        assert_int_equal(state.info.has_meta,
                         row->timestamp[0] != row->type[5] || row->type[0] == 'm');
        assert_int_equal(metadata_get(state.info.metadata, "X-Object-Meta-Own") != NULL,
                         !state.info.has_meta);
    }
    object_state_release(&state);

    assert_int_equal(hashdir_clean(&s->place, spec.now), 0);
    expand_all(row->after, expected);
    assert_string_equal(scratch_list(s->place.dir, text), expected);
    scratch_remove(s->place.dir);
}

static void test_outcomes(void **state)
{
    unsigned fds = scratch_open_fds();
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
        check_outcome(*state, &outcomes[i]);
    assert_int_equal(scratch_open_fds(), fds);
}

static void test_reclaim(void **state)
{
    static const struct {
        const char *file;
        uint64_t age_s;
        const char *after;
    } rows[] = {
        {"a.ts", 604800, "1700000001.00000.ts"},
        {"a.ts", 604801, "-"},
        {"a.meta", 604801, "-"},
        {"a.data", 604801, "1700000001.00000.data"},
        {"junk", 604801, "junk"},
    };
    struct scratch *s = *state;
    char text[1024];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_short(s, rows[i].file);
        struct timestamp now = {.ticks = (1700000001 + rows[i].age_s) * TIMESTAMP_TICKS_PER_S};
        assert_int_equal(hashdir_clean(&s->place, now), 0);
        assert_string_equal(scratch_list(s->place.dir, text), rows[i].after);
        scratch_remove(s->place.dir);
    }
    assert_int_equal(hashdir_clean(&s->place, scratch_spec().now), 0); /* nothing there */
}

static const struct timestamp past_reclaim = {.ticks = 1700700000ull * TIMESTAMP_TICKS_PER_S};

/* The names that went, in their order, as the kernel tells. */
static void removed_in_order(int watch_fd, char text[1024])
{
    _Alignas(struct inotify_event) char events[4096];
    text[0] = '\0';
    ssize_t n = read(watch_fd, events, sizeof(events));
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const struct inotify_event *)(events + at);
        at += (ssize_t)sizeof(*e) + e->len;
        if (e->mask & IN_DELETE)
            strcat(strcat(text, text[0] ? " " : ""), e->name);
    }
}

/* When a tombstone goes with what it has deleted, no reader may ever see the older body. */
static void test_clean_begins_with_the_oldest(void **state)
{
    struct scratch *s = *state;
    char text[1024];
    put_short(s, "a.data");
    put_short(s, "b.data");
    put_short(s, "c.meta");
    put_short(s, "d.ts");
    int watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    assert_true(inotify_add_watch(watch_fd, s->place.dir, IN_DELETE) >= 0);
    assert_int_equal(hashdir_clean(&s->place, past_reclaim), 0);
    removed_in_order(watch_fd, text);
    assert_string_equal(text, "1700000001.00000.data 1700000002.00000.data 1700000003.00000.meta "
                              "1700000004.00000.ts");
    assert_false(scratch_exists(s->place.dir));
    close(watch_fd);
}

static int set_immutable(const char *path, bool on)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
    int r = ioctl(fd, FS_IOC_GETFLAGS, &flags);
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    if (r == 0)
        r = ioctl(fd, FS_IOC_SETFLAGS, &flags);
    close(fd);
    return r;
}

/* A tombstone stays for as long as something that it deletes cannot be removed. */
static void test_clean_keeps_the_tombstone(void **state)
{
    struct scratch *s = *state;
    char path[PATH_MAX + 64], text[1024];
    put_short(s, "a.data");
    put_short(s, "b.ts");
    snprintf(path, sizeof(path), "%s/1700000001.00000.data", s->place.dir);
    if (set_immutable(path, true) < 0) {
        print_message("  no file can be made immutable here (%s); skipped\n", strerror(errno));
        skip();
    }
    assert_int_equal(hashdir_clean(&s->place, past_reclaim), 0);
    assert_int_equal(set_immutable(path, false), 0);
    assert_string_equal(scratch_list(s->place.dir, text),
                        "1700000001.00000.data 1700000002.00000.ts");
    assert_int_equal(hashdir_clean(&s->place, past_reclaim), 0);
    assert_false(scratch_exists(s->place.dir));
}

/* What a POST can and cannot change. */
static void test_merge(void **state)
{
    struct scratch *s = *state;
    scratch_put_data(s, "1700000001.00000.data", "body",
                     "X-Object-Meta-Old=1|X-Delete-At=1|X-Static-Large-Object=True|"
                     "X-Object-Sysmeta-Kept=yes|Content-Encoding=gzip");
    scratch_put(s, "1700000002.00000.meta", "",
                "X-Timestamp=1700000002.00000|X-Object-Meta-New=2|Content-Length=99|"
                "X-Object-Transient-Sysmeta-T=t|name=/a/c/o");
    struct object_state st;
    struct load_spec spec = scratch_spec();
    assert_int_equal(hashdir_load(&s->place, &spec, &st), 0);
    assert_int_equal(st.info.state, DF_LIVE); /* the data file's X-Delete-At is gone */
    static const char *const there[] = {"X-Object-Meta-New", "X-Static-Large-Object",
                                        "X-Object-Sysmeta-Kept", "X-Object-Transient-Sysmeta-T",
                                        "ETag"};
    static const char *const gone[] = {"X-Object-Meta-Old", "X-Delete-At", "Content-Encoding"};
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        assert_non_null(metadata_get(st.info.metadata, there[i]));
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        assert_null(metadata_get(st.info.metadata, gone[i]));
    assert_true(slice_eq(*metadata_get(st.info.metadata, "Content-Length"), SLICE("4")));
    assert_non_null(metadata_get(st.info.data_metadata, "X-Object-Meta-Old"));
    assert_non_null(metadata_get(st.info.meta_metadata, "X-Object-Meta-New"));
    assert_int_equal(st.info.data_timestamp.ticks, 170000000100000);
    assert_int_equal(st.info.ctype_timestamp.ticks, 170000000100000);
    assert_int_equal(st.info.size, 4);
    assert_int_equal(st.fd, -1);
    object_state_release(&st);
}

static void test_expiry(void **state)
{
    static const struct {
        const char *delete_at;
        bool open_expired;
        enum df_state state;
        bool quarantined;
    } rows[] = {
        {"1700000100", false, DF_EXPIRED, false},
        {"1700000101", false, DF_LIVE, false},
        {"1700000100", true, DF_LIVE, false},
        {"-5", false, DF_EXPIRED, false},
        {"99999999999999999999", false, DF_LIVE, false},
        {"soon", false, DF_ABSENT, true},
        {"", true, DF_ABSENT, true},
    };
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char more[64];
        struct object_state st;
        struct load_spec spec = scratch_spec();
        spec.open_expired = rows[i].open_expired;
        snprintf(more, sizeof(more), "X-Delete-At=%s", rows[i].delete_at);
        scratch_put_data(s, "1700000001.00000.data", "body", more);
        assert_int_equal(hashdir_load(&s->place, &spec, &st), 0);
        assert_int_equal(st.info.state, rows[i].state);
        assert_int_equal(st.info.quarantined, rows[i].quarantined);
        object_state_release(&st);
        scratch_remove(s->place.dir);
    }
}

/* on-disk-format 7.3 cut into chunks, with and without checksum. */
static void test_chunks(void **state)
{
    struct scratch *s = *state;
    struct metadata m = {0};
    char long_value[3000], *pickle, sum[CHECKSUM_HEX_LEN + 1], bad[CHECKSUM_HEX_LEN + 1];
    size_t len;
    memset(long_value, 'v', sizeof(long_value) - 1);
    long_value[sizeof(long_value) - 1] = '\0';
    metadata_set_text(&m, "X-Timestamp", "1700000001.00000");
    metadata_set_text(&m, "X-Object-Meta-Long", long_value);
    metadata_set_text(&m, "name", "/a/c/o");
    assert_int_equal(metadata_encode(&m, &pickle, &len), 0);
    assert_int_equal(checksum_of(pickle, len, sum), 0);
    strcpy(bad, sum);
    bad[0] = bad[0] == '0' ? '1' : '0';
    const struct {
        const char *checksum;
        size_t chunk;
        bool good;
    } rows[] = {
        {sum, 65536, true},
        {sum, 1100, true},
        {sum, 254, true},
        {NULL, 1100, true},
        {"", 1100, true},
        {bad, 1100, false},
        {bad, 65536, false},
        {"abc", 254, false},
        {"0123456789012345678901234567890123456789", 65536, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct object_state st;
        struct load_spec spec = scratch_spec();
        unsigned before = s->quarantines;
        print_message("  chunk %zu, checksum %s\n", rows[i].chunk, rows[i].checksum);
        scratch_put_raw(s, "1700000001.00000.ts", "", pickle, len, rows[i].checksum, rows[i].chunk);
        assert_int_equal(hashdir_load(&s->place, &spec, &st), 0);
        assert_int_equal(st.info.state, rows[i].good ? DF_DELETED : DF_ABSENT);
        assert_int_equal(s->quarantines - before, rows[i].good ? 0 : 1);
        object_state_release(&st);
        scratch_remove(s->place.dir);
    }
    free(pickle);
    metadata_release(&m);
}

static void test_another_name(void **state)
{
    struct scratch *s = *state;
    struct object_state st;
    struct load_spec spec = scratch_spec();
    scratch_put(s, "1700000001.00000.data", "",
                "X-Timestamp=1700000001.00000|Content-Length=0|"
                "name=/a/c/other");
    assert_int_equal(hashdir_load(&s->place, &spec, &st), -EEXIST);
    assert_int_equal(s->quarantines, 0);
    object_state_release(&st);
}

static void test_changes(void **state)
{
    struct scratch *s = *state;
    const struct object_place *p = &s->place;
    char text[1024], path[PATH_MAX];
    unsigned existed_len = 0;
    assert_int_equal(hashdir_existing(p), p->device_len);
    assert_int_equal(hashdir_make(p, &existed_len), 0);
    assert_int_equal(existed_len, p->device_len);
    assert_int_equal(hashdir_existing(p), p->dir_len);
    assert_int_equal(hashdir_sync(p, p->device_len), 0);
    rmdir(p->dir);
    assert_int_equal(hashdir_existing(p), p->suffix_len);
    assert_int_equal(hashdir_make(p, &existed_len), 0);
    assert_int_equal(existed_len, p->suffix_len);
    assert_int_equal(hashdir_make(p, &existed_len), 0);
    assert_int_equal(existed_len, p->dir_len);

    hashdir_unmake(p, p->partition_len);
    assert_int_equal(hashdir_existing(p), p->partition_len);
    hashdir_unmake(p, p->device_len);
    assert_int_equal(hashdir_existing(p), p->device_len);

    assert_int_equal(hashdir_invalidate(p), 0);
    assert_int_equal(hashdir_invalidate(p), 0);
    snprintf(path, sizeof(path), "%s/node/sda1/objects/7", s->root);
    assert_string_equal(scratch_list(path, text), ".lock hashes.invalid");
    char expected[16], found[16] = "";
    snprintf(expected, sizeof(expected), "%s\n%s\n", hash_suffix(&p->hash), hash_suffix(&p->hash));
    strcat(path, "/hashes.invalid");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, found, sizeof(found) - 1), 8);
    close(fd);
    assert_string_equal(found, expected);
    hashdir_unmake(p, p->device_len); /* the partition is in use */
    assert_int_equal(hashdir_existing(p), p->partition_len);

    scratch_remove(scratch_path(s, "node/sda1", path));
    assert_int_equal(hashdir_make(p, &existed_len), -ENODEV);
    assert_int_equal(hashdir_invalidate(p), -ENODEV);
    assert_false(scratch_exists(path));
}

static void test_lock(void **state)
{
    struct scratch *s = *state;
    int fd, second;
    assert_int_equal(hashdir_lock(&s->place, &fd), 0);
    assert_int_equal(hashdir_lock(&s->place, &second), -ETIMEDOUT);
    assert_int_equal(hashdir_invalidate(&s->place), -ETIMEDOUT);
    s->place.locked = true;
    assert_int_equal(hashdir_invalidate(&s->place), 0);
    s->place.locked = false;
    close(fd);
    assert_int_equal(hashdir_lock(&s->place, &fd), 0);
    close(fd);
}

struct writer {
    struct scratch *s;
    atomic_bool stop;
};

/* A new version, then the old one removed: as any writer on these disks does it. */
static void *keep_replacing(void *arg)
{
    struct writer *w = arg;
    char old[PATH_MAX + 64], new[PATH_MAX + 64];
    snprintf(new, sizeof(new), "%s/1700000001.00000.data", w->s->place.dir);
    for (unsigned n = 2; !atomic_load(&w->stop); n++) {
        strcpy(old, new);
        snprintf(new, sizeof(new), "%s/17%08u.00000.data", w->s->place.dir, n);
        assert_int_equal(link(old, new), 0);
        assert_int_equal(unlink(old), 0);
    }
    return NULL;
}

/* A reader sees one version or the next, never none. */
static void test_while_replaced(void **state)
{
    struct writer w = {.s = *state};
    struct load_spec spec = scratch_spec();
    struct object_state st;
    pthread_t thread;
    scratch_put_data(w.s, "1700000001.00000.data", "body", "");
    assert_int_equal(pthread_create(&thread, NULL, keep_replacing, &w), 0);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(hashdir_load(&w.s->place, &spec, &st), 0);
        assert_int_equal(st.info.state, DF_LIVE);
        object_state_release(&st);
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(w.s->quarantines, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_outcomes),
        TEST(test_reclaim),
        TEST(test_clean_begins_with_the_oldest),
        TEST(test_clean_keeps_the_tombstone),
        TEST(test_merge),
        TEST(test_expiry),
        TEST(test_chunks),
        TEST(test_another_name),
        TEST(test_changes),
        TEST(test_lock),
        TEST(test_while_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
