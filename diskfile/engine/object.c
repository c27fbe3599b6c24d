/* SPDX-License-Identifier: Apache-2.0 */
/* object.c -- one object opened for reading: from df_open() to df_object_close().
 *
 *   OPEN -> IDLE <-> READ
 *     |      |        |
 *     `------+--------+--> CLOSE -> freed
 *
 * Each state but IDLE has one chain of one DISK_CALL in flight; IDLE waits for the caller.
 * Reading, hashing and, when damage is found, quarantine happen in that one call on a pool
 * thread: the loop never hashes 64 KiB while others wait, and a small object costs one call
 * in all. While a call runs only it touches what is below "the call's" in struct df_object. */
#include "diskfile/engine/checksum.h"
#include "diskfile/engine/fragment_check.h"
#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/hot.h"
#include "diskfile/engine/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DROP_STEP_BYTES (1u << 20) /* of page cache, at a time */

#define STALE_AGAINS_MAX 16

enum object_step { O_OPEN, O_IDLE, O_READ, O_CLOSE, O_STEPS };
static const char *const step_names[O_STEPS] = {"open", "idle", "read", "close"};

struct df_object {
    struct df_thread *thread;
    struct inflight inflight;
    enum object_step step;
    bool admitted;
    bool closed; /* the caller is gone: no callback any more */
    bool opened_ok;
    void (*opened)(void *arg, struct df_object *o, int res);
    void (*read_done)(void *arg, int res);
    void *arg, *read_arg;
    uint64_t step_ns[O_STEPS];
    int err;                /* of df_open() itself */
    struct timespec looked; /* before the disk was asked anything */
    struct hot_entry *hot;  /* whose metadata and first bytes these are; or NULL: our own */

    /* The call's. */
    struct df_open_spec spec;
    struct object_state state;
    char *first; /* the bytes read ahead */
    size_t first_len;
    struct checksum *sum;
    uint64_t summed;                 /* bytes in `sum`: all read so far, without a gap */
    struct fragment_check fragments; /* of the same bytes */
    uint64_t dropped;                /* from the page cache */
    bool put_away;                   /* quarantined while being read */
    void *buf;
    size_t len;
    uint64_t off;

    struct object_place place;
    struct disk_chain chain;
};

static struct df_object *object_of(struct disk_chain *chain)
{
    return (struct df_object *)((char *)chain - offsetof(struct df_object, chain));
}

/* ---- on the pool thread ---- */

static bool keeps_cache(const struct df_object *o)
{
    return !o->spec.drop_cache && o->state.info.size < o->place.store->options.keep_cache_bytes;
}

static void drop_cache(struct df_object *o, uint64_t end)
{
    bool at_end = end == o->state.info.size;
    if (keeps_cache(o) || end <= o->dropped || (!at_end && end - o->dropped < DROP_STEP_BYTES))
        return;
    (void)posix_fadvise(o->state.fd, (off_t)o->dropped, (off_t)(end - o->dropped),
                        POSIX_FADV_DONTNEED); /* advice only */
    o->dropped = end;
}

/* Never 0: no one gets these bytes as the object. -ESTALE: it is not the object any more, a
 * newer version is. Else -EBADMSG; if it could not be put away, the next reader will find it. */
static int quarantine(struct df_object *o, const char *reason)
{
    int r = hashdir_quarantine(&o->place, o->state.file, o->state.fd, reason);
    if (r == -ESTALE)
        return r;
    o->put_away = r == 0;
    if (r < 0)
        store_event(o->place.store, DF_EVENT_ERROR, "could not quarantine %s/%s (%s): %s",
                    o->place.dir, o->state.file, reason, strerror(-r));
    return -EBADMSG;
}

static int read_failed(struct df_object *o, int error)
{
    char reason[64];
    snprintf(reason, sizeof(reason), "read failed: %s", strerror(-error));
    if (error == -EIO || error == -ENODATA || error == -EUCLEAN)
        (void)quarantine(o, reason);
    return error;
}

