/* SPDX-License-Identifier: Apache-2.0 */
/* missing.c -- the missing check: offers are looked up many at once, for each look takes the way to
 * the disk's thread and back, and a sender puts each offer into a chunk of its own. What is wanted
 * is told when all have come; until then the sender does not read. */
#include "server/node/config.h"
#include "server/node/log.h"
#include "server/ssync/session.h"
#include <errno.h>
#include <stdlib.h>

enum { SAY_AT_ONCE = 65536 };

/* ---- looking ---- */

static bool see(void *arg, unsigned i, const struct df_info *info, int res,
                struct timestamp *ret_ts)
{
    struct session *s = arg;
    struct missing *m = &s->missing;
    unsigned which = m->which[i];
    const struct offer *o = &m->offers[which];
    bool pending;
    m->wants[which] = offer_wants(o, info, s->index, &pending);
    *ret_ts = o->data;
    if (pending && res < 0)
        log_line(LOG_LEVEL_ERROR, "%.*s/%.*s ssync: could not make fragment %d of %s durable: %s",
                 (int)s->partition.device.len, s->partition.device.at,
                 (int)s->partition.partition.len, s->partition.partition.at, s->index, o->hash,
                 strerror(-res));
    return pending;
}

static bool has_room(struct missing *m, size_t len, size_t limit)
{
    size_t room = m->wanted_room > 0 ? m->wanted_room : 4096;
    if (m->wanted_len + len > limit)
        return false;
    while (room < m->wanted_len + len)
        room *= 2;
    if (room == m->wanted_room)
        return true;
    char *bigger = realloc(m->wanted, room);
    if (bigger == NULL)
        return false;
    m->wanted = bigger;
    m->wanted_room = room;
    return true;
}

/* A list cut short would tell the sender that the rest is here, and it might remove it there. */
static bool note_wanted(struct session *s, const struct offer *o, unsigned wants)
{
    struct missing *m = &s->missing;
    char line[OFFER_HASH_MAX + 8];
    if (wants == 0)
        return true;
    int len = snprintf(line, sizeof(line), "%s%s %s", m->wanted_len > 0 ? "\r\n" : "", o->word,
                       offer_flags(wants));
    if (!has_room(m, (size_t)len, (size_t)s->request->loop->config->ssync_wanted_size)) {
        session_fail(s, 0, "Too much is wanted: more than ssync_wanted_size");
        return false;
    }
    memcpy(m->wanted + m->wanted_len, line, (size_t)len);
    m->wanted_len += (size_t)len;
    return true;
}

static void note_all(struct session *s)
{
    struct missing *m = &s->missing;
    for (unsigned i = 0; i < m->count; i++)
        if (!note_wanted(s, &m->offers[i], m->wants[i]))
            return;
    m->count = m->looked = 0;
    s->step = STEP_OFFERS;
}

static void on_seen(void *arg, int res)
{
    struct session *s = arg;
    s->looking = false;
    if (s->step == STEP_LOOKING && res < 0)
        session_fail(s, 0, "%s", strerror(-res));
    else if (s->step == STEP_LOOKING)
        note_all(s);
    session_run(s);
}

static void look(struct session *s)
{
    struct missing *m = &s->missing;
    for (unsigned i = 0; i < m->count; i++) {
        m->wants[i] = WANT_DATA | WANT_META;
        if (m->offers[i].hash[0] == '\0')
            continue; /* there is no such directory, and nobody looks */
        m->which[m->looked] = i;
        memcpy(m->hashes[m->looked++], m->offers[i].hash, sizeof(m->hashes[0]));
    }
    const struct df_visit visit = {.hashes = (const char(*)[HASH_HEX_LEN + 1]) m->hashes,
                                   .count = m->looked,
                                   .wish = s->index >= 0 ? &s->wish : NULL,
                                   .see = see};
    s->step = STEP_LOOKING;
    s->looking = df_visit(s->request->loop->disk, &s->partition, &visit, on_seen, s);
    if (!s->looking)
        session_fail(s, 0, "%s", strerror(ENOMEM));
}

/* ---- steps ---- */

static bool take_offer(struct session *s, struct slice line)
{
    struct missing *m = &s->missing;
    if (slice_eq(line_strip(line), SLICE(":MISSING_CHECK: END"))) {
        m->ended = true;
        return true;
    }
    const char *problem = offer_parse(line, &m->offers[m->count]);
    if (problem != NULL)
        session_fail(s, 0, "%s", problem);
    else
        m->count++;
    return problem == NULL;
}

bool missing_offers(struct session *s)
{
    struct missing *m = &s->missing;
    struct slice line;
    enum input input = INPUT_LINE;
    while (!m->ended && m->count < OFFERS_AT_ONCE && input == INPUT_LINE) {
        input = session_line(s, &line);
        if (input == INPUT_BAD || (input == INPUT_LINE && !take_offer(s, line)))
            return true; /* OVER */
        m->ended |= input == INPUT_END;
    }
    bool enough = m->count == OFFERS_AT_ONCE || (m->ended && m->count > 0);
    if (enough)
        look(s);
    else if (m->ended)
        s->step = STEP_WANTED;
    return enough || m->ended;
}

bool missing_wanted(struct session *s)
{
    struct missing *m = &s->missing;
    if (!s->writable)
        return false;
    if (m->piece == 0) {
        session_say_text(s, ":MISSING_CHECK: START\r\n");
    } else if (m->said < m->wanted_len) {
        size_t left = m->wanted_len - m->said, len = left < SAY_AT_ONCE ? left : SAY_AT_ONCE;
        m->said += len;
        session_say(s, m->wanted + m->said - len, len);
        return true;
    } else if (m->piece == 1) {
        session_say_text(s, "\r\n");
    } else {
        session_say_text(s, ":MISSING_CHECK: END\r\n");
        missing_release(s);
        s->step = STEP_UPDATES_START;
    }
    m->piece++;
    return true;
}

void missing_release(struct session *s)
{
    free(s->missing.wanted);
    s->missing.wanted = NULL;
    s->missing.wanted_len = s->missing.said = 0;
}
