/* SPDX-License-Identifier: Apache-2.0 */
/* process.c -- limits, user, session and stdio of the server process. */
#include "server/node/process.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

int process_become_owner(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    if (setgroups(0, NULL) < 0 || setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0)
        return -errno;
    return prctl(PR_SET_DUMPABLE, 1) < 0 ? -errno : 0; /* as above */
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

int process_write_pid(const char *path)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, (size_t)len);
    int res = written == len ? 0 : written < 0 ? -errno : -EIO;
    if (close(fd) < 0 && res == 0)
        res = -errno;
    return res;
}

int process_own_path(const char *name, char **ret_path)
{
    *ret_path = NULL;
    if (strchr(name, '/') != NULL) {
        char *cwd = name[0] == '/' ? NULL : getcwd(NULL, 0);
        if (asprintf(ret_path, "%s%s%s", cwd != NULL ? cwd : "", cwd != NULL ? "/" : "", name) < 0)
            *ret_path = NULL;
        free(cwd);
        return *ret_path != NULL ? 0 : -ENOMEM;
    }
    const char *at = getenv("PATH");
    for (at = at != NULL ? at : ""; *ret_path == NULL && *at != '\0'; at += *at == ':') {
        size_t len = strcspn(at, ":");
        if (at[0] == '/' && asprintf(ret_path, "%.*s/%s", (int)len, at, name) < 0)
            return -ENOMEM;
        if (*ret_path != NULL && access(*ret_path, X_OK) < 0) {
            free(*ret_path);
            *ret_path = NULL;
        }
        at += len;
    }
    return *ret_path != NULL ? 0 : -ENOENT;
}