static int verify_sum(struct df_object *o)
{
    char found[CHECKSUM_HEX_LEN + 1], reason[REASON_MAX];
    checksum_end(o->sum, found);
    checksum_free(o->sum);
    o->sum = NULL;
    const struct slice *etag = metadata_get(o->state.info.metadata, "ETag");
    if (etag && slice_eq(*etag, (struct slice){found, CHECKSUM_HEX_LEN}))
        return 0;
    snprintf(reason, sizeof(reason), "ETag %.*s and file's md5 %s do not match",
             etag ? (int)(etag->len < 80 ? etag->len : 80) : 4, etag ? etag->at : "none", found);
    return quarantine(o, reason);
}

/* Erasure coding: `bytes` continue those seen. */
static int check_fragments(struct df_object *o, const char *bytes, size_t len)
{
    char reason[REASON_MAX];
    uint64_t at = o->fragments.offset;
    int r = fragment_check_add(&o->fragments, bytes, len);
    if (r == 0 && o->summed + len == o->state.info.size)
        r = fragment_check_end(&o->fragments);
    if (r == 0)
        return 0;
    if (o->fragments.offset > at)
        at = o->fragments.offset;
    snprintf(reason, sizeof(reason), "Invalid EC metadata at offset 0x%llx",
             (unsigned long long)at);
    return quarantine(o, reason);
}

/* Hashes what continues the bytes hashed so far; verifies when they are all. */
static int account(struct df_object *o, const char *buf, size_t len, uint64_t off)
{
    uint64_t end = off + len;
    if (off > o->summed || (end <= o->summed && o->summed > 0))
        return 0; /* a gap before it, or hashed already */
    if (o->summed == 0 && !o->sum) {
        int r = checksum_new(&o->sum);
        if (r < 0)
            return r;
    }
    const char *more = buf + (o->summed - off);
    size_t more_len = (size_t)(end - o->summed);
    int r = o->place.policy->erasure_coded ? check_fragments(o, more, more_len) : 0;
    if (r < 0)
        return r;
    checksum_add(o->sum, more, more_len);
    o->summed = end;
    return o->summed == o->state.info.size ? verify_sum(o) : 0;
}

/* Reads, expecting all of it: the size was right when the file was opened. */
static int read_checked(struct df_object *o, void *buf, size_t len, uint64_t off)
{
    int n = disk_read_full(o->state.fd, buf, len, (off_t)off);
    if (n < 0)
        return read_failed(o, n);
    if ((size_t)n < len) {
        char reason[REASON_MAX];
        snprintf(reason, sizeof(reason), "Bytes read: %llu, does not match metadata: %llu",
                 (unsigned long long)off + (unsigned long long)n,
                 (unsigned long long)o->state.info.size);
        return quarantine(o, reason);
    }
    int r = account(o, buf, len, off);
    drop_cache(o, off + len);
    return r < 0 ? r : (int)len;
}

static void close_file(struct df_object *o)
{
    if (o->state.fd >= 0)
        close(o->state.fd);
    o->state.fd = -1;
}

static int read_ahead(struct df_object *o)
{
    size_t len =
        o->spec.read_ahead < o->state.info.size ? o->spec.read_ahead : (size_t)o->state.info.size;
    o->first = malloc(len > 0 ? len : 1);
    if (!o->first)
        return -ENOMEM;
    int r = read_checked(o, o->first, len, 0);
    if (r == -EBADMSG && o->put_away) {
        object_state_release(&o->state);
        o->state.info.quarantined = true;
        return 0;
    }
    if (r < 0)
        return r;
    o->first_len = len;
    if (len == o->state.info.size)
        close_file(o);
    return 0;
}

