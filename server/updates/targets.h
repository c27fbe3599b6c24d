/* SPDX-License-Identifier: Apache-2.0 */
/* targets.h -- whom to tell: from a request's headers to container servers (http-api 15, 16).
 *
 * Pure. Slices point into the request's headers or its arena. */
#ifndef OBJSRV_TARGETS_H
#define OBJSRV_TARGETS_H

#include "server/http/request.h"

struct update_target {
    struct slice host; /* "address:port" */
    struct slice device;
};

struct targets {
    struct slice partition;
    struct update_target *at;
    unsigned count; /* 0: nobody is to be told */
};

/* A target without host, device or partition cannot be reached: its update waits on the disk. */
bool target_reachable(const struct targets *t, unsigned index);

/* X-Container-Host, -Device, -Partition. 0; -EINVAL: different numbers of hosts and devices;
 * -ENOMEM. */
int targets_of_container(const struct request *r, struct targets *ret);

/* X-Delete-At-Host, -Device, -Partition: pairs that are not whole are left out; if none is whole,
 * one that cannot be reached. Count 0 without X-Delete-At-Host. 0 or -ENOMEM. */
int targets_of_queue(const struct request *r, struct targets *ret);

/* X-Backend-Quoted-Container-Path or X-Backend-Container-Path: "account/container" of the shard
 * that wants this update, or empty. *ret_bad: what was sent instead of that, else empty. */
struct slice target_container_path(const struct request *r, struct slice *ret_bad);

/* Percent-decodes in place of a copy in the arena. at == NULL: no memory. */
struct slice percent_decoded(struct arena *a, struct slice text);

/* "a/c", as Swift's split_path sees it: two segments, nothing but one '/' behind them. */
bool is_container_path(struct slice path);

#endif
