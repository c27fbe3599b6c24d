/* SPDX-License-Identifier: Apache-2.0 */
/* client.c -- see client.h.
 *
 *   call:  WAITING for a link -> on a link -> done
 *   link:  RESOLVING -> CONNECTING -> BUSY <-> IDLE -> closing
 *
 * A peer is a host with its links and the calls that wait; it goes away with the last of them.
 * A link that fails is closed; whatever of libuv's callbacks still comes finds no call on it. */
#include "server/updates/client.h"
#include "server/updates/reply_parse.h"
#include <assert.h>
#include <stdlib.h>

#define READ_BYTES      4096
#define SWEEPS_PER_KEEP 2 /* how often unused connections are looked at in keep_ms */

struct peer {
    struct client *client;
    struct peer *next;
    struct slice host; /* the text; lies behind this struct */
    struct client_call *waiting, **waiting_end;
    struct link *links;
    unsigned link_count; /* those that are being closed are no longer counted, nor listed */
};

struct client_call {
    struct peer *peer; /* while it waits or is on a link */
    struct link *link; /* NULL: waits for one */
    struct client_call *next;
    const char *bytes;
    size_t len;
    bool waiting; /* in its peer's list */
    bool again;   /* L4: has failed on a kept link */
    enum client_error error;
    void (*done)(void *arg, enum client_error error, const struct client_reply *reply);
    void *arg;
    uv_timer_t timer;
};

enum link_state { LINK_OPENING, LINK_BUSY, LINK_IDLE };

struct link {
    struct peer *peer; /* NULL: being closed */
    struct client *client;
    struct link *next;
    struct client_call *call;
    enum link_state state;
    bool used;    /* has carried a request before this one */
    bool written; /* the request is out */
    bool answering;
    bool closed, resolving; /* freed when closed and not resolving */
    uint64_t idle_since_ms;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uv_getaddrinfo_t resolve;
    struct reply_parse parse;
    char input[READ_BYTES];
};

struct client {
    uv_loop_t *loop;
    struct client_limits limits;
    struct peer *peers;
    bool stopped;
    uv_timer_t sweep;
};

static void pump(struct peer *p);

const char *client_error_text(enum client_error error)
{
    static const char *const texts[] = {
        [CLIENT_OK] = "no error",
        [CLIENT_ADDRESS] = "not of the form address:port",
        [CLIENT_RESOLVE] = "no address for this name",
        [CLIENT_CONNECT] = "cannot connect",
        [CLIENT_CONN_TIMEOUT] = "conn_timeout passed",
        [CLIENT_NODE_TIMEOUT] = "node_timeout passed",
        [CLIENT_CLOSED] = "connection closed before the reply",
        [CLIENT_GARBAGE] = "the reply is not HTTP",
        [CLIENT_STOPPED] = "this server is stopping",
    };
    return texts[error];
}

/* ---- peers ---- */

static struct peer *find_peer(struct client *c, struct slice host)
{
    for (struct peer *p = c->peers; p; p = p->next)
        if (slice_eq(p->host, host))
            return p;
    struct peer *p = calloc(1, sizeof(*p) + host.len + 1);
    if (!p)
        return NULL;
    memcpy(p + 1, host.at, host.len);
    p->host = (struct slice){(char *)(p + 1), host.len};
    p->client = c;
    p->waiting_end = &p->waiting;
    p->next = c->peers;
    c->peers = p;
    return p;
}

static void drop_peer_if_unused(struct peer *p)
{
    if (p->waiting || p->links)
        return;
    struct peer **at = &p->client->peers;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    free(p);
}

static void enqueue(struct client_call *call, bool first)
{
    struct peer *p = call->peer;
    call->waiting = true;
    if (first) {
        call->next = p->waiting;
        p->waiting = call;
        if (!call->next)
            p->waiting_end = &call->next;
    } else {
        call->next = NULL;
        *p->waiting_end = call;
        p->waiting_end = &call->next;
    }
}

static void dequeue(struct client_call *call)
{
    struct client_call **at = &call->peer->waiting;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    if (!call->next)
        call->peer->waiting_end = at;
    call->waiting = false;
}

