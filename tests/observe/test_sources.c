/* SPDX-License-Identifier: Apache-2.0 */
/* test_sources.c -- recon's sources when memory ends at each place where it may: an error, or the
 * whole value. What the values are is asked of both servers by test_recon.py. */
#include "server/node/python_json.h"
#include "server/recon/sources.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after those that it needs */
#include <cmocka.h>

#define ALLOCATIONS_MOST 10000

static unsigned allocations_left;
static bool ended;

static void *scarce_malloc(size_t size)
{
    ended |= allocations_left == 0;
    return ended ? NULL : (allocations_left--, malloc(size));
}

static int cached(const struct recon_places *p, json_t **ret)
{
    static const char *const keys[] = {"there", "absent", NULL};
    return recon_cached(p->cache, "object.recon", keys, false, ret);
}

/* A cache that is read while memory ends counts as one that cannot be read: null is right. */
static const struct {
    const char *name;
    int (*source)(const struct recon_places *p, json_t **ret);
} rows[] = {
    {"mem", recon_mem},
    {"load", recon_load},
    {"mounted", recon_mounted},
    {"sockstat", recon_sockstat},
    {"time", recon_time},
    {"version", recon_version},
    {"swiftconfmd5", recon_swift_conf_md5},
    {"unmounted", recon_unmounted},
    {"diskusage", recon_disk_usage},
    {"quarantined", recon_quarantined},
    {"cached", cached},
};

static void test_without_memory(void **state)
{
    char dir[] = "/tmp/objsrv-sources-XXXXXX", file[64];
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/object.recon", dir);
    FILE *f = fopen(file, "w");
    fputs("{\"there\": [1, {\"a\": 2.5}]}", f);
    fclose(f);
    struct recon_places places = {
        .devices = (char[]){"/"}, .cache = dir, .swift_dir = dir, .swift_conf = file};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ended = true;
        for (unsigned allowed = 0; ended; allowed++) {
            json_t *value = NULL;
            allocations_left = allowed;
            ended = false;
            json_set_alloc_funcs(scarce_malloc, free);
            int res = rows[i].source(&places, &value);
            json_set_alloc_funcs(malloc, free);
            if ((res != 0 && res != -ENOMEM) || (res == 0) != (value != NULL) ||
                (ended && res == 0 && rows[i].source != cached) || allowed > ALLOCATIONS_MOST)
                fail_msg("%s: %d with %u allocations", rows[i].name, res, allowed);
            json_decref(value);
        }
    }
    unlink(file);
    rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
