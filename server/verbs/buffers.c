/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/buffers.h"
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define KEPT_MAX     64 /* 4 MiB for each thread at 64 KiB */
#define BUFFER_ALIGN 4096
#define TRIM_BELOW   8 /* a burst is over when one in eight is left */
#define TRIM_PAUSE_S 1

struct pool {
    size_t size; /* of the blocks kept; others are not pooled */
    unsigned count;
    unsigned out, peak; /* blocks that somebody has; the most since the last trim */
    time_t trimmed_s;
    char *blocks[KEPT_MAX];
};

static pthread_key_t pool_key;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void pool_free(void *arg)
{
    struct pool *p = arg;
    while (p->count > 0)
        free(p->blocks[--p->count]);
    free(p);
}

static void make_key(void)
{
    if (pthread_key_create(&pool_key, pool_free) != 0)
        abort(); /* the process has used up its keys before it has started */
}

/* NULL without memory: blocks are then not kept. */
static struct pool *own_pool(void)
{
    pthread_once(&pool_once, make_key);
    struct pool *p = pthread_getspecific(pool_key);
    if (!p && (p = calloc(1, sizeof *p)) && pthread_setspecific(pool_key, p) != 0) {
        free(p);
        p = NULL;
    }
    return p;
}

/* Small things that lie between freed blocks keep the allocator from giving those back: after a
 * burst of uploads the process would stay as large as it ever was. Done once for a burst, since it
 * looks through all free memory. */
static void trim_after_burst(struct pool *p)
{
    struct timespec now;
    if (p->peak <= KEPT_MAX || p->out > p->peak / TRIM_BELOW)
        return;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec - p->trimmed_s < TRIM_PAUSE_S)
        return;
    p->trimmed_s = now.tv_sec;
    p->peak = p->out;
    (void)malloc_trim(0);
}

char *buffer_get(size_t size)
{
    struct pool *p = own_pool();
    void *block;
    if (p && ++p->out > p->peak)
        p->peak = p->out;
    if (p && p->size == size && p->count > 0)
        return p->blocks[--p->count];
    if (posix_memalign(&block, BUFFER_ALIGN, size) == 0)
        return block;
    if (p)
        p->out--;
    return NULL;
}

void buffer_put(char *buffer, size_t size)
{
    struct pool *p = own_pool();
    if (!buffer || !p) {
        free(buffer);
        return;
    }
    if (p->count == 0)
        p->size = size;
    if (p->size != size || p->count == KEPT_MAX)
        free(buffer);
    else
        p->blocks[p->count++] = buffer;
    p->out -= p->out > 0;
    trim_after_burst(p);
}
