/* SPDX-License-Identifier: Apache-2.0 */
/* test_upload.c -- uploads on real directories: what is on disk afterwards, that every failing
 * operation is told, that nothing leaks, and that data, names and syncs keep their order
 * (invariants I1 to I7 of upload.h). */
#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/thread.h"
#include "tests/disk/disk_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static char devices[PATH_MAX];

/* ---- a store in a scratch directory ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void fresh_devices(void)
{
    (void)nftw(devices, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    char device[PATH_MAX + 8];
    snprintf(device, sizeof(device), "%s/sda1", devices);
    assert_int_equal(mkdir(devices, 0755), 0);
    assert_int_equal(mkdir(device, 0755), 0);
}

static struct df_store *open_store(enum df_on_existing on_existing, enum df_engine engine)
{
    static const struct df_policy policies[] = {
        {.index = 0},
        {.index = 1, .erasure_coded = true, .data_fragments = 2, .parity_fragments = 1}};
    struct df_options options = {
        .devices = devices,
        .policies = policies,
        .policy_count = 2,
        .hash_key = {.prefix = SLICE("pfx"), .suffix = SLICE("sfx")},
        .reclaim_age_s = 1000000000, /* the tombstones here are years old */
        .fallocate = true,
        .bytes_per_sync = 1 << 20,
        .lock_timeout_ms = 2000,
        .on_existing = on_existing,
        .engine = engine,
        .threads_per_device = 8,
        .requests_per_device = 64,
        .ring_ops_per_device = 64,
    };
    struct df_store *store;
    char problem[256] = "";
    int r = df_store_open(&options, &store, problem, sizeof(problem));
    if (r < 0)
        fail_msg("df_store_open: %d %s", r, problem);
    return store;
}

static const struct df_name name = {
    .device = SLICE("sda1"),
    .partition = SLICE("7"),
    .account = SLICE("AUTH_test"),
    .container = SLICE("c"),
    .object = SLICE("o"),
};
#define HASH_DIR  "objects/7/ad8/a2f44d515fb09dd10b491d4919d60ad8"
#define CODED_DIR "objects-1/7/ad8/a2f44d515fb09dd10b491d4919d60ad8"

/* ---- one upload, driven to its end ---- */

#define BASE_TICKS 170000000000000u

struct put {
    struct df_thread *thread;
    struct df_upload *upload;
    const char *body; /* NULL: "hello", or nothing for a tombstone or .meta */
    size_t body_len, sent, chunk;
    uint64_t ticks; /* after BASE_TICKS */
    enum df_upload_kind kind;
    bool finished, streamed, abort_at_end, abort_when_begun;
    bool coded; /* in the erasure-coded policy, as fragment `index` */
    unsigned index;
    bool hold, stay_pending, abort_when_stored;
    int stored;
    void (*when_stored)(struct put *p);
    int res, judge_answer, judged, drained;
    enum df_state seen;
    struct timestamp seen_timestamp;
    void (*after_drained)(struct put *p);
};

static int put_judge(void *arg, struct df_upload *u, const struct df_info *info)
{
    struct put *p = arg;
    p->judged++;
    p->seen = info->state;
    p->seen_timestamp = info->timestamp;
    return p->judge_answer;
}

static void put_commit(struct put *p)
{
    struct metadata m = {0};
    char text[TIMESTAMP_TEXT_MAX];
    timestamp_internal((struct timestamp){.ticks = BASE_TICKS + p->ticks}, text);
    assert_int_equal(metadata_set_text(&m, "X-Timestamp", text), 0);
    snprintf(text, sizeof(text), "%zu", p->body_len);
    if (p->kind == DF_UPLOAD_DATA) {
        assert_int_equal(metadata_set_text(&m, "Content-Length", text), 0);
        assert_int_equal(metadata_set_text(&m, "ETag", "00000000000000000000000000000000"), 0);
        assert_int_equal(metadata_set_text(&m, "Content-Type", "t/p"), 0);
    }
    assert_int_equal(metadata_set_text(&m, "name", "/AUTH_test/c/o"), 0);
    if (p->coded && p->kind == DF_UPLOAD_DATA)
        df_upload_set_fragment(p->upload, p->index);
    df_upload_commit(p->upload, &m);
}

