/* SPDX-License-Identifier: Apache-2.0 */
/* hashes_tool.c -- suffix hashes as the engine answers them, for tests in other languages.
 *
 *   hashes_tool DEVICES POLICY PARTITION RECLAIM_AGE_S COMMIT_WINDOW_S [SUFFIXES]
 *
 * On device sda1. Policy 0 is replicated, 2 is erasure coded with 2+1 fragments. SUFFIXES
 * ("abc-def") are marked stale, and nothing is asked. Prints "<error> <hashed> <pickle in hex>". */
#include "diskfile/engine/thread.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static bool answered;

static void on_done(void *arg, int res, const struct df_hashes *found)
{
    printf("%d %u ", -res, found->hashed);
    for (size_t i = 0; i < found->pickle.len; i++)
        printf("%02x", (unsigned char)found->pickle.at[i]);
    printf("\n");
    answered = true;
}

static void on_event(void *arg, enum df_event_kind kind, const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static void ask(struct df_thread *t, char **argv)
{
    unsigned policy = (unsigned)atoi(argv[2]);
    struct slice partition = slice_of(argv[3]);
    bool started = argv[6] ? df_hashes_forget(t, policy, SLICE("sda1"), partition,
                                              slice_of(argv[6]), on_done, NULL)
                           : df_hashes_get(t, policy, SLICE("sda1"), partition, on_done, NULL);
    if (!started)
        abort();
    while (!answered) {
        struct pollfd fd = {.fd = df_thread_fd(t), .events = POLLIN};
        df_thread_flush(t);
        (void)poll(&fd, 1, -1);
        df_thread_reap(t);
    }
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: see the head of hashes_tool.c\n");
        return 2;
    }
    static const struct df_policy policies[] = {
        {.index = 0},
        {.index = 2, .erasure_coded = true, .data_fragments = 2, .parity_fragments = 1}};
    struct df_options options = {
        .devices = argv[1],
        .policies = policies,
        .policy_count = 2,
        .hash_key = {SLICE("pfx"), SLICE("sfx")},
        .lock_timeout_ms = 10000,
        .reclaim_age_s = (uint64_t)atoll(argv[4]),
        .commit_window_s = (uint64_t)atoll(argv[5]),
        .engine = DF_ENGINE_THREADS,
        .event = on_event,
    };
    char problem[512];
    struct df_store *store;
    struct df_thread *t;
    if (df_store_open(&options, &store, problem, sizeof(problem)) < 0 ||
        df_thread_open(store, &t) < 0) {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    ask(t, argv);
    df_thread_close(t);
    df_store_close(store);
    return 0;
}
