/* SPDX-License-Identifier: Apache-2.0 */
/* test_records.c -- what the auditor writes down: recon, resume lists, coverage. */
#include "server/node/python_json.h"
#include "tests/format/cases.h"
#include "tools/audit/coverage.h"
#include "tools/audit/recon.h"
#include "tools/audit/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static json_t *parsed(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);
    assert_non_null(v);
    return v;
}

static void test_recon_merge(void **state)
{
    static const struct {
        const char *cache, *update, *result;
    } rows[] = {
        {"{\"x\": 1}", "{\"a\": 2}", "{\"a\": 2, \"x\": 1}"},
        {"{\"a\": 1}", "{\"a\": 2}", "{\"a\": 2}"},
        {"{\"a\": {\"b\": 1, \"c\": 2}}", "{\"a\": {\"c\": 3}}", "{\"a\": {\"b\": 1, \"c\": 3}}"},
        {"{\"a\": 1}", "{\"a\": {\"c\": 3}}", "{\"a\": {\"c\": 3}}"},
        {"{\"a\": {\"b\": 1}, \"x\": 1}", "{\"a\": {}}", "{\"x\": 1}"},
        {"{\"a\": {\"b\": 1, \"c\": 2}}", "{\"a\": {\"b\": {}}}", "{\"a\": {\"c\": 2}}"},
        {"{}", "{\"a\": {}}", "{}"},
        {"{}", "{\"a\": {\"b\": {}}}", "{\"a\": {}}"},
        {"{\"a\": {\"b\": {\"x\": 1}}}", "{\"a\": {\"b\": {\"y\": 2}}}",
         "{\"a\": {\"b\": {\"y\": 2}}}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *cache = parsed(rows[i].cache), *update = parsed(rows[i].update);
        size_t len;
        assert_int_equal(recon_merge(cache, update), 0);
        char *text = python_json_dumps(cache, true, &len);
        assert_string_equal(text, rows[i].result);
        free(text);
        json_decref(cache);
        json_decref(update);
    }
}

static unsigned allocations_left;

static void *scarce_malloc(size_t size)
{
    return allocations_left > 0 && allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Memory ends at each place where it may. */
static void test_recon_merge_without_memory(void **state)
{
    int r = -ENOMEM;
    for (unsigned allowed = 0; r < 0; allowed++) {
        json_t *cache = parsed("{\"x\": 1}"), *update = parsed("{\"a\": {\"b\": 2}, \"c\": 3}");
        json_set_alloc_funcs(scarce_malloc, free);
        allocations_left = allowed;
        r = recon_merge(cache, update);
        json_set_alloc_funcs(malloc, free);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(r < 0 || allowed > 2);
        assert_true(allowed < 100);
        json_decref(cache);
        json_decref(update);
    }
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void test_recon_file(void **state)
{
    char dir[] = "/tmp/objsrv-recon-XXXXXX", path[64], text[256] = "";
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/object.recon", dir);
    static const struct {
        const char *before, *after; /* NULL: no file */
    } rows[] = {{NULL, "{\"a\": 1}\n"},
                {"", "{\"a\": 1}\n"},
                {"garbage\n", "{\"a\": 1}\n"},
                {"[1]\n", "{\"a\": 1}\n"},
                {"{\"b\": 2}\n", "{\"a\": 1, \"b\": 2}\n"}};
    json_t *update = parsed("{\"a\": 1}");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unlink(path);
        if (rows[i].before)
            write_text(path, rows[i].before);
        assert_int_equal(recon_dump(path, update), 0);
        FILE *f = fopen(path, "r");
        assert_non_null(fgets(text, sizeof(text), f));
        fclose(f);
        assert_string_equal(text, rows[i].after);
    }
    unlink(path);
    assert_int_equal(rmdir(dir), 0); /* no temporary file was left */
    assert_int_equal(recon_dump(path, update), -ENOENT);
    json_decref(update);
}

static void test_status(void **state)
{
    char dir[] = "/tmp/objsrv-status-XXXXXX";
    struct partition_list l = {0};
    int bad_file;
    size_t len;
    assert_non_null(mkdtemp(dir));
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(fd, "7", 0755), 0);
    assert_int_equal(partition_list_load(&l, fd, "ALL", &bad_file), 0);
    assert_int_equal(l.count, 1);
    assert_false(l.resumed);
    partition_list_release(&l);

    for (int i = 0; i < 4; i++)
        assert_int_equal(partition_list_add(&l, (const char *[]){"10", "7", "x\"y", "3"}[i]), 0);
    l.next = 4;
    partition_list_finished(&l, 1); /* out of turn: 10 is not done yet */
    char *text = partition_list_text(&l, &len);
    assert_string_equal(text, "{\"partitions\": [\"10\", \"x\\\"y\", \"3\"]}");
    free(text);
    partition_list_finished(&l, 0);
    assert_int_equal(l.unfinished, 2);
    assert_int_equal(status_write(&l, fd, fd, "ALL", true), 0);
    partition_list_finished(&l, 2);
    assert_int_equal(status_write(&l, fd, fd, "ALL", false), 0); /* too soon */
    partition_list_release(&l);

    assert_int_equal(partition_list_load(&l, fd, "ALL", &bad_file), 0);
    assert_true(l.resumed);
    assert_int_equal(l.count, 2);
    assert_string_equal(partition_list_name(&l, 0), "x\"y");
    partition_list_release(&l);
    assert_int_equal(status_clear(fd, "ALL"), 0);
    assert_int_equal(status_clear(fd, "ALL"), 0);

    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"partitions\": 3}",
                                      "{\"partitions\": [1]}",
                                      "{\"partitions\": [\"../x\"]}",
                                      "{\"partitions\": [\"\"]}"};
    char path[64];
    snprintf(path, sizeof(path), "%s/auditor_status_ALL.json", dir);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_text(path, bad[i]);
        assert_int_equal(partition_list_load(&l, fd, "ALL", &bad_file), 0);
        assert_int_equal(bad_file, -EBADMSG);
        assert_false(l.resumed);
        partition_list_release(&l);
    }
    write_text(path, "{\"partitions\": []}");
    assert_int_equal(partition_list_load(&l, fd, "ALL", &bad_file), 0);
    assert_true(l.resumed); /* a device that Swift's auditor has finished */
    assert_int_equal(l.count, 0);
    partition_list_release(&l);
    unlink(path);
    unlinkat(fd, "7", AT_REMOVEDIR);
    close(fd);
    assert_int_equal(rmdir(dir), 0);
}

