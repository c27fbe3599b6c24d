/* SPDX-License-Identifier: Apache-2.0 */
/* test_object.c -- an object opened and read through a thread's disk. */
#include "diskfile/engine/thread.h"
#include "tests/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA "1700000001.00000.data"

struct reader {
    struct df_thread *thread;
    struct df_object *object;
    int opened, res;
    unsigned calls;
    bool close_in_callback;
};

static struct df_thread *new_thread(struct scratch *s)
{
    struct df_thread *t;
    struct disk *disk;
    assert_int_equal(disk_threads_new(&disk), 0);
    assert_int_equal(df_thread_over(s->store, disk, &t), 0);
    return t;
}

static void turn(struct df_thread *t)
{
    struct pollfd fd = {.fd = df_thread_fd(t), .events = POLLIN};
    df_thread_flush(t);
    assert_int_equal(poll(&fd, 1, 10000), 1);
    df_thread_reap(t);
}

static void on_opened(void *arg, struct df_object *o, int res)
{
    struct reader *r = arg;
    r->calls++;
    r->opened = res;
    r->object = res < 0 ? NULL : o;
    if (r->close_in_callback)
        df_object_close(o);
}

static void on_read(void *arg, int res)
{
    struct reader *r = arg;
    r->calls++;
    r->res = res;
}

static struct df_open_spec open_spec(size_t read_ahead)
{
    return (struct df_open_spec){.now = scratch_spec().now, .read_ahead = read_ahead};
}

static const struct df_name name_of_o = {0, {"sda1", 4}, {"7", 1}, {"a", 1}, {"c", 1}, {"o", 1}};

static void open_it(struct reader *r, const struct df_name *name, struct df_open_spec spec)
{
    unsigned calls = r->calls;
    assert_non_null(df_open(r->thread, name, &spec, on_opened, r));
    assert_int_equal(r->calls, calls); /* never from inside */
    while (r->calls == calls)
        turn(r->thread);
}

static int read_it(struct reader *r, void *buf, size_t len, uint64_t off)
{
    unsigned calls = r->calls;
    df_read(r->object, buf, len, off, on_read, r);
    assert_int_equal(r->calls, calls);
    while (r->calls == calls)
        turn(r->thread);
    return r->res;
}

static void count_one(void *arg, void *owner, const char *step, uint64_t age_ms)
{
    ++*(unsigned *)arg;
}

static unsigned inflight(struct df_thread *t)
{
    unsigned n = 0;
    df_thread_each_inflight(t, count_one, &n);
    return n;
}

static void close_it(struct reader *r)
{
    df_object_close(r->object);
    r->object = NULL;
    while (inflight(r->thread) > 0)
        turn(r->thread);
}

static char *body_of(size_t len)
{
    char *body = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + i % 23);
    body[len] = '\0';
    return body;
}

/* Sizes and read-aheads around each other; what is read must be the object, to the byte. */
static void test_reads(void **state)
{
    struct scratch *s = *state;
    struct reader r = {.thread = new_thread(s)};
    static const size_t sizes[] = {0, 1, 4095, 4096, 200000};
    static const size_t aheads[] = {0, 1, 4096, 65536};
    char buf[70000];
    unsigned fds = scratch_open_fds();
    for (size_t i = 0; i < 20; i++) {
        size_t size = sizes[i / 4], ahead = aheads[i % 4];
        char *body = body_of(size);
        scratch_put_data(s, DATA, body, "");
        open_it(&r, &name_of_o, open_spec(ahead));
        assert_int_equal(r.opened, 0);
        const struct df_info *info = df_object_info(r.object);
        assert_int_equal(info->state, DF_LIVE);
        assert_int_equal(info->size, size);
        struct slice first = df_object_first(r.object);
        assert_int_equal(first.len, ahead < size ? ahead : size);
        assert_memory_equal(first.at ? first.at : "", body, first.len);
        for (size_t at = i % 2 ? first.len : 0; at < size;) { /* straddling, or continuing */
            int n = read_it(&r, buf, 65536, at);
            assert_int_equal(n, size - at < 65536 ? size - at : 65536);
            assert_memory_equal(buf, body + at, (size_t)n);
            at += (size_t)n;
        }
        assert_int_equal(read_it(&r, buf, 10, size), 0);
        assert_int_equal(read_it(&r, buf, 10, size + 5), 0);
        close_it(&r);
        free(body);
        scratch_remove(s->place.dir);
    }
    assert_int_equal(s->quarantines, 0);
    assert_int_equal(scratch_open_fds(), fds);
    df_thread_close(r.thread);
}

static void put_altered(struct scratch *s, size_t size)
{
    char *body = body_of(size), path[PATH_MAX + 64];
    scratch_put_data(s, DATA, body, "");
    snprintf(path, sizeof(path), "%s/" DATA, s->place.dir);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "X", 1, (off_t)size - 1), 1);
    close(fd);
    free(body);
}

