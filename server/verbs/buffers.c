/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/buffers.h"
#include <pthread.h>
#include <stdlib.h>

#define KEPT_MAX     64 /* 4 MiB for each thread at 64 KiB */
#define BUFFER_ALIGN 4096

struct pool {
    size_t size; /* of the blocks kept; others are not pooled */
    unsigned count;
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

char *buffer_get(size_t size)
{
    struct pool *p = own_pool();
    void *block;
    if (p && p->size == size && p->count > 0)
        return p->blocks[--p->count];
    return posix_memalign(&block, BUFFER_ALIGN, size) == 0 ? block : NULL;
}

void buffer_put(char *buffer, size_t size)
{
    struct pool *p = own_pool();
    if (buffer && p && p->count == 0)
        p->size = size;
    if (!buffer || !p || p->size != size || p->count == KEPT_MAX)
        free(buffer);
    else
        p->blocks[p->count++] = buffer;
}
