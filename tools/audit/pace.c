/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c -- see pace.h. */
#include "tools/audit/pace.h"
#include "tools/audit/halt.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SMOOTHING 8 /* one read counts an eighth */

void pace_init(struct pace *p, double limit_s)
{
    p->limit_s = limit_s;
    atomic_init(&p->smooth_ns, 0);
    atomic_init(&p->rested_us, 0);
}

double pace_note(struct pace *p, double latency_s)
{
    /* Workers may overwrite each other's average: it stays an average. */
    double smooth_s = (double)atomic_load_explicit(&p->smooth_ns, memory_order_relaxed) / 1e9;
    smooth_s += (latency_s - smooth_s) / SMOOTHING;
    atomic_store_explicit(&p->smooth_ns, (unsigned long long)(smooth_s * 1e9),
                          memory_order_relaxed);
    if (p->limit_s <= 0 || smooth_s <= p->limit_s)
        return 0;
    double rest_s = latency_s * (smooth_s / p->limit_s - 1);
    return rest_s < PACE_REST_MAX_S ? rest_s : PACE_REST_MAX_S;
}

void pace_read(struct pace *p, double latency_s)
{
    double rest_s = pace_note(p, latency_s);
    if (rest_s <= 0)
        return;
    atomic_fetch_add_explicit(&p->rested_us, (unsigned long long)(rest_s * 1e6),
                              memory_order_relaxed);
    halt_sleep(rest_s);
}

static int class_of(const char *name, int *ret_class)
{
    static const struct {
        const char *name;
        int class;
    } classes[] = {{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
                   {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
                   {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
                   {"none", IOPRIO_CLASS_NONE},
                   {"", IOPRIO_CLASS_NONE}};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strcasecmp(classes[i].name, name) == 0) {
            *ret_class = classes[i].class;
            return 0;
        }
    return -EINVAL;
}

int pace_set_priority(const char *io_class, int io_priority, int nice_priority)
{
    int class, r = class_of(io_class, &class);
    if (r < 0)
        return r;
    if (class != IOPRIO_CLASS_NONE &&
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, io_priority)) < 0)
        r = -errno;
    if (nice_priority != 0 && setpriority(PRIO_PROCESS, 0, nice_priority) < 0)
        r = -errno;
    return r;
}