static void put_more(struct put *p)
{
    size_t left = p->body_len - p->sent;
    if (left == 0) {
        if (p->abort_at_end)
            df_upload_abort(p->upload);
        else
            put_commit(p);
        return;
    }
    size_t n = p->chunk && p->chunk < left ? p->chunk : left;
    df_upload_append(p->upload, p->body + p->sent, n);
    p->sent += n;
}

static void put_began(void *arg)
{
    struct put *p = arg;
    if (p->abort_when_begun)
        df_upload_abort(p->upload);
    else
        put_more(p);
}

static void put_drained(void *arg)
{
    struct put *p = arg;
    p->drained++;
    if (p->after_drained)
        p->after_drained(p);
    if (p->streamed)
        put_more(p);
}

static void put_stored(void *arg)
{
    struct put *p = arg;
    assert_true(p->hold);
    p->stored++;
    if (p->when_stored)
        p->when_stored(p);
    else if (p->abort_when_stored)
        df_upload_abort(p->upload);
    else
        df_upload_make_durable(p->upload);
}

static void put_finished(void *arg, int res)
{
    struct put *p = arg;
    assert_false(p->finished);
    p->finished = true;
    p->res = res;
}

static void put_start(struct put *p)
{
    if (!p->body)
        p->body = p->kind == DF_UPLOAD_DATA ? "hello" : "";
    if (p->body_len == 0)
        p->body_len = strlen(p->body);
    static const struct df_upload_calls calls = {put_judge, put_began, put_drained, put_stored,
                                                 put_finished};
    struct df_upload_spec spec = {
        .kind = p->kind,
        .timestamp = {.ticks = BASE_TICKS + p->ticks},
        .size = (int64_t)p->body_len,
        .now = df_now(),
        .hold = p->hold,
        .stay_pending = p->stay_pending,
    };
    struct df_name where = name;
    where.policy = p->coded;
    p->upload = df_upload_begin(p->thread, &where, &spec, &calls, p);
    assert_non_null(p->upload);
    if (p->streamed)
        return;
    if (p->body_len > 0)
        df_upload_append(p->upload, p->body, p->body_len);
    put_commit(p);
}

static void put_wait(struct put *p)
{
    struct pollfd fd = {.fd = df_thread_fd(p->thread), .events = POLLIN};
    df_thread_flush(p->thread);
    while (!p->finished) {
        if (poll(&fd, 1, 30000) == 0)
            fail_msg("an upload hangs");
        df_thread_reap(p->thread);
        df_thread_flush(p->thread);
    }
}

static int put(struct put *p)
{
    put_start(p);
    put_wait(p);
    return p->res;
}

#define PUT(t, ...)                                                                                \
    (struct put)                                                                                   \
    {                                                                                              \
        .thread = (t), __VA_ARGS__                                                                 \
    }

/* ---- what is on disk ---- */

static char *below_device(const char *path)
{
    static char full[2 * PATH_MAX];
    snprintf(full, sizeof(full), "%s/sda1/%s", devices, path);
    return full;
}

static void assert_file(const char *path, const char *content)
{
    char text[4096] = "";
    FILE *f = fopen(below_device(path), "r");
    if (!f)
        fail_msg("%s: errno %d", path, errno);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    assert_string_equal(text, content);
}