static int open_call(void *arg)
{
    struct df_object *o = arg;
    if (o->err < 0)
        return o->err;
    clock_gettime(CLOCK_REALTIME_COARSE, &o->looked);
    int r = store_device_check(o->place.store, o->place.device);
    if (r < 0)
        return r;
    struct load_spec spec = {
        .now = o->spec.now,
        .open_expired = o->spec.open_expired,
        .want_identity = o->spec.read_ahead > 0,
        .keep_fd = !o->spec.info_only,
        .wish = o->spec.wish,
    };
    r = hashdir_load(&o->place, &spec, &o->state);
    if (r == 0 && o->state.fd >= 0 && o->spec.read_ahead > 0)
        r = read_ahead(o);
    return r;
}

static int read_call(void *arg)
{
    struct df_object *o = arg;
    uint64_t left = o->off < o->state.info.size ? o->state.info.size - o->off : 0;
    size_t len = o->len < left ? o->len : (size_t)left;
    if (len == 0 && (o->state.info.size > 0 || o->state.fd < 0))
        return 0; /* beyond the end; an empty object that was not read ahead is verified below */
    if (len > 0 && o->off + len <= o->first_len) {
        memcpy(o->buf, o->first + o->off, len);
        return (int)len;
    }
    if (o->state.fd < 0)
        return -EBADF;
    int r = read_checked(o, o->buf, len, o->off);
    return r == -ESTALE ? -EBADMSG : r;
}

/* Closing the last descriptor of a file that was replaced meanwhile frees its blocks. */
static int close_call(void *arg)
{
    close_file(arg);
    return 0;
}

/* ---- on the loop thread ---- */

static void object_free(struct df_object *o)
{
    inflight_remove(&o->inflight);
    if (o->admitted)
        disk_device_leave(o->place.device->pool);
    object_state_release(&o->state);
    place_release(&o->place);
    if (o->sum)
        checksum_free(o->sum);
    if (o->hot)
        hot_unref(o->hot);
    else
        free(o->first);
    free(o);
}

static void submit(struct df_object *o, enum object_step step, int (*call)(void *),
                   void (*done)(struct disk_chain *chain))
{
    struct disk_device *pool =
        o->err == 0 || o->admitted ? o->place.device->pool : store_nowhere(o->thread->store);
    o->step = step;
    disk_chain_init(&o->chain, pool, done);
    struct disk_op *op = disk_chain_add(&o->chain, DISK_CALL);
    op->call = call;
    op->arg = o;
    o->thread->disk->submit(o->thread->disk, &o->chain);
}

static int result_of(struct df_object *o)
{
    o->step_ns[o->step] += o->chain.ops[0].took_ns;
    o->step = O_IDLE;
    return o->chain.ops[0].res;
}

static void close_done(struct disk_chain *chain)
{
    object_free(object_of(chain));
}

static void dispose(struct df_object *o)
{
    if (o->state.fd >= 0)
        submit(o, O_CLOSE, close_call, close_done);
    else
        object_free(o);
}

/* The object is from now on the entry's, which outlives whatever the table forgets. */
static void show_hot(struct df_object *o, struct hot_entry *hot)
{
    o->hot = hot;
    o->state.info = hot->state.info;
    o->first = hot->body;
    o->first_len = hot->body_len;
}

static void keep_hot(struct df_object *o)
{
    bool whole = o->spec.read_ahead > 0 && o->first && o->first_len == o->state.info.size;
    if (!whole || o->spec.drop_cache || o->spec.wish)
        return;
    struct hot_entry *hot =
        hot_keep(o->thread->hot, &o->place, &o->state, o->first, o->first_len, o->looked);
    if (hot)
        show_hot(o, hot);
}

static void open_done(struct disk_chain *chain)
{
    struct df_object *o = object_of(chain);
    int res = result_of(o);
    o->opened_ok = res >= 0;
    if (o->closed) {
        dispose(o);
        return;
    }
    if (res >= 0)
        keep_hot(o);
    o->opened(o->arg, o, res < 0 ? res : 0);
    if (res < 0)
        dispose(o);
}

