/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/targets.h"
#include "tests/updates/with_headers.h"
#include <errno.h>
#include <stdio.h>

/* "host/device host/device ..." */
static const char *shown(const struct targets *t)
{
    static char text[512];
    size_t at = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < t->count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s/%.*s%s", i ? " " : "",
                               (int)t->at[i].host.len, t->at[i].host.at, (int)t->at[i].device.len,
                               t->at[i].device.at, target_reachable(t, i) ? "" : "!");
    return text;
}

static void test_containers(void **state)
{
    static const struct {
        const char *host, *device, *partition;
        int res;
        const char *targets;
    } rows[] = {
        {"X-Container-Host: h:1", "X-Container-Device: d", "X-Container-Partition: 7", 0, "h:1/d"},
        {"X-Container-Host: h:1 , i:2", "X-Container-Device:  d,e ", "X-Container-Partition: 7", 0,
         "h:1/d i:2/e"},
        {"X-Container-Host: h:1,", "X-Container-Device: d,e", "X-Container-Partition: 7", 0,
         "h:1/d /e!"},
        {"X-Container-Host: h:1", "X-Container-Device: ", "X-Container-Partition: 7", 0, "h:1/!"},
        {"X-A: b", "X-A: b", "X-Container-Partition: 7", 0, "/!"},
        {"X-Container-Host: h:1", "X-Container-Device: d", "X-Container-Partition: ", 0, ""},
        {"X-Container-Host: h:1", "X-Container-Device: d", "X-A: b", 0, ""},
        {"X-Container-Host: h:1,i:2", "X-Container-Device: d", "X-A: b", -EINVAL, ""},
        {"X-Container-Host: h:1", "X-Container-Device: d,", "X-Container-Partition: 7", -EINVAL,
         ""},
    };
    for (EACH(row, rows)) {
        struct targets t;
        assert_int_equal(targets_of_container(WITH(row->host, row->device, row->partition), &t),
                         row->res);
        if (row->res == 0)
            assert_string_equal(shown(&t), row->targets);
    }
}

static void test_queue(void **state)
{
    static const struct {
        const char *host, *device, *partition, *targets;
    } rows[] = {
        {"X-Delete-At-Host: h:1", "X-Delete-At-Device: d", "X-Delete-At-Partition: 7", "h:1/d"},
        {"X-Delete-At-Host: h:1, i:2,j:3", "X-Delete-At-Device: d,e", "X-Delete-At-Partition: 7",
         "h:1/d i:2/e"},
        {"X-Delete-At-Host: h:1,,j:3", "X-Delete-At-Device: d,e,f", "X-Delete-At-Partition: 7",
         "h:1/d j:3/f"},
        {"X-Delete-At-Host: ", "X-Delete-At-Device: d", "X-Delete-At-Partition: 7", "/!"},
        {"X-Delete-At-Host: h:1", "X-A: b", "X-Delete-At-Partition: 7", "/!"},
        {"X-Delete-At-Host: h:1", "X-Delete-At-Device: d", "X-Delete-At-Partition: ", "/!"},
        {"X-A: b", "X-Delete-At-Device: d", "X-Delete-At-Partition: 7", ""},
    };
    for (EACH(row, rows)) {
        struct targets t;
        assert_int_equal(targets_of_queue(WITH(row->host, row->device, row->partition), &t), 0);
        assert_string_equal(shown(&t), row->targets);
    }
}

static void test_container_path(void **state)
{
    static const struct {
        const char *quoted, *plain, *path, *bad;
    } rows[] = {
        {"X-A: b", "X-A: b", "", ""},
        {"X-A: b", "X-Backend-Container-Path: a/c", "a/c", ""},
        {"X-Backend-Quoted-Container-Path: a%2fb%C3%A9%", "X-Backend-Container-Path: a/c",
         "a/b\xc3\xa9%", ""},
        {"X-Backend-Quoted-Container-Path: ", "X-Backend-Container-Path: a/c", "a/c", ""},
        {"X-A: b", "X-Backend-Container-Path: a/c/", "a/c/", ""},
        {"X-A: b", "X-Backend-Container-Path: a/c/o", "", "a/c/o"},
        {"X-A: b", "X-Backend-Container-Path: a", "", "a"},
        {"X-A: b", "X-Backend-Container-Path: /a/c", "", "/a/c"},
        {"X-A: b", "X-Backend-Container-Path: a//", "", "a//"},
        {"X-A: b", "X-Backend-Container-Path: a/", "", "a/"},
        {"X-Backend-Quoted-Container-Path: a/%ff", "X-A: b", "", "a/\xff"},
    };
    for (EACH(row, rows)) {
        struct slice bad;
        assert_slice(target_container_path(WITH(row->quoted, row->plain), &bad), row->path);
        assert_slice(bad, row->bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_container_path),
    };
    return cmocka_run_group_tests(tests, with_headers_set_up, with_headers_tear_down);
}