/* ---- the end of a call ---- */

static void on_call_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* `call` is on no link and on no list. */
static void end_call(struct client_call *call, enum client_error error,
                     const struct client_reply *reply)
{
    uv_close((uv_handle_t *)&call->timer, on_call_closed);
    call->done(call->arg, error, reply);
}

/* ---- links ---- */

static void free_link_if_done(struct link *l)
{
    if (l->closed && !l->resolving)
        free(l);
}

static void on_link_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    l->closed = true;
    free_link_if_done(l);
}

/* Takes the link out of its peer. The peer may be left unused: see drop_peer_if_unused(). */
static void close_link(struct link *l)
{
    struct link **at = &l->peer->links;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    l->peer->link_count--;
    l->peer = NULL;
    l->call = NULL;
    if (l->resolving)
        (void)uv_cancel((uv_req_t *)&l->resolve); /* too late: its callback will see to it */
    uv_close((uv_handle_t *)&l->tcp, on_link_closed);
}

static void on_timeout(uv_timer_t *timer);

/* What cannot even begin is told later, by the call's timer: L1. */
static void fail_soon(struct client_call *call, enum client_error error)
{
    call->error = error;
    (void)uv_timer_start(&call->timer, on_timeout, 0, 0);
}

/* The link is of no use any more; its call ends, or is tried again. To be done last. */
static void link_failed(struct link *l, enum client_error error)
{
    struct client_call *call = l->call;
    struct peer *p = l->peer;
    bool again = call && l->used && !l->answering && !call->again && error == CLIENT_CLOSED;
    close_link(l);
    if (again) {
        call->again = true;
        call->link = NULL;
        enqueue(call, true);
        (void)uv_timer_start(&call->timer, on_timeout, p->client->limits.conn_timeout_ms, 0);
    }
    pump(p);
    if (call && !again)
        end_call(call, error, NULL);
}

static void on_sweep(uv_timer_t *timer);

static void keep_link(struct link *l)
{
    struct client *c = l->client;
    uint64_t every_ms = c->limits.keep_ms / SWEEPS_PER_KEEP + 1;
    l->state = LINK_IDLE;
    l->idle_since_ms = uv_now(c->loop);
    if (!uv_is_active((uv_handle_t *)&c->sweep))
        (void)uv_timer_start(&c->sweep, on_sweep, every_ms, every_ms);
}

/* The reply is whole and the request is out. To be done last. */
static void link_answered(struct link *l)
{
    struct client_call *call = l->call;
    struct peer *p = l->peer;
    /* Its texts lie in the link, and stay whatever happens to it before the next reading. */
    struct client_reply reply = reply_parsed(&l->parse);
    l->call = NULL;
    if (l->parse.keep && l->client->limits.keep_ms > 0 && !l->client->stopped)
        keep_link(l);
    else
        close_link(l);
    pump(p);
    end_call(call, CLIENT_OK, &reply);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct link *l = handle->data;
    *buf = uv_buf_init(l->input, sizeof(l->input));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct link *l = stream->data;
    if (n == 0 || !l->peer)
        return;
    if (!l->call) { /* an unused connection ends, or says what nobody asked */
        link_failed(l, CLIENT_CLOSED);
        return;
    }
    if (n < 0 && !(n == UV_EOF && reply_parse_eof(&l->parse))) {
        link_failed(l, CLIENT_CLOSED);
        return;
    }
    l->answering = true;
    if (n > 0 && reply_parse_bytes(&l->parse, buf->base, (size_t)n) < 0)
        link_failed(l, CLIENT_GARBAGE);
    else if (l->parse.whole && l->written)
        link_answered(l);
}

static void on_written(uv_write_t *write, int status)
{
    struct link *l = write->data;
    if (!l->call || status == UV_ECANCELED)
        return;
    if (status < 0) {
        link_failed(l, CLIENT_CLOSED);
        return;
    }
    l->written = true;
    if (l->parse.whole)
        link_answered(l);
    else
        (void)uv_timer_start(&l->call->timer, on_timeout, l->client->limits.node_timeout_ms, 0);
}