static void read_done(struct disk_chain *chain)
{
    struct df_object *o = object_of(chain);
    int res = result_of(o);
    if (o->closed)
        dispose(o);
    else
        o->read_done(o->read_arg, res);
}

static const char *step_name(const struct inflight *op)
{
    const struct df_object *o =
        (const struct df_object *)((const char *)op - offsetof(struct df_object, inflight));
    return step_names[o->step];
}

static struct df_object *object_new(struct df_thread *t, const struct df_name *name,
                                    const struct df_open_spec *spec, void *arg)
{
    struct df_object *o = malloc(sizeof(*o));
    if (!o)
        return NULL;
    /* Not the path and the chain at the end: 9 KiB that are written before they are read. */
    memset(o, 0, offsetof(struct df_object, place));
    o->state.fd = -1;
    o->thread = t;
    o->spec = *spec;
    o->arg = arg;
    inflight_add(t, &o->inflight, arg, step_name);
    o->err = place_init(t->store, name, &o->place);
    return o;
}

struct df_object *df_open_hot(struct df_thread *t, const struct df_name *name,
                              const struct df_open_spec *spec, void *arg)
{
    if (spec->drop_cache || spec->wish || hot_is_empty(t->hot))
        return NULL;
    struct df_object *o = object_new(t, name, spec, arg);
    struct hot_entry *hot = o && o->err == 0 ? hot_look(t->hot, &o->place) : NULL;
    if (hot) {
        show_hot(o, hot);
        o->step = O_IDLE;
        o->opened_ok = true;
        return o;
    }
    if (o)
        object_free(o);
    return NULL;
}

struct df_object *df_open(struct df_thread *t, const struct df_name *name,
                          const struct df_open_spec *spec,
                          void (*opened)(void *arg, struct df_object *o, int res), void *arg)
{
    struct df_object *o = object_new(t, name, spec, arg);
    if (!o)
        return NULL;
    o->opened = opened;
    if (o->err == 0) {
        o->admitted = disk_device_admit(o->place.device->pool);
        o->err = o->admitted ? 0 : -EBUSY;
    }
    submit(o, O_OPEN, open_call, open_done);
    return o;
}

const struct df_info *df_object_info(const struct df_object *o)
{
    return &o->state.info;
}

struct slice df_object_first(const struct df_object *o)
{
    return (struct slice){o->first, o->first_len};
}

void df_read(struct df_object *o, void *buf, size_t len, uint64_t off,
             void (*done)(void *arg, int res), void *arg)
{
    assert(o->step == O_IDLE && o->opened_ok && !o->closed);
    assert(len <= INT32_MAX);
    o->buf = buf;
    o->len = len;
    o->off = off;
    o->read_done = done;
    o->read_arg = arg;
    submit(o, O_READ, read_call, read_done);
}

void df_object_close(struct df_object *o)
{
    if (o->closed)
        return;
    o->closed = true;
    if (o->step == O_IDLE && o->opened_ok)
        dispose(o);
}

size_t df_object_times(const struct df_object *o, char *text, size_t len)
{
    int n = o->step_ns[O_READ] == 0
                ? snprintf(text, len, "open=%.2f", (double)o->step_ns[O_OPEN] / 1e6)
                : snprintf(text, len, "open=%.2f read=%.2f", (double)o->step_ns[O_OPEN] / 1e6,
                           (double)o->step_ns[O_READ] / 1e6);
    return n < 0 ? 0 : (size_t)n < len ? (size_t)n : len - 1;
}

void df_object_each_step(const struct df_object *o,
                         void (*each)(void *arg, const char *name, uint64_t ns), void *arg)
{
    for (unsigned s = 0; s < O_STEPS; s++)
        if (o->step_ns[s] > 0)
            each(arg, step_names[s], o->step_ns[s]);
}
