/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/node/log_catcher.h"
#include "server/node/log.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(99);
    }
}

void catcher_bind(struct catcher *c)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, c->path);
    c->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(c->fd >= 0, "socket");
    must(bind(c->fd, (struct sockaddr *)&un, sizeof(un)) == 0, c->path);
}

void catcher_unbind(struct catcher *c)
{
    close(c->fd);
    unlink(c->path);
}

void catcher_open(struct catcher *c)
{
    snprintf(c->path, sizeof(c->path), "/tmp/test_log.%d", (int)getpid());
    c->config = (struct config){.log_name = (char *)"object-server",
                                .log_facility = (char *)"LOG_LOCAL0",
                                .log_level = (char *)"INFO",
                                .log_udp_host = (char *)"",
                                .log_udp_port = 514,
                                .log_address = c->path,
                                .log_format = (char *)"",
                                .log_anonymization_method = (char *)"md5",
                                .log_anonymization_salt = (char *)"",
                                .log_requests = true};
    unlink(c->path);
    catcher_bind(c);
}

void catcher_close(struct catcher *c)
{
    log_close();
    catcher_unbind(c);
}

void log_open_beside(const struct catcher *c)
{
    int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    must(kept >= 0 && null >= 0 && dup2(null, STDERR_FILENO) >= 0, "stderr");
    must(log_open(&c->config) == 0, "log_open");
    must(dup2(kept, STDERR_FILENO) >= 0, "stderr");
    close(kept);
    close(null);
}

const char *catcher_next(struct catcher *c)
{
    static char text[65536];
    ssize_t len = recv(c->fd, text, sizeof(text) - 1, 0);
    if (len < 0)
        return NULL;
    text[len] = '\0';
    return text;
}