static void send_request(struct link *l)
{
    l->state = LINK_BUSY;
    l->written = l->answering = false;
    reply_parse_begin(&l->parse);
    uv_buf_t buf = uv_buf_init((char *)l->call->bytes, (unsigned)l->call->len);
    l->write.data = l;
    if (uv_write(&l->write, (uv_stream_t *)&l->tcp, &buf, 1, on_written) < 0)
        fail_soon(l->call, CLIENT_CLOSED);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct link *l = connect->data;
    if (!l->peer)
        return;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    if (status < 0) {
        link_failed(l, CLIENT_CONNECT);
        return;
    }
    (void)uv_tcp_nodelay(&l->tcp, 1); /* a hint */
    send_request(l);
}

static int connect_to(struct link *l, const struct sockaddr *address)
{
    l->connect.data = l;
    return uv_tcp_connect(&l->connect, &l->tcp, address, on_connected);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct link *l = resolve->data;
    l->resolving = false;
    if (l->peer && status < 0)
        link_failed(l, CLIENT_RESOLVE);
    else if (l->peer && connect_to(l, found->ai_addr) < 0)
        link_failed(l, CLIENT_CONNECT);
    uv_freeaddrinfo(found);
    free_link_if_done(l);
}

/* "address:port" into its two texts, without brackets. */
static bool split_host(struct slice host, char node[256], char port[8])
{
    size_t colon = host.len;
    while (colon > 0 && host.at[colon - 1] != ':')
        colon--;
    struct slice name = {host.at, colon ? colon - 1 : 0};
    struct slice digits = {host.at + colon, host.len - colon};
    if (name.len >= 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
        name = (struct slice){name.at + 1, name.len - 2};
    if (name.len == 0 || name.len > 255 || digits.len == 0 || digits.len > 5)
        return false;
    memcpy(node, name.at, name.len);
    node[name.len] = '\0';
    memcpy(port, digits.at, digits.len);
    port[digits.len] = '\0';
    return strspn(port, "0123456789") == digits.len && atoi(port) <= 65535 &&
           strlen(node) == name.len;
}

/* 0, or why not. The link's callbacks come later. */
static enum client_error open_link(struct link *l)
{
    char node[256], port[8];
    struct sockaddr_storage address;
    if (!split_host(l->peer->host, node, port))
        return CLIENT_ADDRESS;
    if (uv_ip4_addr(node, atoi(port), (struct sockaddr_in *)&address) == 0 ||
        uv_ip6_addr(node, atoi(port), (struct sockaddr_in6 *)&address) == 0)
        return connect_to(l, (struct sockaddr *)&address) < 0 ? CLIENT_CONNECT : CLIENT_OK;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    l->resolve.data = l;
    int res = uv_getaddrinfo(l->client->loop, &l->resolve, on_resolved, node, port, &hints);
    l->resolving = res == 0;
    return res < 0 ? CLIENT_RESOLVE : CLIENT_OK;
}

static struct link *new_link(struct peer *p)
{
    struct link *l = malloc(sizeof(*l));
    if (!l)
        return NULL;
    memset(l, 0, offsetof(struct link, parse)); /* what follows is written before it is read */
    l->client = p->client;
    if (uv_tcp_init(p->client->loop, &l->tcp) < 0) {
        free(l);
        return NULL;
    }
    l->tcp.data = l;
    l->peer = p;
    l->next = p->links;
    p->links = l;
    p->link_count++;
    return l;
}

/* ---- calls find links ---- */

static struct link *idle_link(const struct peer *p)
{
    for (struct link *l = p->links; l; l = l->next)
        if (l->state == LINK_IDLE)
            return l;
    return NULL;
}

static struct client_call *next_call(struct peer *p, struct link *l)
{
    struct client_call *call = p->waiting;
    dequeue(call);
    call->link = l;
    if (l)
        l->call = call;
    return call;
}

/* On a new link. */
static void open_for_next(struct peer *p)
{
    struct link *l = new_link(p);
    struct client_call *call = next_call(p, l);
    enum client_error error = l ? open_link(l) : CLIENT_CONNECT;
    if (error == CLIENT_OK)
        return;
    if (l)
        close_link(l);
    call->link = NULL;
    fail_soon(call, error);
}

/* May free the peer. */
static void pump(struct peer *p)
{
    while (p->waiting && !p->client->stopped) {
        struct link *idle = idle_link(p);
        bool full = p->link_count >= p->client->limits.per_host;
        if (idle && !p->waiting->again) {
            idle->used = true;
            next_call(p, idle);
            send_request(idle);
            continue;
        }
        if (full && !idle)
            break;
        if (full)
            close_link(idle); /* room for a new one: L4 */
        open_for_next(p);
    }
    drop_peer_if_unused(p);
}

static void on_timeout(uv_timer_t *timer)
{
    struct client_call *call = timer->data;
    struct link *l = call->link;
    enum client_error error = call->error       ? call->error
                              : l && l->written ? CLIENT_NODE_TIMEOUT
                                                : CLIENT_CONN_TIMEOUT;
    call->error = CLIENT_OK; /* if it is tried again */
    if (l) {
        link_failed(l, error);
        return;
    }
    if (call->waiting) {
        struct peer *p = call->peer;
        dequeue(call);
        drop_peer_if_unused(p);
    }
    end_call(call, error, NULL);
}

bool client_send(struct client *c, struct slice host, const char *bytes, size_t len,
                 void (*done)(void *arg, enum client_error error, const struct client_reply *reply),
                 void *arg)
{
    struct peer *p = find_peer(c, host);
    struct client_call *call = p ? malloc(sizeof(*call)) : NULL;
    if (!call) {
        if (p)
            drop_peer_if_unused(p);
        return false;
    }
    *call = (struct client_call){.peer = p, .bytes = bytes, .len = len, .done = done, .arg = arg};
    (void)uv_timer_init(c->loop, &call->timer); /* cannot fail, like the start below */
    call->timer.data = call;
    if (c->stopped) {
        drop_peer_if_unused(p);
        fail_soon(call, CLIENT_STOPPED);
        return true;
    }
    (void)uv_timer_start(&call->timer, on_timeout, c->limits.conn_timeout_ms, 0);
    enqueue(call, false);
    pump(p);
    return true;
}

/* ---- the client ---- */

static void on_sweep(uv_timer_t *timer)
{
    struct client *c = timer->data;
    uint64_t now_ms = uv_now(c->loop);
    for (struct peer *p = c->peers, *next_peer; p; p = next_peer) {
        next_peer = p->next;
        for (struct link *l = p->links, *next; l; l = next) {
            next = l->next;
            if (l->state == LINK_IDLE && now_ms - l->idle_since_ms >= c->limits.keep_ms)
                close_link(l);
        }
        drop_peer_if_unused(p);
    }
    if (!c->peers)
        (void)uv_timer_stop(timer);
}

struct client *client_new(uv_loop_t *loop, const struct client_limits *limits)
{
    struct client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->loop = loop;
    c->limits = *limits;
    (void)uv_timer_init(loop, &c->sweep);
    c->sweep.data = c;
    return c;
}

/* Some call that is in flight, or NULL. Those that fail_soon() are on their way already. */
static struct client_call *some_call(const struct client *c)
{
    for (struct peer *p = c->peers; p; p = p->next) {
        if (p->waiting)
            return p->waiting;
        for (struct link *l = p->links; l; l = l->next)
            if (l->call)
                return l->call;
    }
    return NULL;
}

void client_stop(struct client *c)
{
    c->stopped = true;
    for (struct client_call *call; (call = some_call(c));) {
        call->error = CLIENT_STOPPED;
        on_timeout(&call->timer);
    }
}

void client_close(struct client *c)
{
    c->stopped = true;
    for (struct peer *later, *p = c->peers; p; p = later) {
        later = p->next;
        assert(!p->waiting);
        for (struct link *next, *link = p->links; link; link = next) {
            next = link->next;
            assert(!link->call);
            close_link(link);
        }
        drop_peer_if_unused(p);
    }
    uv_close((uv_handle_t *)&c->sweep, NULL);
}

void client_free(struct client *c)
{
    free(c);
}
