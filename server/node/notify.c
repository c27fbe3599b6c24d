/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c -- see notify.h. */
#include "server/node/notify.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char *const words[] = {
    [NOTIFY_READY] = "READY=1",
    [NOTIFY_RELOADING] = "RELOADING=1",
    [NOTIFY_STOPPING] = "STOPPING=1",
};

static int send_to(const struct sockaddr_un *to, size_t name_len, const char *text)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len);
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)to, len);
    int res = sent < 0 ? -errno : 0;
    close(fd);
    return res;
}

/* "\0swift-notifications\0" and the process id. */
static void tell_swift_reload(const char *text)
{
    static const char prefix[] = "\0swift-notifications"; /* with the NUL at its end */
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, prefix, sizeof(prefix));
    int digits = snprintf(to.sun_path + sizeof(prefix), 16, "%d", (int)getpid());
    (void)send_to(&to, sizeof(prefix) + (size_t)digits, text); /* mostly nobody is there */
}

/* systemd wants to know since when: a READY=1 from before does not count. */
static int tell_systemd(enum notify_state state, const char *text)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char with_time[64];
    if (name == NULL || name[0] == '\0')
        return 0;
    size_t len = strlen(name);
    if (len >= sizeof(to.sun_path))
        return -ENAMETOOLONG;
    memcpy(to.sun_path, name, len);
    if (name[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract name space */
    if (state == NOTIFY_RELOADING) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(with_time, sizeof(with_time), "%s\nMONOTONIC_USEC=%lld", text,
                 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
        text = with_time;
    }
    return send_to(&to, len, text);
}

int notify_send(enum notify_state state)
{
    tell_swift_reload(words[state]);
    return tell_systemd(state, words[state]);
}
