/* SPDX-License-Identifier: Apache-2.0 */
/* control.c -- see control.h. A message: the word, the kind of the descriptor, the text. */
#include "server/control.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 2 };

union ancillary {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int))];
};

int control_pair(int ret_ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0 ? -errno : 0;
}

static void attach(struct msghdr *m, union ancillary *with, int fd)
{
    m->msg_control = with->room;
    m->msg_controllen = sizeof(with->room);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

int control_send(int control, enum control_word word, const char *text, int fd,
                 enum inherit_kind kind)
{
    char head[HEAD] = {(char)word, (char)kind};
    struct iovec parts[2] = {{head, HEAD}, {(void *)text, text != NULL ? strlen(text) : 0}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    union ancillary with = {0};
    if (fd >= 0)
        attach(&m, &with, fd);
    ssize_t sent;
    do
        sent = sendmsg(control, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static int attached(struct msghdr *m)
{
    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    return fd;
}

int control_receive(int control, struct control_message *ret)
{
    char head[HEAD] = {0};
    struct iovec parts[2] = {{head, HEAD}, {ret->text, sizeof(ret->text) - 1}};
    union ancillary with = {0};
    struct msghdr m = {.msg_iov = parts,
                       .msg_iovlen = 2,
                       .msg_control = with.room,
                       .msg_controllen = sizeof(with.room)};
    ssize_t got = recvmsg(control, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == ECONNRESET || errno == EPIPE))
        return 0;
    if (got <= 0)
        return got < 0 ? -errno : 0;
    ret->text[got > HEAD ? got - HEAD : 0] = '\0';
    ret->word = (enum control_word)head[0];
    ret->kind = (enum inherit_kind)head[1];
    ret->fd = attached(&m);
    return 1;
}