static void test_coverage(void **state)
{
    struct coverage c = {0}, again = {0};
    struct coverage_sum sum;
    char name[16];
    const double now_s = 1800000000;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(coverage_seen(&c, 0, name), 0);
    }
    assert_int_equal(coverage_seen(&c, 1, "5"), 0);
    assert_int_equal(coverage_seen(&c, 0, "auditor_status_ALL.json"), 0);
    assert_int_equal(c.count, 1001);
    assert_int_equal(coverage_verified(&c, 0, "1", (uint32_t)now_s - 3600, 10, 100), 0);
    assert_int_equal(coverage_verified(&c, 0, "2", (uint32_t)now_s - 2 * 86400, 20, 200), 0);
    assert_int_equal(coverage_verified(&c, 1, "5", (uint32_t)now_s - 60 * 86400, 30, 300), 0);
    static const unsigned fresh[] = {1, 2, 2, 3}; /* within 1, 7, 30, 90 days */
    for (int i = 0; i < 4; i++) {
        coverage_within(&c, now_s, coverage_days[i], &sum);
        assert_int_equal(sum.partitions, 1001);
        assert_int_equal(sum.fresh_partitions, fresh[i]);
        assert_int_equal(sum.objects, 60);
    }
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    c.fuse_blown[1] = true;
    assert_int_equal(coverage_write(&c, f), 0);
    fclose(f);
    f = fmemopen(text, len, "r");
    assert_int_equal(coverage_read(&again, f), 0);
    fclose(f);
    free(text);
    assert_true(again.fuse_blown[1]);
    assert_false(again.fuse_blown[0]);
    coverage_within(&again, now_s, 90, &sum);
    assert_int_equal(sum.fresh_bytes, 600);
    assert_int_equal(coverage_seen(&again, 0, "1"), 0);
    coverage_forget_unseen(&again, 0); /* all but 1; policy 1 stays */
    coverage_within(&again, now_s, 90, &sum);
    assert_int_equal(sum.partitions, 2);
    assert_int_equal(sum.fresh_objects, 40);
    coverage_release(&c);
    coverage_release(&again);
}

static void test_coverage_garbage(void **state)
{
    static const char *const texts[] = {
        "x", "objsrv-audit state 1\n", "objsrv-audit state 2\nfuse 0 0\n",
        "objsrv-audit state 1\nfuse 0 0\n0 1 2\n", "objsrv-audit state 1\nfuse 0 0\n0 1 2 3 4 5\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct coverage c = {0};
        FILE *f = fmemopen((char *)texts[i], strlen(texts[i]), "r");
        assert_int_equal(coverage_read(&c, f), -EBADMSG);
        fclose(f);
        coverage_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recon_merge), cmocka_unit_test(test_recon_merge_without_memory),
        cmocka_unit_test(test_recon_file),  cmocka_unit_test(test_status),
        cmocka_unit_test(test_coverage),    cmocka_unit_test(test_coverage_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
