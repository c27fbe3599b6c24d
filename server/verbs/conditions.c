/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/conditions.h"
#include "server/verbs/comma_list.h"
#include "server/verbs/httpdate.h"

static struct slice unquoted(struct slice tag)
{
    if (tag.len >= 2 && tag.at[0] == '"' && tag.at[tag.len - 1] == '"')
        return (struct slice){tag.at + 1, tag.len - 2};
    return tag;
}

static bool given(const struct slice *header)
{
    return header && header->len > 0;
}

static bool listed(struct slice list, struct slice etag, bool weak_ok)
{
    struct slice item;
    etag = unquoted(etag);
    while (comma_list_next(&list, &item)) {
        if (item.len == 0)
            continue;
        if (weak_ok && item.len > 2 && memcmp(item.at, "W/", 2) == 0)
            item = (struct slice){item.at + 2, item.len - 2};
        item = unquoted(item);
        if (slice_eq(item, SLICE("*")) || slice_eq(item, etag))
            return true;
    }
    return false;
}

bool etag_listed(struct slice list, struct slice etag)
{
    return listed(list, etag, false);
}

bool etag_list_has_star(struct slice list)
{
    return listed(list, SLICE("*"), false);
}

/* -1 earlier than the object, 0 the same second, 1 later; 2: no usable date. */
static int date_against(const struct slice *header, const struct validators *v)
{
    int64_t date;
    if (!v->found || !given(header) || httpdate_parse(*header, &date) < 0)
        return 2;
    return (date > v->last_modified_s) - (date < v->last_modified_s);
}

int conditions_swift(const struct conditions *c, const struct validators *v)
{
    if (v->found && given(c->if_none_match) && etag_listed(*c->if_none_match, v->etag))
        return 304;
    if (v->found && given(c->if_match) && !etag_listed(*c->if_match, v->etag))
        return 412;
    if (!v->found && given(c->if_match) && etag_list_has_star(*c->if_match))
        return 412;
    int modified = date_against(c->if_modified_since, v);
    if (modified == 0 || modified == 1)
        return 304;
    if (date_against(c->if_unmodified_since, v) == -1)
        return 412;
    return 0;
}

int conditions_rfc9110(const struct conditions *c, const struct validators *v, bool reads)
{
    if (given(c->if_match)) {
        if (!v->found || !listed(*c->if_match, v->etag, false))
            return 412;
    } else if (date_against(c->if_unmodified_since, v) == -1) {
        return 412;
    }
    if (given(c->if_none_match)) {
        if (v->found && listed(*c->if_none_match, v->etag, true))
            return reads ? 304 : 412;
    } else if (reads) {
        int modified = date_against(c->if_modified_since, v);
        if (modified == 0 || modified == 1)
            return 304;
    }
    return 0;
}

bool if_range_holds(struct slice header, const struct validators *v)
{
    if (header.len == 0)
        return true;
    if (header.at[0] == '"')
        return slice_eq(unquoted(header), v->etag);
    /* A weak tag never holds; a date must be the very one. */
    return date_against(&header, v) == 0;
}
