/* SPDX-License-Identifier: Apache-2.0 */
#include "server/updates/update_headers.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/path.h"
#include <errno.h>
#include <unistd.h>

/* The later one wins. */
static const struct slice override_prefixes[] = {
    {"X-Backend-Container-Update-Override-", 36},
    {"X-Object-Sysmeta-Container-Update-Override-", 43},
};

/* "<prefix>Etag: v" becomes "X-Etag: v". */
static int apply_override(struct metadata *m, struct slice prefix, struct slice name,
                          struct slice value)
{
    char key[512] = "X-";
    if (!has_prefix(name, prefix) || name.len - prefix.len > sizeof(key) - 2)
        return 0;
    struct slice rest = {name.at + prefix.len, name.len - prefix.len};
    metadata_title_key(rest, key + 2);
    if (slice_eq_nocase(rest, SLICE("etag")))
        key[3] = 't'; /* "ETag" is only the name of the stored item */
    return metadata_set(m, (struct slice){key, rest.len + 2}, value);
}

static int apply_overrides(struct metadata *m, struct slice prefix, const struct metadata *from)
{
    int res = 0;
    for (unsigned i = 0; from && res == 0 && i < from->count; i++)
        res = apply_override(m, prefix, from->items[i].key, from->items[i].value);
    return res;
}

static int apply_request_overrides(struct metadata *m, struct slice prefix, const struct request *r)
{
    int res = 0;
    for (unsigned i = 0; res == 0 && i < r->header_count; i++)
        res = apply_override(m, prefix, r->headers[i].name, r->headers[i].value);
    return res;
}

int headers_of_put(struct metadata *m, const struct request *r, const struct put_facts *facts)
{
    int res = metadata_set_number(m, "X-Size", facts->size);
    if (res == 0)
        res = metadata_set(m, SLICE("X-Content-Type"), facts->content_type);
    if (res == 0)
        res = metadata_set_timestamp(m, "X-Timestamp", facts->timestamp);
    if (res == 0)
        res = metadata_set(m, SLICE("X-Etag"), facts->etag);
    for (unsigned i = 0; res == 0 && i < 2; i++) {
        res = apply_request_overrides(m, override_prefixes[i], r);
        if (res == 0)
            res = apply_overrides(m, override_prefixes[i], facts->footers);
    }
    return res;
}

/* `name` of what is stored, or else `fallback`: erasure-coded objects are known to containers by
 * the size and ETag of the whole. */
static int set_stored(struct metadata *m, const char *key, const struct metadata *stored,
                      const char *name, const char *fallback)
{
    const struct slice *value = metadata_get(stored, name);
    return metadata_set(m, slice_of(key), value ? *value : metadata_value(stored, fallback));
}

int headers_of_post(struct metadata *m, const struct post_facts *facts)
{
    const struct metadata *stored = facts->stored;
    int res =
        set_stored(m, "X-Size", stored, "X-Object-Sysmeta-Ec-Content-Length", "Content-Length");
    if (res == 0)
        res = metadata_set(m, SLICE("X-Content-Type"), facts->content_type);
    if (res == 0)
        res = metadata_set_timestamp(m, "X-Timestamp", facts->data_timestamp);
    if (res == 0)
        res = metadata_set_timestamp(m, "X-Content-Type-Timestamp", facts->ctype_timestamp);
    if (res == 0)
        res = metadata_set_timestamp(m, "X-Meta-Timestamp", facts->meta_timestamp);
    if (res == 0)
        res = set_stored(m, "X-Etag", stored, "X-Object-Sysmeta-Ec-Etag", "ETag");
    for (unsigned i = 0; res == 0 && i < 2; i++)
        res = apply_overrides(m, override_prefixes[i], stored);
    return res;
}

int headers_of_delete(struct metadata *m, struct timestamp timestamp)
{
    return metadata_set_timestamp(m, "X-Timestamp", timestamp);
}

int headers_of_queue_row(struct metadata *m, struct timestamp timestamp, bool put)
{
    int res = metadata_set_timestamp(m, "X-Timestamp", timestamp);
    if (res == 0 && put)
        res = metadata_set_text(m, "X-Size", "0");
    if (res == 0 && put)
        res = metadata_set_text(m, "X-Content-Type", "text/plain");
    if (res == 0 && put)
        res = metadata_set_text(m, "X-Etag", "d41d8cd98f00b204e9800998ecf8427e");
    return res;
}

/* "PUT http://host/quoted/path?query" */
static char *referer_of(const struct request *r, const char *listen_address)
{
    char *path = arena_alloc(r->arena, 3 * r->path.len + 1);
    struct slice host = request_header_value(r, "Host");
    if (!path)
        return NULL;
    path_quote(r->path, path);
    if (host.len == 0)
        host = slice_of(listen_address);
    if (host.len >= 3 && memcmp(host.at + host.len - 3, ":80", 3) == 0)
        host.len -= 3;
    return arena_printf(r->arena, "%.*s http://%.*s%s%s%.*s", (int)r->method.len, r->method.at,
                        (int)host.len, host.at, path, r->query.len ? "?" : "", (int)r->query.len,
                        r->query.len ? r->query.at : "");
}

int headers_of_sender(struct metadata *m, const struct request *r, const char *listen_address,
                      unsigned policy)
{
    const struct slice *trans_id = request_header(r, "X-Trans-Id");
    const char *referer = referer_of(r, listen_address);
    const char *agent = arena_printf(r->arena, "object-server %ld", (long)getpid());
    if (!referer || !agent)
        return -ENOMEM;
    int res = metadata_set(m, SLICE("X-Trans-Id"), trans_id ? *trans_id : SLICE("-"));
    if (res == 0)
        res = metadata_set_text(m, "Referer", referer);
    if (res == 0)
        res = metadata_set_number(m, "X-Backend-Storage-Policy-Index", policy);
    return res == 0 ? metadata_set_text(m, "User-Agent", agent) : res;
}

static bool breaks_a_line(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == '\0')
            return true;
    return false;
}

bool headers_sendable(const struct metadata *m)
{
    for (unsigned i = 0; i < m->count; i++)
        if (breaks_a_line(m->items[i].key) || breaks_a_line(m->items[i].value))
            return false;
    return true;
}