static int count_entries(const char *path)
{
    DIR *d = opendir(below_device(path));
    if (!d)
        return -1;
    int n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

static int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* ---- with the real back ends ---- */

static const enum df_engine engines[] = {DF_ENGINE_THREADS, DF_ENGINE_URING};
#define EACH_ENGINE(i) for (unsigned i = 0; i < 2; i++)

struct fixture {
    struct df_store *store;
    struct df_thread *thread;
};

static struct fixture fixture_open(enum df_on_existing on_existing, enum df_engine engine)
{
    fresh_devices();
    struct fixture f = {.store = open_store(on_existing, engine)};
    assert_int_equal(df_thread_open(f.store, &f.thread), 0);
    return f;
}

static void fixture_close(struct fixture *f)
{
    df_thread_close(f->thread);
    df_store_close(f->store);
}

static void test_one_go(void **state)
{
    EACH_ENGINE(i)
    {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
        assert_int_equal(put(&PUT(f.thread, .ticks = 0)), 0);
        assert_file(HASH_DIR "/1700000000.00000.data", "hello");
        assert_file("objects/7/hashes.invalid", "ad8\n"); /* I6 */
        char checksum[33] = "";
        assert_int_equal(
            getxattr(below_device(HASH_DIR "/1700000000.00000.data"), XATTR_CHECKSUM, checksum, 32),
            32);
        fixture_close(&f);
    }
}

static void test_streamed(void **state)
{
    enum { SIZE = 3 << 20 };
    char *body = malloc(SIZE);
    memset(body, 'x', SIZE);
    EACH_ENGINE(i)
    {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
        struct put p =
            PUT(f.thread, .body = body, .body_len = SIZE, .chunk = 65536, .streamed = true);
        assert_int_equal(put(&p), 0);
        assert_int_equal(p.drained, SIZE / 65536);
        struct stat st;
        assert_int_equal(stat(below_device(HASH_DIR "/1700000000.00000.data"), &st), 0);
        assert_int_equal(st.st_size, SIZE);
        fixture_close(&f);
    }
    free(body);
}

/* I7: hanging up during the body leaves not even a directory. */
static void test_abort_leaves_nothing(void **state)
{
    EACH_ENGINE(i)
    {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
        int before = count_entries(".");
        assert_int_equal(put(&PUT(f.thread, .streamed = true, .abort_at_end = true)), -ECANCELED);
        assert_int_equal(put(&PUT(f.thread, .streamed = true, .abort_when_begun = true)),
                         -ECANCELED);
        assert_int_equal(count_entries("."), before);
        assert_int_equal(count_entries("objects"), -1);
        fixture_close(&f);
    }
}

static void test_judge_refuses(void **state)
{
    EACH_ENGINE(i)
    {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
        assert_int_equal(put(&PUT(f.thread, .ticks = 0)), 0);
        struct put p = PUT(f.thread, .body = "other", .ticks = 1, .judge_answer = -ESTALE);
        assert_int_equal(put(&p), -ESTALE);
        assert_int_equal(p.seen, DF_LIVE);
        assert_int_equal(p.seen_timestamp.ticks, BASE_TICKS);
        assert_int_equal(count_entries(HASH_DIR), 1);
        fixture_close(&f);
    }
}

static void test_newer_replaces_older(void **state)
{
    EACH_ENGINE(i)
    {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
        assert_int_equal(put(&PUT(f.thread, .ticks = 0)), 0);
        assert_int_equal(put(&PUT(f.thread, .body = "world", .ticks = 1)), 0);
        assert_int_equal(count_entries(HASH_DIR), 1);
        assert_file(HASH_DIR "/1700000000.00001.data", "world");
        uint64_t now = df_now().ticks - BASE_TICKS;
        assert_int_equal(put(&PUT(f.thread, .kind = DF_UPLOAD_TOMBSTONE, .ticks = now)), 0);
        assert_int_equal(count_entries(HASH_DIR), 1);
        fixture_close(&f);
    }
}

/* The same timestamp twice: EEXIST, both forms; no temporary name stays. */
static void test_same_timestamp(void **state)
{
    EACH_ENGINE(i)
    {
        for (int form = 0; form < 2; form++) {
            struct fixture f =
                fixture_open(form ? DF_EXISTING_UNLINK : DF_EXISTING_RENAME, engines[i]);
            assert_int_equal(put(&PUT(f.thread, .ticks = 0)), 0);
            assert_int_equal(put(&PUT(f.thread, .body = "again")), 0);
            assert_int_equal(count_entries(HASH_DIR), 1);
            assert_file(HASH_DIR "/1700000000.00000.data", "again");
            assert_true(count_entries("tmp") <= 0);
            fixture_close(&f);
        }
    }
}

/* A file system without O_TMPFILE: a named temporary file, renamed. */
static void test_without_tmpfile(void **state)
{
    EACH_ENGINE(i)
    {
        for (int form = 0; form < 2; form++) {
            struct fixture f =
                fixture_open(form ? DF_EXISTING_UNLINK : DF_EXISTING_RENAME, engines[i]);
            struct store_device *device;
            assert_int_equal(store_device(f.store, SLICE("sda1"), &device), 0);
            assert_int_equal(store_device_check(f.store, device), 0);
            atomic_store(&device->no_tmpfile, true);
            atomic_store(&device->form, COMMIT_FULL);
            assert_int_equal(put(&PUT(f.thread, .ticks = 0)), 0);
            assert_int_equal(put(&PUT(f.thread, .body = "again")), 0);
            assert_file(HASH_DIR "/1700000000.00000.data", "again");
            assert_int_equal(put(&PUT(f.thread, .streamed = true, .abort_at_end = true)),
                             -ECANCELED);
            assert_int_equal(count_entries("tmp"), 0);
            fixture_close(&f);
        }
    }
}

/* A sweeper removes the directories while the body arrives. */
static void take_directories(struct put *p)
{
    (void)rmdir(below_device(HASH_DIR));
    (void)rmdir(below_device("objects/7/ad8"));
    (void)rmdir(below_device("objects/7"));
}

static void test_directories_swept_meanwhile(void **state)
{
    EACH_ENGINE(i)
    {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
        char made[3 * PATH_MAX];
        snprintf(made, sizeof(made), "mkdir -p %s", below_device(HASH_DIR));
        assert_int_equal(system(made), 0);
        assert_int_equal(put(&PUT(f.thread, .streamed = true, .after_drained = take_directories)),
                         0);
        assert_file(HASH_DIR "/1700000000.00000.data", "hello");
        fixture_close(&f);
    }
}

static void test_device_is_full_of_requests(void **state)
{
    struct fixture f = fixture_open(DF_EXISTING_RENAME, DF_ENGINE_THREADS);
    struct put first[64];
    for (int i = 0; i < 64; i++) {
        first[i] = PUT(f.thread, .ticks = i);
        put_start(&first[i]);
    }
    assert_int_equal(put(&PUT(f.thread, .ticks = 100)), -EBUSY);
    for (int i = 0; i < 64; i++) {
        put_wait(&first[i]);
        assert_int_equal(first[i].res, 0);
    }
    assert_int_equal(put(&PUT(f.thread, .ticks = 101)), 0);
    fixture_close(&f);
}

static void test_no_such_device(void **state)
{
    struct fixture f = fixture_open(DF_EXISTING_RENAME, DF_ENGINE_THREADS);
    assert_int_equal(rmdir(below_device("")), 0);
    assert_int_equal(put(&PUT(f.thread, .ticks = 0)), -ENODEV);
    fixture_close(&f);
}

/* ---- erasure coding ---- */

#define PENDING CODED_DIR "/1700000000.00000#1.data"
#define DURABLE CODED_DIR "/1700000000.00000#1#d.data"

static bool is_there(const char *path)
{
    return access(below_device(path), F_OK) == 0;
}

static void touch(const char *path)
{
    FILE *f = fopen(below_device(path), "w");
    assert_non_null(f);
    fclose(f);
}

/* The other nodes are asked: nothing has the durable name yet, and the answer may come late. */
static void answer_later(struct put *p)
{
    assert_true(is_there(p->coded ? PENDING : HASH_DIR "/1700000000.00000.data"));
    assert_false(is_there(DURABLE));
}

static void test_two_phases(void **state)
{
    EACH_ENGINE(i)
    {
        for (unsigned coded = 0; coded < 2; coded++) {
            struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
            struct put p = PUT(f.thread, .coded = coded, .index = 1, .hold = true,
                               .streamed = i == 0, .when_stored = answer_later);
            struct pollfd fd = {.fd = df_thread_fd(f.thread), .events = POLLIN};
            put_start(&p);
            for (df_thread_flush(f.thread); p.stored == 0; df_thread_flush(f.thread)) {
                assert_int_not_equal(poll(&fd, 1, 30000), 0);
                df_thread_reap(f.thread);
            }
            assert_false(p.finished);
            df_upload_make_durable(p.upload);
            put_wait(&p);
            assert_int_equal(p.res, 0);
            assert_int_equal(p.stored, 1);
            assert_int_equal(is_there(DURABLE), coded);
            assert_int_equal(count_entries(coded ? CODED_DIR : HASH_DIR), 1);
            fixture_close(&f);
        }
    }
}

static void test_no_second_phase(void **state)
{
    EACH_ENGINE(i)
    {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, engines[i]);
        assert_int_equal(
            put(&PUT(f.thread, .coded = true, .index = 1, .hold = true, .abort_when_stored = true)),
            -ECANCELED);
        assert_file(PENDING, "hello");
        assert_int_equal(put(&PUT(f.thread, .coded = true, .index = 2, .stay_pending = true)), 0);
        assert_int_equal(
            put(&PUT(f.thread, .coded = true, .index = 0, .stay_pending = true, .hold = true)), 0);
        assert_int_equal(count_entries(CODED_DIR), 3);
        struct put p =
            PUT(f.thread, .coded = true, .index = 1, .ticks = 1, .judge_answer = -ESTALE);
        assert_int_equal(put(&p), -ESTALE);
        assert_int_equal(p.seen, DF_ABSENT); /* pending fragments are nothing to a writer */
        assert_int_equal(put(&PUT(f.thread, .hold = true, .abort_when_stored = true)), -ECANCELED);
        assert_file(HASH_DIR "/1700000000.00000.data", "hello"); /* a whole object counts at once */
        fixture_close(&f);
    }
}

