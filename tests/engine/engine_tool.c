/* SPDX-License-Identifier: Apache-2.0 */
/* engine_tool.c -- what the engine reads, as text, for tests in other languages.
 *
 *   engine_tool get DEVICES DEVICE POLICY PARTITION ACCOUNT CONTAINER OBJECT NOW
 *   engine_tool data|meta|ts <the same> BODYHEX [KEYHEX VALUEHEX]...
 *
 * The second writes a file of that kind, at time NOW, with exactly that metadata. Swift's hash
 * prefix and suffix are "pfx" and "sfx". Prints one "key=value" line per fact; metadata lines are
 * "meta <hex of key> <hex of value>", in order. */
#include "diskfile/engine/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static int opened_res;
static bool answered;

static void on_opened(void *arg, struct df_object *o, int res)
{
    opened_res = res;
    answered = true;
}

static void print_hex(struct slice s)
{
    putchar(' ');
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", (unsigned char)s.at[i]);
}

static void print_time(const char *key, struct timestamp ts)
{
    char text[TIMESTAMP_TEXT_MAX];
    timestamp_internal(ts, text);
    printf("%s=%s\n", key, text);
}

static void print_object(const struct df_object *o)
{
    static const char *const states[] = {"absent", "deleted", "expired", "live"};
    const struct df_info *info = df_object_info(o);
    printf("state=%s\nquarantined=%d\nsize=%llu\n", states[info->state], info->quarantined,
           (unsigned long long)info->size);
    print_time("timestamp", info->timestamp);
    print_time("data_timestamp", info->data_timestamp);
    print_time("ctype_timestamp", info->ctype_timestamp);
    printf("body");
    print_hex(df_object_first(o));
    printf("\n");
    for (unsigned i = 0; info->metadata && i < info->metadata->count; i++) {
        printf("meta");
        print_hex(info->metadata->items[i].key);
        print_hex(info->metadata->items[i].value);
        printf("\n");
    }
}

static void turn(struct df_thread *t)
{
    struct pollfd fd = {.fd = df_thread_fd(t), .events = POLLIN};
    df_thread_flush(t);
    (void)poll(&fd, 1, -1);
    df_thread_reap(t);
}

static int show(struct df_thread *t, const struct df_name *name, struct timestamp now)
{
    struct df_open_spec spec = {.read_ahead = 1 << 20, .now = now};
    struct df_object *o = df_open(t, name, &spec, on_opened, NULL);
    while (!answered)
        turn(t);
    if (opened_res < 0) {
        printf("error=%d\n", -opened_res);
        return 0;
    }
    print_object(o);
    df_object_close(o);
    return 0;
}

/* In place. */
static struct slice unhex(char *text)
{
    size_t len = strlen(text) / 2;
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        text[i] = (char)strtol(digits, NULL, 16);
    }
    return (struct slice){text, len};
}

static void on_finished(void *arg, int res)
{
    opened_res = res;
    answered = true;
}

static int put(struct df_thread *t, const struct df_name *name, struct timestamp now, char **arg)
{
    static const struct df_upload_calls calls = {.finished = on_finished};
    struct df_upload_spec spec = {.kind = strcmp(arg[0], "data") == 0   ? DF_UPLOAD_DATA
                                          : strcmp(arg[0], "meta") == 0 ? DF_UPLOAD_META
                                                                        : DF_UPLOAD_TOMBSTONE,
                                  .timestamp = now,
                                  .now = now,
                                  .size = -1};
    struct metadata m = {0};
    struct df_upload *u = df_upload_begin(t, name, &spec, &calls, NULL);
    struct slice body = unhex(arg[9]);
    if (body.len > 0)
        df_upload_append(u, body.at, body.len);
    for (char **item = arg + 10; item[0] && item[1]; item += 2)
        if (metadata_set(&m, unhex(item[0]), unhex(item[1])) < 0)
            return 1;
    df_upload_commit(u, &m);
    df_thread_flush(t);
    while (!answered)
        turn(t);
    printf("error=%d\n", -opened_res);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 10) {
        fprintf(stderr, "usage: see the head of engine_tool.c\n");
        return 2;
    }
    static const struct df_policy policies[] = {{.index = 0}, {.index = 1}};
    struct df_options options = {
        .devices = argv[2],
        .policies = policies,
        .policy_count = 2,
        .hash_key = {SLICE("pfx"), SLICE("sfx")},
        .lock_timeout_ms = 10000,
        .reclaim_age_s = UINT64_MAX,
        .bytes_per_sync = 512 << 20,
        .engine = DF_ENGINE_THREADS,
    };
    char problem[512];
    struct df_store *store;
    struct df_thread *t;
    if (df_store_open(&options, &store, problem, sizeof(problem)) < 0) {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    struct timestamp now;
    if (df_thread_open(store, &t) < 0 || timestamp_parse(slice_of(argv[9]), &now) < 0)
        return 1;
    struct df_name name = {(unsigned)atoi(argv[4]), slice_of(argv[3]), slice_of(argv[5]),
                           slice_of(argv[6]),       slice_of(argv[7]), slice_of(argv[8])};
    int r = strcmp(argv[1], "get") == 0 ? show(t, &name, now) : put(t, &name, now, argv + 1);
    df_thread_close(t);
    df_store_close(store);
    return r;
}
