/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/path.h"

/* ---- UTF-8 ---- */

/* Length of the sequence at `s`, or 0. Ranges of the second byte as in Unicode table 3-7. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t need;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        need = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        need = 3;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;
        high = s[0] == 0xed ? 0x9f : 0xbf;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        need = 4;
        low = s[0] == 0xf0 ? 0x90 : 0x80;
        high = s[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (len < need || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

bool utf8_valid(struct slice text)
{
    const unsigned char *s = (const unsigned char *)text.at;
    for (size_t i = 0, step; i < text.len; i += step)
        if ((step = utf8_sequence(s + i, text.len - i)) == 0)
            return false;
    return true;
}

size_t utf8_count(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    return count;
}

/* ---- Swift's paths ---- */

/* Cuts "segment/" off *rest, or all of it. */
static struct slice cut_segment(struct slice *rest, bool *ret_slash)
{
    const char *slash = rest->len ? memchr(rest->at, '/', rest->len) : NULL;
    struct slice segment = {rest->at, slash ? (size_t)(slash - rest->at) : rest->len};
    *ret_slash = slash;
    *rest = (struct slice){rest->at + segment.len + (slash ? 1 : 0),
                           rest->len - segment.len - (slash ? 1 : 0)};
    return segment;
}

bool path_split(struct slice path, struct object_path *ret_path)
{
    struct object_path p;
    struct slice *const segments[4] = {&p.device, &p.partition, &p.account, &p.container};
    bool slash;
    if (path.len == 0 || path.at[0] != '/')
        return false;
    struct slice rest = {path.at + 1, path.len - 1};
    for (int i = 0; i < 4; i++) {
        *segments[i] = cut_segment(&rest, &slash);
        if (!slash || segments[i]->len == 0)
            return false;
    }
    p.object = rest;
    if (p.object.len == 0)
        return false;
    *ret_path = p;
    return true;
}

bool path_split_partition(struct slice path, struct slice *ret_device, struct slice *ret_partition,
                          struct slice *ret_rest)
{
    bool slash;
    if (path.len == 0 || path.at[0] != '/')
        return false;
    struct slice rest = {path.at + 1, path.len - 1};
    *ret_device = cut_segment(&rest, &slash);
    if (!slash)
        return false;
    *ret_partition = cut_segment(&rest, &slash);
    *ret_rest = rest;
    return ret_device->len > 0 && ret_partition->len > 0;
}

bool path_component_safe(struct slice name)
{
    return name.len > 0 && !slice_eq(name, SLICE(".")) && !slice_eq(name, SLICE("..")) &&
           !memchr(name.at, 0, name.len) && !memchr(name.at, '/', name.len);
}

static bool is_reserved(struct slice name)
{
    return name.len > 0 && name.at[0] == 0;
}

static bool has_late_nul(struct slice name)
{
    return !is_reserved(name) && memchr(name.at, 0, name.len);
}

const char *path_reserved_problem(const struct object_path *p, struct slice auto_account_prefix)
{
    if (has_late_nul(p->account))
        return "Invalid reserved-namespace account";
    if (has_late_nul(p->container))
        return "Invalid reserved-namespace container";
    if (slice_eq(p->account, SLICE(".misplaced_objects")) ||
        (auto_account_prefix.len > 0 && p->account.len >= auto_account_prefix.len &&
         memcmp(p->account.at, auto_account_prefix.at, auto_account_prefix.len) == 0))
        return NULL;
    if (has_late_nul(p->object))
        return "Invalid reserved-namespace object";
    if (is_reserved(p->container) && !is_reserved(p->object))
        return "Invalid user-namespace object in reserved-namespace container";
    if (is_reserved(p->object) && !is_reserved(p->container))
        return "Invalid reserved-namespace object in user-namespace container";
    return NULL;
}

size_t path_quote(struct slice path, char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.at[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c && strchr("_.-~/", c))) {
            text[len++] = (char)c;
            continue;
        }
        text[len++] = '%';
        text[len++] = hex[c >> 4];
        text[len++] = hex[c & 15];
    }
    text[len] = 0;
    return len;
}

/* ---- stand-alone ---- */

static bool has_dot_segment(struct slice path)
{
    bool slash = true;
    while (slash) {
        struct slice segment = cut_segment(&path, &slash);
        if (slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
            return true;
    }
    return false;
}

const char *path_split_plain(struct slice path, struct slice *ret_container, struct slice *ret_key,
                             bool *ret_no_key)
{
    bool slash;
    *ret_no_key = false;
    if (path.len == 0 || path.at[0] != '/')
        return "the path must begin with '/': expected /container/key";
    if (!utf8_valid(path))
        return "the path is not valid UTF-8: expected /container/key in percent-encoded UTF-8";
    if (memchr(path.at, 0, path.len))
        return "the path holds a NUL byte (%00): names may hold any character but this one";
    struct slice rest = {path.at + 1, path.len - 1};
    if (has_dot_segment(rest))
        return "the path has a segment \".\" or \"..\": these are not allowed in a key";
    *ret_container = cut_segment(&rest, &slash);
    *ret_key = rest;
    if (rest.len == 0) {
        *ret_no_key = true;
        return "the path names no object: expected /container/key (listings are not offered)";
    }
    if (ret_container->len == 0)
        return "the container's name is empty: expected /container/key";
    if (ret_container->len > PLAIN_CONTAINER_MAX)
        return "the container's name is too long: at most 256 bytes are allowed";
    if (ret_key->len > PLAIN_KEY_MAX)
        return "the key is too long: at most 1024 bytes are allowed";
    return NULL;
}
