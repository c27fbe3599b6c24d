/* SPDX-License-Identifier: Apache-2.0 */
/* client.h -- a small HTTP/1.1 client on a loop: requests without a body, replies whose body
 * does not matter. Connections are kept open and used again.
 *
 *   client_new -> client_send* ... done() each -> client_close -> (uv_run returns) -> client_free
 *
 * L1  done() comes exactly once per client_send(), later, never from inside it.
 * L2  Connecting and sending have conn_timeout together, waiting for a free connection
 *     included; the reply, to its last byte, has node_timeout from then on.
 * L3  At most per_host connections to one host. A host that hangs so ties up these and nothing
 *     else: who waits for one of them runs into conn_timeout.
 * L4  A kept connection that fails before the reply's first byte is no answer: the request is
 *     sent once more, on a new one. (Container updates may be repeated.)
 *
 * Threads: the loop's. Not here: what is sent, and what a status means. */
#ifndef OBJSRV_CLIENT_H
#define OBJSRV_CLIENT_H

#include "diskfile/slice.h"
#include <stdint.h>
#include <uv.h>

struct client_limits {
    uint64_t conn_timeout_ms, node_timeout_ms;
    uint64_t keep_ms; /* how long an unused connection stays; 0: none does */
    unsigned per_host;
};

/* Borrowed for the call of done(). The texts are empty if the header is absent. */
struct client_reply {
    int status;
    struct slice location;           /* Location */
    struct slice redirect_timestamp; /* X-Backend-Redirect-Timestamp */
    struct slice location_is_quoted; /* X-Backend-Location-Is-Quoted */
};

enum client_error {
    CLIENT_OK,
    CLIENT_ADDRESS,      /* no address:port */
    CLIENT_RESOLVE,      /* the name has no address */
    CLIENT_CONNECT,      /* refused, unreachable, no descriptor */
    CLIENT_CONN_TIMEOUT, /* L2 */
    CLIENT_NODE_TIMEOUT,
    CLIENT_CLOSED,  /* before the reply was whole */
    CLIENT_GARBAGE, /* no HTTP */
    CLIENT_STOPPED  /* client_stop() */
};
const char *client_error_text(enum client_error error);

struct client;

struct client *client_new(uv_loop_t *loop, const struct client_limits *limits); /* NULL: memory */

/* `host`: address:port, parted at the last colon; a bare or bracketed IPv6 address, or a name.
 * `bytes`: the whole request, lent until done(). false: no memory, done() never comes. */
bool client_send(struct client *c, struct slice host, const char *bytes, size_t len,
                 void (*done)(void *arg, enum client_error error, const struct client_reply *reply),
                 void *arg);

/* Every request in flight ends now, with CLIENT_STOPPED; so does every later one. */
void client_stop(struct client *c);
/* Nothing may be in flight. Closes what is open; free it after uv_run() has returned. */
void client_close(struct client *c);
void client_free(struct client *c);

#endif
