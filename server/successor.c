/* SPDX-License-Identifier: Apache-2.0 */
/* successor.c -- see successor.h.
 *
 * Between fork() and execve() only calls that are safe there: threads held locks when we forked.
 * All memory is made before. */
#include "server/successor.h"
#include "server/node/process.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SWIFT_NAME "swift-object-server"

enum { EXIT_NO_EXEC = 127 };

extern char **environ;

int program_note(char **argv, struct program *ret)
{
    *ret = (struct program){.argv = argv, .directory = getcwd(NULL, 0)};
    if (ret->directory == NULL)
        return -errno;
    return process_own_path(argv[0], &ret->path);
}

void program_release(struct program *p)
{
    free(p->path);
    free(p->directory);
    *p = (struct program){0};
}

void program_spell_out(const struct program *p)
{
    if (p->path == NULL || strcmp(p->argv[0], SWIFT_NAME) != 0)
        return;
    p->argv[0] = p->path;
    (void)execv(p->path, p->argv); /* not possible: then we serve without it */
}

bool program_is_swifts(const struct program *p)
{
    const char *slash = strrchr(p->argv[0], '/');
    return strcmp(slash != NULL ? slash + 1 : p->argv[0], SWIFT_NAME) == 0;
}

/* ---- the environment ---- */

static bool is_ours(const char *variable)
{
    static const char *const prefixes[] = {
        "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "NOTIFY_SOCKET=", "WATCHDOG_"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

struct launch {
    const struct program *program;
    const struct inheritance *estate;
    char **environment;
    char *names;    /* "LISTEN_FDNAMES=..." */
    char count[32]; /* "LISTEN_FDS=..." */
    char pid[32];   /* "LISTEN_PID=", completed in the child */
    int *copies;    /* the estate's descriptors, out of the way of their new numbers */
    unsigned copy_count;
};

static int make_names(struct launch *l)
{
    size_t len;
    FILE *out = open_memstream(&l->names, &len);
    if (out == NULL)
        return -ENOMEM;
    fputs("LISTEN_FDNAMES=", out);
    for (unsigned i = 0; i < l->estate->count; i++)
        fprintf(out, "%s%s", i > 0 ? ":" : "", inherit_name(l->estate->items[i].kind));
    return fclose(out) == 0 ? 0 : -ENOMEM;
}

/* The child reports to nobody but us. */
static int make_environment(struct launch *l)
{
    unsigned count = 0, used = 0;
    while (environ[count] != NULL)
        count++;
    l->environment = calloc(count + 4, sizeof(*l->environment));
    if (l->environment == NULL || make_names(l) < 0)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++)
        if (!is_ours(environ[i]))
            l->environment[used++] = environ[i];
    snprintf(l->count, sizeof(l->count), "LISTEN_FDS=%u", l->estate->count);
    snprintf(l->pid, sizeof(l->pid), "LISTEN_PID=");
    l->environment[used++] = l->count;
    l->environment[used++] = l->pid;
    l->environment[used] = l->names;
    return 0;
}

/* dup2() to 3, 4, ... must not hit one that is still to be copied. */
static int copy_estate(struct launch *l)
{
    unsigned count = l->estate->count;
    l->copies = calloc(count + 1, sizeof(*l->copies));
    if (l->copies == NULL)
        return -ENOMEM;
    for (; l->copy_count < count; l->copy_count++) {
        int fd = fcntl(l->estate->items[l->copy_count].fd, F_DUPFD_CLOEXEC,
                       INHERIT_FIRST_FD + (int)count);
        if (fd < 0)
            return -errno;
        l->copies[l->copy_count] = fd;
    }
    return 0;
}

/* ---- in the child ---- */

static void append_number(char *text, unsigned long n)
{
    char digits[24];
    size_t len = strlen(text), count = 0;
    do
        digits[count++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (count > 0)
        text[len++] = digits[--count];
    text[len] = '\0';
}

static _Noreturn void become(struct launch *l, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_NO_EXEC);
    for (unsigned i = 0; i < l->copy_count; i++)
        if (dup2(l->copies[i], INHERIT_FIRST_FD + (int)i) < 0)
            _exit(EXIT_NO_EXEC);
    append_number(l->pid, (unsigned long)getpid());
    (void)chdir(l->program->directory); /* relative paths then fail with a message */
    (void)execve(l->program->path, l->program->argv, l->environment);
    _exit(EXIT_NO_EXEC);
}

static void release(struct launch *l)
{
    for (unsigned i = 0; i < l->copy_count; i++)
        close(l->copies[i]);
    free(l->copies);
    free(l->names);
    free(l->environment);
}

int successor_start(const struct program *p, const struct inheritance *estate, pid_t *ret_pid)
{
    struct launch l = {.program = p, .estate = estate};
    int res = p->path != NULL ? make_environment(&l) : -ENOENT;
    if (res == 0)
        res = copy_estate(&l);
    if (res == 0) {
        pid_t parent = getpid(), pid = fork();
        if (pid == 0)
            become(&l, parent);
        res = pid < 0 ? -errno : 0;
        *ret_pid = pid;
    }
    release(&l);
    return res;
}
