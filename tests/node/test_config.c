/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c -- files that are taken, with the values that come of them, and files that are
 * refused, with what the operator is told. */
#include "server/node/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* after those that it needs */
#include <cmocka.h>

#define PIPE   "[pipeline:main]\npipeline = healthcheck object-server\n"
#define HEALTH "[filter:healthcheck]\nuse = egg:swift#healthcheck\n"
#define REST   PIPE HEALTH "[app:object-server]\nuse = egg:swift#object\n"
#define PORT   "[DEFAULT]\nbind_port = 6200\n"
#define HASH   "[swift-hash]\nswift_hash_path_suffix = s\n"
#define ALONE  "[DEFAULT]\nmode = standalone\ndata_dirs = d\n"

static char dir[] = "/tmp/test_config.XXXXXX";
static char server_file[64], swift_file[64];
static char problem[2048];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static int load(const char *server, const char *swift, struct config **ret)
{
    write_file(server_file, server);
    write_file(swift_file, swift);
    problem[0] = '\0';
    return config_load(server_file, swift_file, ret, problem, sizeof(problem));
}

/* ---- refused ---- */

/* NOLINTNEXTLINE(readability-function-size): one table, a row per refused file. */
static void test_refused(void **state)
{
    static const struct {
        const char *server, *swift, *told; /* `told` follows the directory's name */
    } rows[] = {
        /* the grammar */
        {"bind_port = 1\n", HASH, "server.conf:1: expected a [section] before the first option"},
        {PORT "\nbind_port = 2\n", HASH, "server.conf:4: this option is in this section already"},
        {PORT REST "[app:object-server]\n", HASH, "server.conf:9: this section is here already"},
        {PORT "word\n", HASH, "server.conf:3: expected \"option = value\""},
        {PORT "a = %(b)s\n" REST, HASH,
         "server.conf:3: [DEFAULT] a: %(b)s: %(name)s names no option"},
        {PORT "a = %(b)s\nb = %(a)s\n" REST, HASH, "%(name)s goes round in a circle"},
        /* what must be there */
        {PORT, HASH, "server.conf: no section [pipeline:main]"},
        {PORT PIPE HEALTH, HASH, "server.conf: no section [app:object-server]"},
        {PORT PIPE "[app:object-server]\nuse = egg:swift#object\n", HASH,
         "server.conf: no section [filter:healthcheck]"},
        {REST, HASH, "server.conf: [DEFAULT] bind_port: not set: expected the port to listen on"},
        {PORT REST "use2 = 1\n[app: object-server]\nuse = egg:swift#object\n", HASH,
         "server.conf: more than one section [app:object-server]"},
        /* the pipeline */
        {PORT "[pipeline:main]\npipeline = object-server healthcheck\n" HEALTH
              "[app:object-server]\nuse = egg:swift#object\n",
         HASH, "server.conf: no section [filter:object-server]"},
        {PORT "[pipeline:main]\npipeline = healthcheck\n" HEALTH
              "[app:object-server]\nuse = egg:swift#object\n",
         HASH, "server.conf: [pipeline:main] pipeline: ends with healthcheck: expected object"},
        {PORT "[pipeline:main]\npipeline = slow object-server\n[filter:slow]\nuse = "
              "egg:swift#slow\n[app:object-server]\nuse = egg:swift#object\n",
         HASH,
         "server.conf: [filter:slow] use = egg:swift#slow: this server has no such "
         "filter; expected egg:swift#healthcheck, egg:swift#recon or egg:swift#backend_ratelimit, "
         "or take slow out"},
        {PORT "[pipeline:main]\npipeline = object-server\nmore = 1\n"
              "[app:object-server]\nuse = egg:swift#object\n",
         HASH, "server.conf:5: [pipeline:main] more = 1: expected no option but pipeline"},
        {PORT "[pipeline:main]\npipeline = object-server\n"
              "[app:object-server]\nuse = egg:swift#proxy\n",
         HASH, "server.conf:6: [app:object-server] use = egg:swift#proxy: expected egg:swift#obj"},
        {PORT REST "filter-with = x\n", HASH,
         "[app:object-server] filter-with = x: expected filters in the pipeline only"},
        /* values */
        {"[DEFAULT]\nbind_port = x\n" REST, HASH,
         "server.conf:2: [DEFAULT] bind_port = x: expected a whole number from 0 to 65535"},
        {"[DEFAULT]\nbind_port = 65536\n" REST, HASH, "from 0 to 65535"},
        {"[DEFAULT]\nbind_port = 1 ; c\n" REST, HASH, "[DEFAULT] bind_port = 1 ; c: expected"},
        {"[DEFAULT]\nbind_port = \"1\"\n" REST, HASH, "[DEFAULT] bind_port = \"1\": expected"},
        {PORT REST "mount_check = maybe\n", HASH,
         "server.conf:9: [app:object-server] mount_check = maybe: expected true or false"},
        {PORT REST "client_timeout = -1\n", HASH,
         "[app:object-server] client_timeout = -1: expected a number of seconds from 0.001 to"},
        {PORT REST "client_timeout = nan\n", HASH, "expected a number of seconds"},
        {PORT REST "client_timeout = 1s\n", HASH, "expected a number of seconds"},
        {PORT REST "disk_chunk_size = 1\n", HASH, "expected a whole number of B from 4096 to"},
        {PORT REST "disk_chunk_size = 9999999999999G\n", HASH, "expected a whole number of B"},
        {PORT REST "fallocate_reserve = 1 %\n", HASH,
         "fallocate_reserve = 1 %: expected a number of bytes, or a percentage like 1%"},
        {PORT REST "fallocate_reserve = 101%\n", HASH, "expected a number of bytes, or a perc"},
        {PORT REST "workers = some\n", HASH, "workers = some: expected auto, or a whole number"},
        {PORT REST "io_engine = fast\n", HASH, "io_engine = fast: expected one of: auto uring th"},
        {PORT REST "on_existing = keep\n", HASH, "expected one of: rename unlink"},
        {PORT REST "log_level = loud\n", HASH, "log_level = loud: expected one of: DEBUG INFO"},
        {PORT REST "log_facility = LOG_X\n", HASH, "log_facility = LOG_X: expected one of: LOG_K"},
        {ALONE "servers_per_port = 2\n", HASH, "servers_per_port = 2: expected 0: a stand-alone"},
        {PORT REST "nice_priority = 21\n", HASH,
         "nice_priority = 21: expected a whole number from"},
        {PORT REST "ionice_class = BE\n", HASH, "ionice_class = BE: expected IOPRIO_CLASS_RT"},
        {PORT REST "mode = alone\n", HASH, "mode = alone: expected swift or standalone"},
        {PORT REST "data_dirs = /x\n", HASH, "data_dirs = /x: expected no value without mode"},
        {PORT REST "devices = srv\n", HASH, "devices = srv: expected an absolute path"},
        {"[DEFAULT]\nmode = standalone\n", HASH,
         "server.conf: [DEFAULT] data_dirs: not set: expected one directory or more"},
        {ALONE "[swift-constraints]\nmax_file_size = 0\n", HASH,
         "server.conf: [swift-constraints] max_file_size = 0: expected a whole number of B from 1 "
         "to 9223372036854775807 (K"},
        /* swift.conf */
        {PORT REST, "",
         "swift.conf: [swift-hash] swift_hash_path_prefix, swift_hash_path_suffix: "},
        {PORT REST, "[swift-hash]\nswift_hash_path_suffix = a%b\n",
         "swift.conf:2: [swift-hash] swift_hash_path_suffix: a%b: a '%' stands alone"},
        {PORT REST, HASH "[storage-policy:1]\nname = x\n",
         "swift.conf: [storage-policy:0] expected this section too"},
        {PORT REST, HASH "[storage-policy:x]\nname = x\n",
         "swift.conf: [storage-policy:x] expected a number from 0 behind the colon"},
        {PORT REST, HASH "[storage-policy:0]\nname = x\ndiskfile_module = egg:other#fs\n",
         "swift.conf: [storage-policy:0] diskfile_module = egg:other#fs: expected "
         "egg:swift#replication.fs"},
        {PORT REST,
         HASH "[storage-policy:0]\nname = x\npolicy_type = erasure_coding\n"
              "diskfile_module = egg:swift#replication.fs\n",
         "swift.conf: [storage-policy:0] diskfile_module = egg:swift#replication.fs: expected "
         "egg:swift#erasure_coding.fs"},
        {PORT REST, HASH "[storage-policy:0]\nname = x\n[storage-policy:00]\nname = y\n",
         "swift.conf: [storage-policy:00] another section is for policy 0 already"},
        {PORT REST, HASH "[storage-policy:0]\nname = x\n[storage-policy:1]\nname = X\n",
         "swift.conf: [storage-policy:1] name = X: another policy has this name"},
        {PORT REST, HASH "[storage-policy:0]\nname = x\n[storage-policy:1]\nname = y\n",
         "swift.conf: [storage-policy:0] expected \"default = yes\" in one of the policies"},
        {PORT REST, HASH "[storage-policy:0]\nname = x y\n",
         "swift.conf: [storage-policy:0] name = x y: expected letters, digits and '-' only"},
        {PORT REST, HASH "[storage-policy:0]\nname = x\ndeprecated = yes\n",
         "expected a policy that is not deprecated"},
        {PORT REST, HASH "[storage-policy:0]\nname = x\nec_type = y\n",
         "[storage-policy:0] ec_type: not an option of a replicated policy"},
        {PORT REST, HASH "[storage-policy:0]\nname = x\npolicy_type = erasure_coding\n",
         "[storage-policy:0] ec_type: not set"},
        {PORT REST,
         HASH "[storage-policy:0]\nname = x\npolicy_type = erasure_coding\nec_type = y\n"
              "ec_num_data_fragments = 0\nec_num_parity_fragments = 2\n",
         "[storage-policy:0] ec_num_data_fragments = 0: expected a whole number from 1"},
        {PORT REST, HASH "[swift-constraints]\nmax_header_size = 1\n",
         "swift.conf: [swift-constraints] max_header_size = 1: expected a whole number"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *c = NULL;
        int res = load(rows[i].server, rows[i].swift, &c);
        if (res >= 0 || strstr(problem, rows[i].told) == NULL || strchr(problem, '\n') != NULL)
            fail_msg("row %zu: %d \"%s\", expected \"%s\"", i, res, problem, rows[i].told);
        assert_null(c);
    }
}

static void test_no_file(void **state)
{
    struct config *c = NULL;
    assert_true(config_load("/nowhere/x.conf", NULL, &c, problem, sizeof(problem)) < 0);
    assert_string_equal(problem, "/nowhere/x.conf: No such file or directory");
    write_file(server_file, PORT REST);
    assert_true(config_load(server_file, "/nowhere/swift.conf", &c, problem, sizeof(problem)) < 0);
    assert_string_equal(problem, "/nowhere/swift.conf: No such file or directory");
    assert_null(c);
}

/* ---- taken ---- */

static void test_defaults(void **state)
{
    struct config *c;
    assert_int_equal(load(PORT REST, HASH, &c), 0);
    assert_false(c->standalone);
    assert_true(c->healthcheck);
    assert_false(c->recon);
    assert_string_equal(c->bind_ip, "0.0.0.0");
    assert_int_equal(c->bind_port, 6200);
    assert_string_equal(c->devices, "/srv/node");
    assert_true(c->mount_check);
    assert_true(c->reserve_percent == 1);
    assert_int_equal(c->reserve_bytes, 0);
    assert_true(c->client_timeout == 60);
    assert_int_equal(c->worker_count, sysconf(_SC_NPROCESSORS_ONLN));
    assert_string_equal(c->log_name, "object-server");
    assert_string_equal(c->log_address, "/dev/log");
    assert_false(c->log_times);
    assert_int_equal(c->allowed_headers.count, 9);
    assert_string_equal(c->allowed_headers.items[8], "X-Robots-Tag");
    assert_int_equal(c->max_file_size, 5368709122);
    assert_int_equal(c->policy_count, 1);
    assert_string_equal(c->policies[0].name, "Policy-0");
    assert_int_equal(c->hash_prefix.len, 0);
    assert_true(slice_eq(c->hash_suffix, SLICE("s")));
    assert_int_equal(c->unknown.count, 0);
    config_free(c);
}

static void test_values(void **state)
{
    struct config *c;
    int res = load("[DEFAULT]\nbind_port = 6200\nworkers = 0\nmount_check = false\n"
                   "fallocate_reserve = 1048576\nunheard = 1\nbacklog = 10\n" PIPE HEALTH
                   "disable_path = /x\nodd = 2\n"
                   "[app:object-server]\nuse = egg:swift#object\n"
                   "set workers = 3\nbacklog = 20\nset log_name = mine\n"
                   "allowed_headers = A-b, ETag,\n  C, Content-Length\n  D\n"
                   "disk_chunk_size = 1M\nclient_timeout = 0.5\nnode_timeuot = 3\n",
                   HASH "swift_hash_path_prefix = \"p\"\n"
                        "[storage-policy:0]\nname = gold\ndefault = yes\n"
                        "[storage-policy:3]\nname = ec\npolicy_type = erasure_coding\n"
                        "ec_type = liberasurecode_rs_vand\nec_num_data_fragments = 4\n"
                        "ec_num_parity_fragments = 2\n"
                        "[swift-constraints]\nMAX_meta_count = 7\n",
                   &c);
    assert_string_equal(problem, "");
    assert_int_equal(res, 0);
    assert_int_equal(c->worker_count, 3);
    assert_int_equal(c->backlog, 10); /* [DEFAULT] wins where there is no "set" */
    assert_string_equal(c->log_name, "mine");
    assert_false(c->mount_check);
    assert_int_equal(c->reserve_bytes, 1048576);
    assert_true(c->reserve_percent == 0);
    assert_string_equal(c->disable_path, "/x");
    assert_int_equal(c->allowed_headers.count, 3);
    assert_string_equal(c->allowed_headers.items[1], "C");
    assert_string_equal(c->allowed_headers.items[2], "D");
    assert_int_equal(c->disk_chunk_size, 1048576);
    assert_true(c->client_timeout == 0.5);
    assert_true(slice_eq(c->hash_prefix, SLICE("\"p\"")));
    assert_int_equal(c->max_meta_count, 7);
    assert_int_equal(c->policy_count, 2);
    assert_true(config_policy(c, 3)->df.erasure_coded);
    assert_int_equal(config_policy(c, 3)->df.data_fragments, 4);
    assert_int_equal(config_policy(c, 3)->df.parity_fragments, 2);
    assert_null(config_policy(c, 1));
    assert_int_equal(c->unknown.count, 3);
    assert_string_equal(c->unknown.items[0], "filter:healthcheck/odd");
    assert_string_equal(c->unknown.items[1], "app:object-server/node_timeuot");
    assert_string_equal(c->unknown.items[2], "DEFAULT/unheard");
    config_free(c);
}

static void test_standalone(void **state)
{
    struct config *c;
    char path[128];
    int res = load("[DEFAULT]\nmode = standalone\ndata_dirs = one, /two\n  %(here)s/three\n"
                   "[app:object-server]\nlog_times = no\nset bind_port = 7000\n"
                   "[swift-constraints]\nmax_file_size = 10G\n",
                   "not read: no section here\n", &c);
    assert_string_equal(problem, "");
    assert_int_equal(res, 0);
    assert_true(c->standalone);
    assert_true(c->healthcheck);
    assert_string_equal(c->bind_ip, "127.0.0.1");
    assert_int_equal(c->bind_port, 7000);
    assert_string_equal(c->log_address, "");
    assert_false(c->log_times);
    assert_int_equal(c->max_file_size, 10LL << 30);
    assert_int_equal(c->policy_count, 1);
    assert_int_equal(c->data_dirs.count, 3);
    snprintf(path, sizeof(path), "%s/one", dir);
    assert_string_equal(c->data_dirs.items[0], path);
    assert_string_equal(c->data_dirs.items[1], "/two");
    snprintf(path, sizeof(path), "%s/three", dir);
    assert_string_equal(c->data_dirs.items[2], path);
    config_free(c);

    assert_int_equal(load(ALONE, "", &c), 0);
    assert_int_equal(c->bind_port, 6200);
    assert_true(c->log_times);
    assert_string_equal(c->user, "");
    config_free(c);
}

static void test_booleans(void **state)
{
    static const struct {
        const char *text;
        bool value;
    } rows[] = {{"true", true},   {"TRUE", true}, {"1", true},   {"yes", true}, {"On", true},
                {"t", true},      {"y", true},    {"no", false}, {"0", false},  {"off", false},
                {"False", false}, {"n", false},   {"", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *c;
        char text[512];
        snprintf(text, sizeof(text), "%smount_check = %s\n", PORT REST, rows[i].text);
        assert_int_equal(load(text, HASH, &c), 0);
        assert_int_equal(c->mount_check, rows[i].value);
        config_free(c);
    }
}

/* A directory: what a later file says holds; hidden files and others are not read. */
static void test_directory(void **state)
{
    char path[128], name[160];
    struct config *c;
    static const struct {
        const char *name, *text;
    } files[] = {{"20.conf", "[DEFAULT]\nbacklog = 2\n"},
                 {"10.conf", PORT "backlog = 1\n" REST},
                 {".30.conf", "[DEFAULT]\nbacklog = 3\n"},
                 {"30.conf~", "[DEFAULT]\nbacklog = 4\n"}};
    snprintf(path, sizeof(path), "%s/conf.d", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(config_load(path, swift_file, &c, problem, sizeof(problem)) < 0);
    assert_non_null(strstr(problem, "conf.d: no *.conf in this directory"));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(name, sizeof(name), "%s/%s", path, files[i].name);
        write_file(name, files[i].text);
    }
    write_file(swift_file, HASH);
    assert_int_equal(config_load(path, swift_file, &c, problem, sizeof(problem)), 0);
    assert_int_equal(c->backlog, 2);
    config_free(c);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(name, sizeof(name), "%s/%s", path, files[i].name);
        unlink(name);
    }
    rmdir(path);
}

static int set_up(void **state)
{
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(server_file, sizeof(server_file), "%s/server.conf", dir);
    snprintf(swift_file, sizeof(swift_file), "%s/swift.conf", dir);
    return 0;
}

static int tear_down(void **state)
{
    unlink(server_file);
    unlink(swift_file);
    return rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_values),
        cmocka_unit_test(test_standalone), cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_directory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
