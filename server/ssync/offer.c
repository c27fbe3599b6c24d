/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ssync/offer.h"
#include "diskfile/format/number.h"
#include "server/ssync/lines.h"
#include "server/verbs/path.h"

enum { WORD_MAX = 512 };

static const char bad_time[] = "could not read the time of an offer";
static const char bad_item[] = "could not read an item of an offer";

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* Percent-decoded into `room`; false: too long. A '%' without two digits stays. */
static bool decode(struct slice word, char room[WORD_MAX], struct slice *ret)
{
    size_t len = 0;
    if (word.len > WORD_MAX)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        bool quoted = word.at[i] == '%' && i + 2 < word.len && hex_value(word.at[i + 1]) >= 0 &&
                      hex_value(word.at[i + 2]) >= 0;
        room[len++] = quoted ? (char)(hex_value(word.at[i + 1]) * 16 + hex_value(word.at[i + 2]))
                             : word.at[i];
        i += quoted ? 2 : 0;
    }
    *ret = (struct slice){room, len};
    return true;
}

/* Only what is made of 32 digits can lie below a suffix directory. */
static void keep_hash(struct slice text, struct offer *ret)
{
    bool good = text.len == HASH_HEX_LEN;
    for (size_t i = 0; good && i < text.len; i++)
        good = hex_value(text.at[i]) >= 0 && (text.at[i] < 'A' || text.at[i] > 'F');
    ret->hash[0] = '\0';
    if (good) {
        memcpy(ret->hash, text.at, HASH_HEX_LEN);
        ret->hash[HASH_HEX_LEN] = '\0';
    }
}

static bool is_true(struct slice text)
{
    static const char *const words[] = {"true", "1", "yes", "on", "t", "y"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (slice_eq_nocase(text, slice_of(words[i])))
            return true;
    return false;
}

static struct slice until(struct slice *rest, char mark)
{
    const char *at = rest->len > 0 ? memchr(rest->at, mark, rest->len) : NULL;
    struct slice head = {rest->at, at != NULL ? (size_t)(at - rest->at) : rest->len};
    size_t gone = head.len + (at != NULL);
    *rest = (struct slice){rest->at + gone, rest->len - gone};
    return head;
}

/* "30d40" or "30d40__1", from the base of `from`. */
static bool add_delta(struct slice text, struct timestamp from, struct timestamp *ret)
{
    struct number delta, offset = {0};
    size_t mark = 0;
    while (mark + 1 < text.len && !(text.at[mark] == '_' && text.at[mark + 1] == '_'))
        mark++;
    if (mark + 1 < text.len) {
        struct slice tail = {text.at + mark + 2, text.len - mark - 2};
        if (number_parse(tail, 16, &offset) < 0 || offset.negative)
            return false;
        text.len = mark;
    }
    if (number_parse(text, 16, &delta) < 0 || delta.magnitude >= TIMESTAMP_TICKS_END)
        return false;
    if (delta.negative && delta.magnitude > from.ticks)
        return false;
    uint64_t ticks = delta.negative ? from.ticks - delta.magnitude : from.ticks + delta.magnitude;
    *ret = (struct timestamp){ticks, offset.magnitude};
    return ticks < TIMESTAMP_TICKS_END;
}

static const char *parse_item(struct slice item, struct offer *o)
{
    struct slice value = item, key = until(&value, ':');
    if (key.len == item.len)
        return NULL; /* no ':' */
    if (value.len > 0 && memchr(value.at, ':', value.len) != NULL)
        return bad_item;
    if (slice_eq(key, SLICE("m")))
        return add_delta(value, o->data, &o->meta) ? NULL : bad_item;
    if (slice_eq(key, SLICE("t")))
        return add_delta(value, o->data, &o->ctype) ? NULL : bad_item;
    if (slice_eq(key, SLICE("durable")))
        o->durable = is_true(value);
    return NULL;
}

static const char *parse_items(struct slice items, struct offer *o)
{
    const char *problem = NULL;
    while (problem == NULL && items.len > 0)
        problem = parse_item(until(&items, ','), o);
    return problem;
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return false;
    return true;
}

const char *offer_parse(struct slice line, struct offer *ret)
{
    char room[WORD_MAX];
    struct slice text, hash = line_word(&line), time = line_word(&line), items = line_word(&line);
    *ret = (struct offer){.durable = true};
    if (hash.len == 0 || time.len == 0)
        return "list index out of range";
    if (!is_ascii(hash) || !is_ascii(time) || !is_ascii(items))
        return "an offer is not ASCII";
    if (!decode(hash, room, &text) || 3 * text.len >= OFFER_HASH_MAX)
        return "the hash of an offer is too long";
    (void)path_quote(text, ret->word);
    keep_hash(text, ret);
    if (!decode(time, room, &text) || timestamp_parse(text, &ret->data) < 0)
        return bad_time;
    ret->meta = ret->ctype = ret->data;
    return decode(items, room, &text) ? parse_items(text, ret) : bad_item;
}

/* ---- what is wanted ---- */

/* The fragment on offer lies here, newer than all that is durable. */
static bool is_pending(const struct offer *o, const struct df_info *local, int index)
{
    if (index < 0 || timestamp_cmp(local->durable_timestamp, o->data) >= 0)
        return false;
    for (unsigned i = 0; i < local->fragment_count; i++)
        if (local->fragments[i].index == index &&
            timestamp_cmp(local->fragments[i].timestamp, o->data) == 0)
            return true;
    return false;
}

static bool wants_meta(const struct offer *o, const struct df_info *local)
{
    return timestamp_cmp(o->meta, local->timestamp) > 0 ||
           (timestamp_cmp(o->ctype, local->ctype_timestamp) > 0 &&
            timestamp_cmp(o->ctype, o->data) > 0);
}

unsigned offer_wants(const struct offer *o, const struct df_info *local, int index,
                     bool *ret_pending)
{
    *ret_pending = false;
    if (local == NULL)
        return WANT_DATA | WANT_META;
    bool live = local->state == DF_LIVE;
    bool pending = is_pending(o, local, index);
    *ret_pending = pending && o->durable;
    if (pending && !o->durable)
        return live && wants_meta(o, local) ? WANT_META : 0;
    if (local->state == DF_ABSENT)
        return WANT_DATA | WANT_META;
    struct timestamp data = live ? local->data_timestamp : local->timestamp;
    unsigned wants = timestamp_cmp(o->data, data) > 0 ? WANT_DATA : 0;
    return live && wants_meta(o, local) ? wants | WANT_META : wants;
}

const char *offer_flags(unsigned wants)
{
    static const char *const flags[] = {"", "d", "m", "dm"};
    return flags[wants & 3];
}