static void test_commit_removes_what_lost(void **state)
{
    struct fixture f = fixture_open(DF_EXISTING_RENAME, DF_ENGINE_THREADS);
    assert_int_equal(put(&PUT(f.thread, .coded = true, .index = 1)), 0);
    assert_true(is_there(DURABLE));
    assert_int_equal(
        put(&PUT(f.thread, .coded = true, .index = 2, .ticks = 1, .stay_pending = true)), 0);
    assert_int_equal(count_entries(CODED_DIR), 2);
    assert_int_equal(put(&PUT(f.thread, .coded = true, .index = 0, .ticks = 2)), 0);
    assert_true(is_there(CODED_DIR "/1700000000.00002#0#d.data"));
    assert_int_equal(count_entries(CODED_DIR), 1);
    struct put p = PUT(f.thread, .coded = true, .index = 1, .ticks = 3, .judge_answer = -ESTALE);
    assert_int_equal(put(&p), -ESTALE);
    assert_int_equal(p.seen, DF_LIVE);
    fixture_close(&f);
}

/* Between the phases the fragment goes: fine if something as good has come, else an error. */
static void lose_it(struct put *p)
{
    assert_int_equal(remove(below_device(PENDING)), 0);
    df_upload_make_durable(p->upload);
}

static void lose_it_to_tombstone(struct put *p)
{
    touch(CODED_DIR "/1700000009.00000.ts");
    lose_it(p);
}

