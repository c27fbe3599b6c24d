/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/queue_row.h"
#include "server/verbs/checks.h"
#include <inttypes.h>
#include <stdio.h>

#define QUEUE_TIME_MAX 9999999999
#define SHARDS         100

int64_t queue_time(int64_t seconds)
{
    return seconds < 0 ? 0 : seconds > QUEUE_TIME_MAX ? QUEUE_TIME_MAX : seconds;
}

int64_t queue_time_of(struct slice x_delete_at)
{
    int64_t seconds;
    return integer_parse(x_delete_at, &seconds) == 0 ? seconds : 0;
}

static unsigned shard_of(const struct object_hash *hash)
{
    unsigned rest = 0;
    for (unsigned i = 0; i < sizeof(hash->md5); i++)
        rest = (rest * 256 + hash->md5[i]) % SHARDS;
    return rest;
}

static void print_time(int64_t seconds, char text[QUEUE_CONTAINER_MAX])
{
    snprintf(text, QUEUE_CONTAINER_MAX, "%010" PRId64, queue_time(seconds));
}

void queue_container(int64_t delete_at, int64_t divisor, const struct object_hash *hash,
                     char text[QUEUE_CONTAINER_MAX])
{
    print_time(queue_time(delete_at) / divisor * divisor - (int64_t)shard_of(hash), text);
}

bool queue_container_sent(struct slice sent, char text[QUEUE_CONTAINER_MAX])
{
    int64_t seconds;
    if (integer_parse(sent, &seconds) < 0)
        return false;
    print_time(seconds, text);
    return true;
}

struct slice queue_object(struct arena *a, int64_t delete_at, const struct df_name *name)
{
    const struct slice parts[] = {name->account, name->container, name->object};
    char time[QUEUE_CONTAINER_MAX];
    print_time(delete_at, time);
    size_t len = strlen(time);
    char *text = arena_alloc(a, len + name->account.len + name->container.len + name->object.len +
                                    sizeof(parts) / sizeof(*parts) + 1);
    if (!text)
        return (struct slice){NULL, 0};
    memcpy(text, time, len);
    for (unsigned i = 0; i < 3; i++) {
        text[len++] = i == 0 ? '-' : '/';
        memcpy(text + len, parts[i].at, parts[i].len);
        len += parts[i].len;
    }
    return (struct slice){text, len};
}
