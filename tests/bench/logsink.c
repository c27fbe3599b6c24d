/* SPDX-License-Identifier: Apache-2.0 */
/* logsink.c -- `logsink SOCKET`: a syslog that reads every line and keeps none.
 *
 * All servers of a benchmark write their access log to it, so that logging costs each of them
 * what it costs in service and no disk is shared. Ends by a signal; prints "ready" when bound. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof name.sun_path) {
        fprintf(stderr, "usage: logsink SOCKET\n");
        return 2;
    }
    strcpy(name.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || (unlink(argv[1]) < 0 && errno != ENOENT) ||
        bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || chmod(argv[1], 0666) < 0) {
        perror(argv[1]);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    char line[8192];
    while (recv(fd, line, sizeof line, 0) >= 0 || errno == EINTR)
        ;
    perror("logsink");
    return 1;
}