static void lose_it_to_durable(struct put *p)
{
    touch(CODED_DIR "/1700000000.00000#2#d.data");
    lose_it(p);
}

static void lose_it_to_pending(struct put *p)
{
    touch(CODED_DIR "/1700000009.00000#2.data");
    lose_it(p);
}

static void lose_it_to_old_tombstone(struct put *p)
{
    touch(CODED_DIR "/1700000000.00000.ts");
    lose_it(p);
}

static void test_overtaken(void **state)
{
    static const struct {
        void (*lose)(struct put *p);
        int res;
    } losses[] = {{lose_it, -EIO},
                  {lose_it_to_tombstone, 0},
                  {lose_it_to_durable, 0},
                  {lose_it_to_pending, -EIO},
                  {lose_it_to_old_tombstone, -EIO}};
    for (unsigned i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        struct fixture f = fixture_open(DF_EXISTING_RENAME, DF_ENGINE_URING);
        assert_int_equal(put(&PUT(f.thread, .coded = true, .index = 1, .hold = true,
                                  .when_stored = losses[i].lose)),
                         losses[i].res);
        fixture_close(&f);
    }
}

/* ---- with disks that fail or watch ---- */

struct scene {
    const char *what;
    enum df_upload_kind kind;
    bool existing; /* an object with this timestamp is there: REPLACE */
    bool streamed, full_form, no_tmpfile, unlink_form;
    bool coded, hold;
};

