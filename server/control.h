/* SPDX-License-Identifier: Apache-2.0 */
/* control.h -- messages between a server and the successor that it started at a reload.
 *
 * One SOCK_SEQPACKET pair per successor: messages stay whole, and the end of the process at the
 * other side is seen as an end of file. Descriptors travel with a message.
 *
 *   parent                     successor
 *     (starts it)  ------------>
 *                  <-- READY | FAILED text
 *     FINISH ------------------>            another one serves: drain and end
 *     ESTATE? ----------------->            a reload is due: what do you hold?
 *                  <-- ITEM* ESTATE!        one message for each descriptor, then the end
 *     GO_ON ------------------->            that reload failed: change your listeners again
 *
 * Main thread; blocking, but a message never waits long: there are few and they are small. */
#ifndef OBJSRV_CONTROL_H
#define OBJSRV_CONTROL_H

#include "server/node/inherit.h"
#include <stddef.h>

enum control_word {
    CONTROL_READY = 'R',
    CONTROL_FAILED = 'F',
    CONTROL_FINISH = 'S',
    CONTROL_ESTATE = 'E',
    CONTROL_ITEM = 'I',
    CONTROL_GO_ON = 'C'
};

struct control_message {
    enum control_word word;
    char text[1024];        /* CONTROL_FAILED */
    int fd;                 /* CONTROL_ITEM: received, yours; else -1 */
    enum inherit_kind kind; /* of fd */
};

/* Both ends are closed by exec. */
int control_pair(int ret_ends[2]);

/* `text` may be NULL, `fd` -1; a descriptor is lent. 0 or -errno. */
int control_send(int control, enum control_word word, const char *text, int fd,
                 enum inherit_kind kind);

/* 1: a message; 0: the other side has ended; -errno, -EAGAIN if there is none yet. */
int control_receive(int control, struct control_message *ret);

#endif
