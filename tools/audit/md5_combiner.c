/* SPDX-License-Identifier: Apache-2.0 */
/* md5_combiner.c -- see md5_combiner.h.
 *
 * Jobs wait in the order in which they came. The one that makes them enough computes for all, in
 * short steps so that newcomers get in, until the own job is done; the first of those that wait
 * then goes on, or waits for company itself. A disk that brings blocks slowly costs nobody more
 * than GATHER_NS a block, and reads go on meanwhile. A job lives on the stack of its worker, and is
 * in the list until it is done. */
#include "tools/audit/md5_combiner.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define STEP_BLOCKS 512 /* 32 KiB of each stream */
#define GATHER_NS   1000000

struct combiner_job {
    struct md5_stream *stream;
    const unsigned char *at;
    size_t blocks; /* to do */
    pthread_cond_t woken;
    struct timespec gathered; /* until then it waits for company */
    struct combiner_job *next;
};

void md5_combiner_init(struct md5_combiner *c, unsigned workers)
{
    *c = (struct md5_combiner){.enabled = workers >= COMBINE_WORKERS_MIN &&
                                          md5_lanes_width() >= COMBINE_WORKERS_MIN};
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
}

void md5_combiner_release(struct md5_combiner *c)
{
    assert(!c->first);
    pthread_mutex_destroy(&c->lock);
}

static void enlist(struct md5_combiner *c, struct combiner_job *j)
{
    *c->last = j;
    c->last = &j->next;
    c->waiting++;
}

/* Takes those that are done out of the list and wakes their owners. */
static void dismiss_done(struct md5_combiner *c)
{
    struct combiner_job **link = &c->first;
    for (struct combiner_job *j; (j = *link);) {
        if (j->blocks > 0) {
            link = &j->next;
            continue;
        }
        *link = j->next;
        c->waiting--;
        pthread_cond_signal(&j->woken);
    }
    c->last = link;
}

/* One step of the first few jobs. The lock is let go while it computes. */
static void step(struct md5_combiner *c)
{
    struct combiner_job *jobs[MD5_LANES_MAX];
    struct md5_stream *streams[MD5_LANES_MAX];
    const unsigned char *at[MD5_LANES_MAX];
    size_t blocks = STEP_BLOCKS;
    unsigned count = 0;
    for (struct combiner_job *j = c->first; j && count < md5_lanes_width(); j = j->next, count++) {
        jobs[count] = j;
        streams[count] = j->stream;
        at[count] = j->at;
        blocks = j->blocks < blocks ? j->blocks : blocks;
    }
    c->widest = count > c->widest ? count : c->widest;
    pthread_mutex_unlock(&c->lock);
    md5_lanes_add(streams, at, count, blocks);
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < count; i++) {
        jobs[i]->at += blocks * MD5_BLOCK_BYTES;
        jobs[i]->blocks -= blocks;
    }
    dismiss_done(c);
}

static void prepare(struct combiner_job *j)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->woken, &attr);
    pthread_condattr_destroy(&attr);
    clock_gettime(CLOCK_MONOTONIC, &j->gathered);
    j->gathered.tv_nsec += GATHER_NS;
    if (j->gathered.tv_nsec >= 1000000000) {
        j->gathered.tv_sec++;
        j->gathered.tv_nsec -= 1000000000;
    }
}

static bool are_enough(const struct md5_combiner *c)
{
    unsigned most = c->begun < md5_lanes_width() ? c->begun : md5_lanes_width();
    return c->waiting * 2 >= most;
}

static void lead(struct md5_combiner *c, const struct combiner_job *own)
{
    c->led = true;
    while (own->blocks > 0)
        step(c);
    c->led = false;
    if (c->first)
        pthread_cond_signal(&c->first->woken); /* go on in my place */
}

void md5_combiner_add(struct md5_combiner *c, struct md5_stream *s, const void *bytes,
                      size_t blocks)
{
    struct combiner_job own = {.stream = s, .at = bytes, .blocks = blocks};
    bool timed_out = false;
    if (blocks == 0)
        return;
    prepare(&own);
    pthread_mutex_lock(&c->lock);
    enlist(c, &own); /* and dismissed when its blocks are done, before this returns */
    while (own.blocks > 0) {
        if (c->led)
            pthread_cond_wait(&own.woken, &c->lock);
        else if (are_enough(c) || timed_out)
            lead(c, &own);
        else
            timed_out = pthread_cond_timedwait(&own.woken, &c->lock, &own.gathered) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&c->lock);
    pthread_cond_destroy(&own.woken);
}

/* ---- the checksum of one body ---- */

static void count_body(struct md5_combiner *c, int change)
{
    pthread_mutex_lock(&c->lock);
    c->begun += (unsigned)change;
    pthread_mutex_unlock(&c->lock);
}

int body_sum_begin(struct body_sum *s, struct md5_combiner *c)
{
    *s = (struct body_sum){.combiner = c && c->enabled ? c : NULL};
    if (!s->combiner)
        return checksum_new(&s->alone);
    count_body(s->combiner, 1);
    md5_stream_init(&s->stream);
    return 0;
}

void body_sum_add(struct body_sum *s, const void *bytes, size_t len)
{
    if (!s->combiner) {
        checksum_add(s->alone, bytes, len);
        return;
    }
    assert(s->rest_len == 0);
    s->rest_len = len % MD5_BLOCK_BYTES;
    md5_combiner_add(s->combiner, &s->stream, bytes, len / MD5_BLOCK_BYTES);
    memcpy(s->rest, (const unsigned char *)bytes + len - s->rest_len, s->rest_len);
}

void body_sum_end(struct body_sum *s, char hex[CHECKSUM_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[MD5_DIGEST_BYTES];
    if (!s->combiner) {
        checksum_end(s->alone, hex);
        body_sum_drop(s);
        return;
    }
    md5_stream_end(&s->stream, s->rest, s->rest_len, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * sizeof(digest)] = '\0';
    body_sum_drop(s);
}

void body_sum_drop(struct body_sum *s)
{
    if (s->combiner)
        count_body(s->combiner, -1);
    checksum_free(s->alone);
    *s = (struct body_sum){0};
}