static const struct scene scenes[] = {
    {"small", .kind = DF_UPLOAD_DATA},
    {"streamed", .kind = DF_UPLOAD_DATA, .streamed = true},
    {"full form", .kind = DF_UPLOAD_DATA, .full_form = true},
    {"named temporary file", .kind = DF_UPLOAD_DATA, .full_form = true, .no_tmpfile = true},
    {"same timestamp, rename", .kind = DF_UPLOAD_DATA, .existing = true},
    {"same timestamp, unlink", .kind = DF_UPLOAD_DATA, .existing = true, .unlink_form = true},
    {"tombstone", .kind = DF_UPLOAD_TOMBSTONE},
    {"meta", .kind = DF_UPLOAD_META},
    {"held", .kind = DF_UPLOAD_DATA, .hold = true},
    {"fragment", .kind = DF_UPLOAD_DATA, .coded = true},
    {"fragment, two phases", .kind = DF_UPLOAD_DATA, .coded = true, .hold = true},
    {"fragment, streamed", .kind = DF_UPLOAD_DATA, .coded = true, .hold = true, .streamed = true},
    {"fragment, full form", .kind = DF_UPLOAD_DATA, .coded = true, .full_form = true},
    {"fragment, same timestamp", .kind = DF_UPLOAD_DATA, .coded = true, .existing = true},
};

static void prepare(const struct scene *s, struct df_store **ret_store)
{
    fresh_devices();
    *ret_store =
        open_store(s->unlink_form ? DF_EXISTING_UNLINK : DF_EXISTING_RENAME, DF_ENGINE_THREADS);
    struct store_device *device;
    assert_int_equal(store_device(*ret_store, SLICE("sda1"), &device), 0);
    assert_int_equal(store_device_check(*ret_store, device), 0);
    atomic_store(&device->form, s->full_form ? COMMIT_FULL : COMMIT_SHORT);
    atomic_store(&device->no_tmpfile, s->no_tmpfile);
    if (s->existing) {
        struct df_thread *t;
        assert_int_equal(df_thread_open(*ret_store, &t), 0);
        assert_int_equal(put(&PUT(t, .body = "older", .coded = s->coded, .index = 1)), 0);
        df_thread_close(t);
    }
}

static int put_scene(const struct scene *s, struct df_thread *t)
{
    struct put p = PUT(t, .kind = s->kind, .streamed = s->streamed, .chunk = 2, .coded = s->coded,
                       .index = 1, .hold = s->hold);
    return put(&p);
}

static const char *target_of(const struct scene *s)
{
    static const char *const targets[] = {[DF_UPLOAD_DATA] = HASH_DIR "/1700000000.00000.data",
                                          [DF_UPLOAD_META] = HASH_DIR "/1700000000.00000.meta",
                                          [DF_UPLOAD_TOMBSTONE] = HASH_DIR "/1700000000.00000.ts"};
    return s->coded ? DURABLE : targets[s->kind];
}

/* Runs the scene with its n-th disk operation failing. Returns whether one failed. */
static bool fault_run(const struct scene *s, int n, int err)
{
    struct df_store *store;
    prepare(s, &store);
    struct disk_fault f;
    assert_int_equal(disk_fault_init(&f), 0);
    f.fail_nth = n;
    f.err = err;
    struct df_thread *t;
    int fds = open_fds();
    assert_int_equal(df_thread_over(store, &f.sync.base, &t), 0);
    int res = put_scene(s, t);
    assert_int_equal(open_fds(), fds); /* nothing leaked */

    bool swallowed_by_design = f.fired == 0 || f.hit == DISK_CLOSE ||
                               (f.hit == DISK_CALL && res == 0); /* CLEAN: the object is durable */
    if (!swallowed_by_design && res != err)
        fail_msg("%s: op %d (%s) failed, the upload said %d", s->what, n, disk_op_name(f.hit), res);
    bool there = access(below_device(target_of(s)), F_OK) == 0;
    if (res == 0)
        assert_true(there);
    if (res == 0 && s->kind == DF_UPLOAD_DATA)
        assert_file(target_of(s), "hello");
    /* A temporary name may stay only if the very unlink of it failed. */
    if (f.hit != DISK_UNLINKAT)
        assert_true(count_entries("tmp") <= 0);
    bool fired = f.fired > 0;
    df_thread_close(t);
    df_store_close(store);
    return fired;
}

