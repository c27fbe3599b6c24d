/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/unsupported.h"
#include "server/loop.h"
#include "server/node/log.h"
#include "server/verbs/answer.h"
#include <stdatomic.h>
#include <time.h>

void answer_unsupported(struct request *r, const char *what)
{
    answer_refusal(
        r, &(struct refusal){.status = 501,
                             .text = arena_printf(r->arena, "%s is not supported yet", what)});
}

/* True for the one thread that may warn in this minute. */
static bool may_warn(void)
{
    static _Atomic int64_t next_s;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t due = atomic_load(&next_s);
    return now.tv_sec >= due && atomic_compare_exchange_strong(&next_s, &due, now.tv_sec + 60);
}

void log_skipped_links(const struct request *r)
{
    static const char what[] = "link for X-Backend-Next-Part-Power";
    if (request_header_value(r, "X-Backend-Next-Part-Power").len == 0)
        return;
    if (may_warn())
        log_line(LOG_LEVEL_WARNING, "%s skipped: not supported yet (said once a minute)", what);
    else if (log_wants(LOG_LEVEL_DEBUG))
        log_line(LOG_LEVEL_DEBUG, "%s skipped: not supported yet: %.*s %.*s", what,
                 (int)r->method.len, r->method.at, (int)r->target.len, r->target.at);
}
