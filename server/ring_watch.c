/* SPDX-License-Identifier: Apache-2.0 */
/* ring_watch.c -- see ring_watch.h. */
#include "server/ring_watch.h"
#include "server/node/log.h"

static void open_ring_port(struct server *s, unsigned port)
{
    struct inheritance none = {0};
    int res = listen_add(&s->listeners, s->config, port, 0, &none, s->problem, sizeof(s->problem));
    if (res < 0) {
        log_line(LOG_LEVEL_ERROR, "%s", s->problem);
        return;
    }
    log_line(LOG_LEVEL_NOTICE, "listening on port %u: a ring names it now", port);
    for (unsigned i = 0; i < s->loop_count; i++) {
        unsigned next = 0;
        for (int fd; (fd = listen_share(&s->listeners.ports[s->listeners.count - 1], i,
                                        s->loop_count, &next)) >= 0;)
            loop_listen(s->loops[i], fd);
    }
}

static void close_ring_port(struct server *s, unsigned port)
{
    log_line(LOG_LEVEL_NOTICE, "no longer listening on port %u: no ring names it", port);
    listen_drop(&s->listeners, port);
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_unlisten(s->loops[i], port);
}

static bool is_among(unsigned port, const unsigned *ports, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (ports[i] == port)
            return true;
    return false;
}

void ring_watch_check(struct server *s)
{
    unsigned count;
    if (ring_ports_update(s->rings, s->problem, sizeof(s->problem)) < 0)
        log_line(LOG_LEVEL_ERROR, "%s; its ports stay as they are", s->problem);
    const unsigned *ports = ring_ports(s->rings, &count);
    for (unsigned i = 0; i < count; i++)
        if (!listen_has(&s->listeners, ports[i]))
            open_ring_port(s, ports[i]);
    for (unsigned i = s->listeners.count; i-- > 0;) {
        const struct listen_port *p = &s->listeners.ports[i];
        if (p->kind == INHERIT_LISTEN && !is_among(p->port, ports, count))
            close_ring_port(s, p->port);
    }
}
