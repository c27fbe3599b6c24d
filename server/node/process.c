/* SPDX-License-Identifier: Apache-2.0 */
/* process.c -- limits, user, session and stdio of the server process. */
#include "server/node/process.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int process_raise_nofile(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int process_detach(bool own_session)
{
    if (own_session)
        (void)setsid(); /* refused to the leader of a group: it has what it needs */
    umask(022);
    return chdir("/") < 0 ? -errno : 0;
}

int process_become(const char *user)
{
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL)
        return errno != 0 ? -errno : -ENOENT;
    if (initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
        return -errno;
    if (setenv("HOME", pw->pw_dir, 1) < 0)
        return -errno;
    /* Else no core dump, and /proc/self belongs to root. */
    return prctl(PR_SET_DUMPABLE, 1) < 0 ? -errno : 0;
}

int process_notify(const char *state)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (name == NULL || name[0] == '\0')
        return 0;
    size_t len = strlen(name);
    if (len >= sizeof(to.sun_path))
        return -ENAMETOOLONG;
    memcpy(to.sun_path, name, len);
    if (name[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract name space */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, to_len);
    int res = sent < 0 ? -errno : 0;
    close(fd);
    return res;
}

int process_close_stdio(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int res = 0;
    for (int std = 0; std <= 2; std++)
        if (dup2(fd, std) < 0)
            res = -errno;
    if (fd > 2)
        close(fd);
    return res;
}
