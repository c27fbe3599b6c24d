/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/unsupported.h"
#include "server/loop.h"
#include "server/node/log.h"
#include "server/verbs/answer.h"
#include <stdatomic.h>
#include <time.h>

enum update { UPDATE_CONTAINER, UPDATE_EXPIRER, UPDATE_NEXT_PART_POWER, UPDATES };

static const char *const update_names[UPDATES] = {"container update",
                                                  "update of the queue of expiring objects",
                                                  "link for X-Backend-Next-Part-Power"};

void answer_unsupported(struct request *r, const char *what)
{
    answer_refusal(
        r, &(struct refusal){.status = 501,
                             .text = arena_printf(r->arena, "%s is not supported yet", what)});
}

/* True for the one thread that may warn in this minute. */
static bool may_warn(enum update update)
{
    static _Atomic int64_t next_s[UPDATES];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t due = atomic_load(&next_s[update]);
    return now.tv_sec >= due &&
           atomic_compare_exchange_strong(&next_s[update], &due, now.tv_sec + 60);
}

static void log_skipped(const struct request *r, enum update update)
{
    if (may_warn(update))
        log_line(LOG_LEVEL_WARNING, "%s skipped: not supported yet (said once a minute)",
                 update_names[update]);
    else if (log_wants(LOG_LEVEL_DEBUG))
        log_line(LOG_LEVEL_DEBUG, "%s skipped: not supported yet: %.*s %.*s", update_names[update],
                 (int)r->method.len, r->method.at, (int)r->target.len, r->target.at);
}

void log_skipped_updates(const struct request *r, bool has_old_expiry)
{
    if (request_header_value(r, "X-Container-Partition").len > 0)
        log_skipped(r, UPDATE_CONTAINER);
    if ((has_old_expiry || request_header(r, "X-Delete-At-Host")) &&
        !request_header_true(r, "X-Backend-Replication"))
        log_skipped(r, UPDATE_EXPIRER);
    if (request_header_value(r, "X-Backend-Next-Part-Power").len > 0)
        log_skipped(r, UPDATE_NEXT_PART_POWER);
}