static void test_altered_small(void **state)
{
    struct scratch *s = *state;
    struct reader r = {.thread = new_thread(s)};
    put_altered(s, 100);
    open_it(&r, &name_of_o, open_spec(0)); /* a HEAD does not look */
    assert_int_equal(df_object_info(r.object)->state, DF_LIVE);
    close_it(&r);
    open_it(&r, &name_of_o, open_spec(65536));
    assert_int_equal(r.opened, 0);
    assert_int_equal(df_object_info(r.object)->state, DF_ABSENT);
    assert_true(df_object_info(r.object)->quarantined);
    close_it(&r);
    assert_int_equal(s->quarantines, 1);
    assert_non_null(strstr(s->last_event, "file's md5"));
    assert_non_null(strstr(s->last_event, DATA));
    assert_false(scratch_exists(s->place.dir));
    df_thread_close(r.thread);
}

static void test_altered_large(void **state)
{
    static const struct {
        size_t ahead;
        uint64_t from;
        bool noticed;
    } rows[] = {{0, 0, true}, {1000, 1000, true}, {1000, 0, true}, {0, 1, false}, {10, 11, false}};
    struct scratch *s = *state;
    struct reader r = {.thread = new_thread(s)};
    char buf[65536];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int n = 0;
        put_altered(s, 200000);
        open_it(&r, &name_of_o, open_spec(rows[i].ahead));
        for (uint64_t at = rows[i].from; at < 200000 && n >= 0; at += (uint64_t)n)
            n = read_it(&r, buf, sizeof(buf), at);
        assert_int_equal(n == -EBADMSG, rows[i].noticed);
        assert_int_equal(scratch_exists(s->place.dir), !rows[i].noticed);
        close_it(&r);
        scratch_remove(s->place.dir);
    }
    assert_int_equal(s->quarantines, 3);
    df_thread_close(r.thread);
}

static void test_truncated_while_open(void **state)
{
    struct scratch *s = *state;
    struct reader r = {.thread = new_thread(s)};
    char *body = body_of(100000), buf[65536], path[PATH_MAX + 64];
    scratch_put_data(s, DATA, body, "");
    free(body);
    open_it(&r, &name_of_o, open_spec(0));
    snprintf(path, sizeof(path), "%s/" DATA, s->place.dir);
    assert_int_equal(truncate(path, 70000), 0);
    assert_int_equal(read_it(&r, buf, sizeof(buf), 0), 65536);
    assert_int_equal(read_it(&r, buf, sizeof(buf), 65536), -EBADMSG);
    assert_non_null(strstr(s->last_event, "Bytes read: 70000, does not match metadata: 100000"));
    close_it(&r);
    df_thread_close(r.thread);
}

static void test_outcomes(void **state)
{
    struct scratch *s = *state;
    struct reader r = {.thread = new_thread(s)};
    struct df_name nowhere = name_of_o;
    nowhere.device = SLICE("sdz9");
    open_it(&r, &nowhere, open_spec(0));
    assert_int_equal(r.opened, -ENODEV);
    open_it(&r, &name_of_o, open_spec(0));
    assert_int_equal(r.opened, 0);
    assert_int_equal(df_object_info(r.object)->state, DF_ABSENT);
    close_it(&r);
    scratch_put(s, "1700000001.00000.data", "", "X-Timestamp=1|name=/other|Content-Length=0");
    open_it(&r, &name_of_o, open_spec(100));
    assert_int_equal(r.opened, -EEXIST);
    scratch_put(s, "1700000002.00000.ts", "", "X-Timestamp=1700000002.00000|name=/a/c/o");
    r.close_in_callback = true;
    open_it(&r, &name_of_o, open_spec(100));
    assert_int_equal(r.opened, 0);
    open_it(&r, &nowhere, open_spec(0));
    assert_int_equal(inflight(r.thread), 0);
    df_thread_close(r.thread);
}

/* Closed with an open or a read under way: no callback comes, nothing leaks. */
static void test_close_in_flight(void **state)
{
    struct scratch *s = *state;
    struct reader r = {.thread = new_thread(s)};
    char *body = body_of(100000), buf[100];
    unsigned fds = scratch_open_fds();
    struct df_open_spec spec = open_spec(100);
    scratch_put_data(s, DATA, body, "");
    free(body);
    r.object = df_open(r.thread, &name_of_o, &spec, on_opened, &r);
    close_it(&r);
    assert_int_equal(r.calls, 0);
    open_it(&r, &name_of_o, spec);
    df_read(r.object, buf, sizeof(buf), 0, on_read, &r);
    close_it(&r);
    assert_int_equal(r.calls, 1);
    assert_int_equal(scratch_open_fds(), fds);
    assert_int_equal(disk_device_admitted(s->place.device->pool), 0);
    df_thread_close(r.thread);
}

static void test_busy(void **state)
{
    struct scratch *s = *state;
    place_release(&s->place);
    df_store_close(s->store);
    s->options.requests_per_device = 1;
    assert_int_equal(df_store_open(&s->options, &s->store, s->problem, sizeof(s->problem)), 0);
    struct reader r = {.thread = new_thread(s)}, second = {.thread = r.thread};
    open_it(&r, &name_of_o, open_spec(0));
    open_it(&second, &name_of_o, open_spec(0));
    assert_int_equal(second.opened, -EBUSY);
    close_it(&r);
    open_it(&second, &name_of_o, open_spec(0));
    assert_int_equal(second.opened, 0);
    close_it(&second);
    df_thread_close(r.thread);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads),    TEST(test_altered_small),   TEST(test_altered_large),
        TEST(test_outcomes), TEST(test_close_in_flight), TEST(test_truncated_while_open),
        TEST(test_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