static void test_every_fault(void **state)
{
    static const int errs[] = {-EIO, -ENOSPC};
    for (unsigned i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
        for (unsigned e = 0; e < 2; e++)
            for (int n = 1; fault_run(&scenes[i], n, errs[e]); n++)
                assert_true(n < 100);
}

/* What is tried again (a directory swept away, no O_TMPFILE) is tried again whole: either the
 * upload fails, or all of its bytes are there. */
static void test_trying_again_loses_nothing(void **state)
{
    static const int errs[] = {-ENOENT, -EPERM, -EOPNOTSUPP, -EISDIR, -EINVAL, -EEXIST};
    unsigned stored = 0;
    for (unsigned e = 0; e < sizeof(errs) / sizeof(errs[0]); e++) {
        for (int n = 1; n < 40; n++) {
            struct df_store *store;
            prepare(&scenes[0], &store);
            struct disk_fault f;
            assert_int_equal(disk_fault_init(&f), 0);
            f.fail_nth = n;
            f.err = errs[e];
            struct df_thread *t;
            assert_int_equal(df_thread_over(store, &f.sync.base, &t), 0);
            int r = put_scene(&scenes[0], t);
            if (r == 0) {
                assert_file(target_of(&scenes[0]), "hello");
                stored += f.fired;
            } else if (f.hit == DISK_OPENAT) {
                assert_int_equal(errs[e], -EEXIST); /* all others are worth another try */
            }
            df_thread_close(t);
            df_store_close(store);
        }
    }
    assert_true(stored >= 5);
}

static void test_order(void **state)
{
    for (unsigned i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        const struct scene *s = &scenes[i];
        struct df_store *store;
        prepare(s, &store);
        struct disk_order *o;
        assert_int_equal(disk_order_new(s->full_form, &o), 0);
        struct df_thread *t;
        assert_int_equal(df_thread_over(store, &o->fault.sync.base, &t), 0);
        assert_int_equal(put_scene(s, t), 0);
        if (disk_order_violation(o)) /* I2 */
            fail_msg("%s: %s", s->what, disk_order_violation(o));
        /* The full form's directory syncs happen inside a CALL, unseen. */
        const char *lost = disk_order_check_acknowledged(o, below_device(target_of(s)));
        if (lost && !s->full_form) /* I3 */
            fail_msg("%s: acknowledged, and a power cut loses %s", s->what, lost);
        df_thread_close(t);
        disk_order_free(o);
        df_store_close(store);
    }
}

static int setup(void **state)
{
    const char *dir = getenv("OBJSRV_TEST_DIR");
    static char made[PATH_MAX];
    snprintf(made, sizeof(made), "%s/objsrv-upload-XXXXXX", dir ? dir : "/tmp");
    if (!mkdtemp(made))
        return -1;
    snprintf(devices, sizeof(devices), "%.4000s/node", made);
    return 0;
}

static int teardown(void **state)
{
    (void)nftw(devices, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    *strrchr(devices, '/') = '\0';
    return rmdir(devices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_go),
        cmocka_unit_test(test_streamed),
        cmocka_unit_test(test_abort_leaves_nothing),
        cmocka_unit_test(test_judge_refuses),
        cmocka_unit_test(test_newer_replaces_older),
        cmocka_unit_test(test_same_timestamp),
        cmocka_unit_test(test_without_tmpfile),
        cmocka_unit_test(test_directories_swept_meanwhile),
        cmocka_unit_test(test_device_is_full_of_requests),
        cmocka_unit_test(test_no_such_device),
        cmocka_unit_test(test_two_phases),
        cmocka_unit_test(test_no_second_phase),
        cmocka_unit_test(test_commit_removes_what_lost),
        cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_every_fault),
        cmocka_unit_test(test_trying_again_loses_nothing),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
