/* SPDX-License-Identifier: Apache-2.0 */
/* priority.c -- see priority.h. glibc has no ioprio_set(). */
#include "server/node/priority.h"
#include "server/node/log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WHO_PROCESS = 1, CLASS_SHIFT = 13 };

int priority_io_class(const char *word)
{
    static const char *const words[] = {"IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"};
    for (int i = 0; i < 3; i++)
        if (strcmp(words[i], word) == 0)
            return i + 1;
    return 0;
}

static void set_nice(const char *text)
{
    if (setpriority(PRIO_PROCESS, 0, atoi(text)) < 0)
        log_line(LOG_LEVEL_WARNING, "nice_priority = %s: %s: the priority stays as it is", text,
                 strerror(errno));
}

static void set_io(const char *word, int64_t level)
{
    int value = priority_io_class(word) << CLASS_SHIFT | (int)level;
    if (syscall(SYS_ioprio_set, WHO_PROCESS, 0, value) < 0)
        log_line(LOG_LEVEL_WARNING, "ionice_class = %s: %s: the priority stays as it is", word,
                 strerror(errno));
}

void priority_apply(const struct config *c)
{
    if (c->nice_priority[0] != '\0')
        set_nice(c->nice_priority);
    if (c->ionice_class[0] != '\0')
        set_io(c->ionice_class, c->ionice_priority);
}
