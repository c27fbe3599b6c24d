/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/targets.h"
#include "server/verbs/path.h"
#include <errno.h>

static struct slice trimmed(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct slice){at, (size_t)(end - at)};
}

/* The next item of a comma list; an empty list has one empty item, as in Swift. */
static bool next_item(struct slice *rest, bool *started, struct slice *ret_item)
{
    if (*started && rest->at == NULL)
        return false;
    *started = true;
    const char *end = rest->at ? rest->at + rest->len : NULL;
    const char *comma = rest->len ? memchr(rest->at, ',', rest->len) : NULL;
    *ret_item = trimmed(rest->at, comma ? comma : end);
    *rest = comma ? (struct slice){comma + 1, (size_t)(end - comma - 1)} : (struct slice){0};
    return true;
}

static unsigned item_count(struct slice list)
{
    unsigned count = 1;
    for (size_t i = 0; i < list.len; i++)
        count += list.at[i] == ',';
    return count;
}

bool target_reachable(const struct targets *t, unsigned index)
{
    return t->partition.len > 0 && t->at[index].host.len > 0 && t->at[index].device.len > 0;
}

/* Pairs up both lists as far as the shorter one goes. */
static int pair_up(struct arena *a, struct slice hosts, struct slice devices, struct targets *t)
{
    struct update_target pair;
    bool host_started = false, device_started = false;
    t->at = arena_alloc(a, item_count(hosts) * sizeof(*t->at));
    if (!t->at)
        return -ENOMEM;
    while (next_item(&hosts, &host_started, &pair.host) &&
           next_item(&devices, &device_started, &pair.device))
        t->at[t->count++] = pair;
    return 0;
}

int targets_of_container(const struct request *r, struct targets *ret)
{
    struct slice hosts = request_header_value(r, "X-Container-Host");
    struct slice devices = request_header_value(r, "X-Container-Device");
    *ret = (struct targets){.partition = request_header_value(r, "X-Container-Partition")};
    if (item_count(hosts) != item_count(devices))
        return -EINVAL;
    return ret->partition.len > 0 ? pair_up(r->arena, hosts, devices, ret) : 0;
}

int targets_of_queue(const struct request *r, struct targets *ret)
{
    const struct slice *hosts = request_header(r, "X-Delete-At-Host");
    *ret = (struct targets){.partition = request_header_value(r, "X-Delete-At-Partition")};
    if (!hosts)
        return 0;
    int res = pair_up(r->arena, *hosts, request_header_value(r, "X-Delete-At-Device"), ret);
    if (res < 0)
        return res;
    unsigned whole = 0;
    for (unsigned i = 0; i < ret->count; i++)
        if (target_reachable(ret, i))
            ret->at[whole++] = ret->at[i];
    if (whole == 0)
        ret->at[whole++] = (struct update_target){{"", 0}, {"", 0}};
    ret->count = whole;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct slice percent_decoded(struct arena *a, struct slice text)
{
    char *out = arena_alloc(a, text.len + 1);
    size_t len = 0;
    if (!out)
        return (struct slice){NULL, 0};
    for (size_t i = 0; i < text.len; i++) {
        int high = i + 2 < text.len && text.at[i] == '%' ? hex_digit(text.at[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.at[i + 2]) : -1;
        if (low >= 0)
            i += 2;
        out[len++] = low >= 0 ? (char)(high << 4 | low) : text.at[i];
    }
    return (struct slice){out, len};
}

bool is_container_path(struct slice path)
{
    const char *slash = path.len ? memchr(path.at, '/', path.len) : NULL;
    if (!slash || slash == path.at || !utf8_valid(path))
        return false;
    const char *end = path.at + path.len;
    const char *second = memchr(slash + 1, '/', (size_t)(end - slash - 1));
    return second ? second > slash + 1 && second + 1 == end : slash + 1 < end;
}

struct slice target_container_path(const struct request *r, struct slice *ret_bad)
{
    struct slice path = request_header_value(r, "X-Backend-Quoted-Container-Path");
    if (path.len > 0)
        path = percent_decoded(r->arena, path);
    else
        path = request_header_value(r, "X-Backend-Container-Path");
    bool good = path.len > 0 && is_container_path(path);
    *ret_bad = good ? (struct slice){"", 0} : path;
    return good ? path : (struct slice){"", 0};
}
