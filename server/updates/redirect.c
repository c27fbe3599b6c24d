/* SPDX-License-Identifier: Apache-2.0 */
/* redirect.c -- where a 301 of a container server points: to the container of a shard. */
#include "server/updates/client.h"
#include "server/updates/update.h"

static bool is_true(struct slice value)
{
    static const char *const words[] = {"true", "1", "yes", "on", "t", "y"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (slice_eq_nocase(value, slice_of(words[i])))
            return true;
    return false;
}

static size_t find(struct slice text, const char *any)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != '\0' && strchr(any, text.at[i]))
            return i;
    return text.len;
}

static struct slice from(struct slice text, size_t start)
{
    return (struct slice){text.at + start, text.len - start};
}

/* The path of a URL: without scheme, host, query, fragment. */
static struct slice path_of(struct slice url)
{
    size_t colon = find(url, ":/?#");
    if (colon > 0 && colon < url.len && url.at[colon] == ':')
        url = from(url, colon + 1);
    if (url.len >= 2 && url.at[0] == '/' && url.at[1] == '/') {
        url = from(url, 2);
        url = from(url, find(url, "/?#"));
    }
    return (struct slice){url.at, find(url, "?#")};
}

/* "/account/container[/...]" -> "account/container", or empty. */
static struct slice first_two(struct slice path)
{
    const struct slice none = {"", 0};
    if (path.len == 0 || path.at[0] != '/')
        return none;
    path = from(path, 1);
    size_t slash = find(path, "/");
    if (slash == 0 || slash == path.len)
        return none;
    size_t len = slash + 1 + find(from(path, slash + 1), "/");
    return len > slash + 1 ? (struct slice){path.at, len} : none;
}

struct slice redirect_path(struct arena *a, const struct client_reply *reply,
                           const char **ret_problem)
{
    const struct slice none = {"", 0};
    struct timestamp ts;
    *ret_problem = NULL;
    if (reply->location.len == 0)
        return none;
    struct slice path = path_of(reply->location);
    path = is_true(reply->location_is_quoted) ? percent_decoded(a, path)
                                              : slice_of(arena_text(a, path));
    path = first_two(path);
    if (path.len == 0)
        *ret_problem = "Location is not of the form /account/container";
    else if (timestamp_parse(reply->redirect_timestamp, &ts) < 0)
        *ret_problem = "no valid X-Backend-Redirect-Timestamp";
    return *ret_problem ? none : path;
}
