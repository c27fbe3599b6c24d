/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h -- telling others how far this server is.
 *
 * To systemd (NOTIFY_SOCKET) and to Swift's swift-reload, which listens on an abstract socket named
 * after our process id. Nobody listening is no error. Any thread; does not block. */
#ifndef OBJSRV_NOTIFY_H
#define OBJSRV_NOTIFY_H

enum notify_state {
    NOTIFY_READY,     /* READY=1: started, or a reload is over */
    NOTIFY_RELOADING, /* RELOADING=1 */
    NOTIFY_STOPPING   /* STOPPING=1 */
};

/* 0, or -errno from the socket that NOTIFY_SOCKET names. */
int notify_send(enum notify_state state);

#endif
