/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c -- the life of an upload: from begin to finished (diskfile.h, upload.h).
 *
 * What each step does lies in upload_steps.c; here is what moves from one to the next. */
#include "diskfile/engine/upload.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static void advance(struct df_upload *u, enum upload_state next);

enum upload_state upload_give_up(struct df_upload *u, int err)
{
    if (u->err == 0)
        u->err = err;
    return U_CLOSE;
}

static bool is_fragment(const struct df_upload *u)
{
    return u->fragment != FILE_NO_FRAGMENT;
}

/* Whole objects are cleaned up after before they are held: they count at once. */
static enum upload_state after_storing(const struct df_upload *u, enum upload_state s)
{
    if (!is_fragment(u) && s == U_CONFIRM)
        return U_CLEAN;
    if (u->spec.hold && !u->released)
        return U_HOLD;
    return is_fragment(u) && !u->spec.stay_pending ? U_DURABLE : U_CLOSE;
}

enum upload_state upload_onward(const struct df_upload *u, enum upload_state s)
{
    if (s == U_CONFIRM || s == U_HOLD || (s == U_CLEAN && !is_fragment(u)))
        return after_storing(u, s);
    if (upload_steps[s].next != U_WAIT)
        return upload_steps[s].next;
    if (u->given_len > 0)
        return U_DATA;
    return u->committed ? U_META : U_WAIT;
}

/* ---- one chain: a run of steps ---- */

static int step_result(const struct df_upload *u, enum upload_state s)
{
    int res = 0;
    for (unsigned i = 0; i < u->chain.count; i++) {
        const struct disk_op *op = &u->chain.ops[i];
        if (op->tag != s || op->may_fail)
            continue;
        res = op->res;
        if (res < 0)
            break;
    }
    return res;
}

static void note_times(struct df_upload *u)
{
    for (unsigned i = 0; i < u->chain.count; i++)
        u->step_ns[u->chain.ops[i].tag] += u->chain.ops[i].took_ns;
}

/* The steps of the run from `from` on did not happen: what they took goes back to where it
 * was, or a step that is tried again would leave the bytes behind it out. */
static void take_back(struct df_upload *u, unsigned from)
{
    for (unsigned i = from; i < u->run_count; i++) {
        if (u->run[i] != U_DATA)
            continue;
        u->given = u->writing;
        u->given_len = u->writing_len;
    }
}

/* Each step of the run judges its own result; the first that does not name the step that was
 * queued behind it ends the walk, for then nothing behind it has run (C2). */
static void run_done(struct disk_chain *chain)
{
    struct df_upload *u = (struct df_upload *)((char *)chain - offsetof(struct df_upload, chain));
    note_times(u);
    enum upload_state next = U_END;
    for (unsigned i = 0; i < u->run_count; i++) {
        enum upload_state s = u->run[i];
        int res = step_result(u, s);
        if (res < 0 && s >= U_OPEN && s <= U_CONFIRM)
            store_write_failed(u->place.store, u->place.device, res);
        next = upload_steps[s].done(u, res);
        if (next == U_WAIT && i + 1 < u->run_count)
            next = u->run[i + 1]; /* what the caller had given when the chain left */
        if (i + 1 < u->run_count && next != u->run[i + 1]) {
            take_back(u, i + 1);
            break;
        }
    }
    advance(u, next);
}

/* Queues `first` and every step that is certain to follow it. */
static void launch(struct df_upload *u, enum upload_state first)
{
    disk_chain_init(&u->chain, u->place.device->pool, run_done);
    u->run_count = 0;
    for (enum upload_state s = first; upload_steps[s].add; s = upload_onward(u, s)) {
        unsigned from = u->chain.count;
        upload_steps[s].add(u, &u->chain);
        for (unsigned i = from; i < u->chain.count; i++)
            u->chain.ops[i].tag = s;
        u->run[u->run_count++] = s;
    }
    u->thread->disk->submit(u->thread->disk, &u->chain);
}

static void finish(struct df_upload *u)
{
    inflight_remove(&u->inflight);
    if (u->admitted)
        disk_device_leave(u->place.device->pool);
    /* A device gone read-only is no device to write to. */
    int res = u->err == -EROFS ? -ENODEV : u->err;
    u->calls.finished(u->arg, res);
    place_release(&u->place);
    free(u->pickle);
    free(u);
}

static enum upload_state hold(struct df_upload *u)
{
    if (!u->told_stored) {
        u->told_stored = true;
        u->calls.stored(u->arg);
    }
    return u->aborted ? upload_give_up(u, -ECANCELED) : upload_onward(u, U_HOLD);
}

/* The only writer of u->state. Leaves with exactly one thing awaited (a chain, or the
 * caller), or with the upload finished. */
static void advance(struct df_upload *u, enum upload_state next)
{
    u->busy = true;
    if (next == U_WAIT)
        next = upload_onward(u, U_WAIT);
    if (u->aborted && next <= U_LINK) /* cancel is a flag, read in one place */
        next = upload_give_up(u, -ECANCELED);
    if (next == U_HOLD)
        next = hold(u);
    if (u->err && next <= U_LINK)
        next = U_CLOSE;
    if (next == U_CLOSE && u->fd < 0 && u->lock_fd < 0 && !u->tmp_named)
        next = U_END;
    u->state = next;
    if (next == U_END) {
        finish(u);
        return;
    }
    if (next == U_WAIT || next == U_HOLD) {
        u->busy = false;
        return;
    }
    launch(u, next);
}

/* ---- what the caller says: noted now, acted on by the next flush ---- */

static void make_due(struct df_upload *u)
{
    if (u->busy || u->is_due)
        return;
    struct df_thread *t = u->thread;
    u->is_due = true;
    u->next_due = NULL;
    *t->due_end = u;
    t->due_end = &u->next_due;
}

void upload_start_due(struct df_thread *t)
{
    while (t->due) {
        struct df_upload *u = t->due;
        t->due = u->next_due;
        if (!t->due)
            t->due_end = &t->due;
        u->is_due = false;
        advance(u, u->state);
    }
}

static const char *upload_step_name(const struct inflight *op)
{
    const struct df_upload *u =
        (const struct df_upload *)((const char *)op - offsetof(struct df_upload, inflight));
    if (u->state == U_WAIT || u->state == U_HOLD)
        return upload_steps[u->state].name;
    unsigned at = atomic_load_explicit(&u->chain.at, memory_order_relaxed);
    return upload_steps[at < u->chain.count ? u->chain.ops[at].tag : u->state].name;
}

struct df_upload *df_upload_begin(struct df_thread *t, const struct df_name *name,
                                  const struct df_upload_spec *spec,
                                  const struct df_upload_calls *calls, void *arg)
{
    struct df_upload *u = malloc(sizeof(*u));
    if (!u)
        return NULL;
    /* The paths at the end are written before they are read: zeroing 12 KiB of them would
     * cost more than the rest of this function. */
    memset(u, 0, offsetof(struct df_upload, chain));
    memset(&u->place, 0, offsetof(struct object_place, dir));
    u->tmp_path[0] = u->target[0] = '\0';
    u->thread = t;
    u->calls = *calls;
    u->arg = arg;
    u->spec = *spec;
    u->fd = u->lock_fd = -1;
    u->fragment = FILE_NO_FRAGMENT;
    u->state = U_LOOK;
    u->chain.count = 0;
    inflight_add(t, &u->inflight, arg, upload_step_name);
    u->err = place_init(t->store, name, &u->place);
    u->placed = u->err == 0;
    if (u->placed) {
        u->admitted = disk_device_admit(u->place.device->pool);
        if (!u->admitted)
            u->err = -EBUSY;
    }
    make_due(u);
    return u;
}

void df_upload_append(struct df_upload *u, const void *buf, size_t len)
{
    assert(u->given_len == 0 && !u->committed && len > 0);
    u->given = buf;
    u->given_len = len;
    u->appended += len;
    make_due(u);
}

static void set_checksum(struct df_upload *u)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char md5[16];
    if (EVP_Digest(u->pickle, u->pickle_len, md5, NULL, EVP_md5(), NULL) != 1) {
        u->err = u->err ? u->err : -ENOMEM;
        return;
    }
    for (unsigned i = 0; i < sizeof(md5); i++) {
        u->checksum[2 * i] = digits[md5[i] >> 4];
        u->checksum[2 * i + 1] = digits[md5[i] & 15];
    }
}

static void set_target(struct df_upload *u)
{
    static const enum file_kind kinds[] = {[DF_UPLOAD_DATA] = FILE_DATA,
                                           [DF_UPLOAD_META] = FILE_META,
                                           [DF_UPLOAD_TOMBSTONE] = FILE_TOMBSTONE};
    struct file_name file = {
        .kind = kinds[u->spec.kind],
        .timestamp = u->spec.timestamp,
        .ctype_timestamp = u->spec.ctype_timestamp,
        .has_ctype = u->spec.has_ctype,
        .fragment = u->fragment,
    };
    char name[FILENAME_MAX_LEN];
    filename_format(&file, name);
    snprintf(u->target, sizeof(u->target), "%s/%s", u->place.dir, name);
    file.durable = true;
    filename_format(&file, name);
    snprintf(u->durable_target, sizeof(u->durable_target), "%s/%s", u->place.dir, name);
}

void df_upload_commit(struct df_upload *u, struct metadata *take_metadata)
{
    assert(!u->committed);
    assert(!u->placed || u->spec.kind != DF_UPLOAD_DATA ||
           u->place.policy->erasure_coded == (u->fragment != FILE_NO_FRAGMENT));
    u->committed = true;
    if (u->placed) {
        int r = metadata_encode(take_metadata, &u->pickle, &u->pickle_len);
        if (r == 0 && u->pickle_len > (size_t)UPLOAD_XATTR_CHUNKS * XATTR_CHUNK_BYTES)
            r = -E2BIG;
        if (r < 0)
            upload_give_up(u, r);
        else
            set_checksum(u);
        set_target(u);
    }
    metadata_release(take_metadata);
    make_due(u);
}

void df_upload_set_fragment(struct df_upload *u, unsigned index)
{
    assert(!u->committed && u->spec.kind == DF_UPLOAD_DATA);
    u->fragment = (int)index;
}

void df_upload_make_durable(struct df_upload *u)
{
    assert(u->spec.hold && u->told_stored);
    u->released = true;
    make_due(u);
}

void df_upload_abort(struct df_upload *u)
{
    u->aborted = true;
    make_due(u);
}

void df_upload_set_timestamp(struct df_upload *u, struct timestamp ts)
{
    assert(!u->committed);
    u->spec.timestamp = ts;
}

void df_upload_set_ctype_timestamp(struct df_upload *u, struct timestamp ctype_ts)
{
    assert(!u->committed);
    u->spec.ctype_timestamp = ctype_ts;
    u->spec.has_ctype = true;
}

size_t df_upload_times(const struct df_upload *u, char *text, size_t len)
{
    size_t at = 0;
    text[0] = '\0';
    for (unsigned s = 0; s < U_END && at < len; s++) {
        if (u->step_ns[s] == 0)
            continue;
        int n = snprintf(text + at, len - at, "%s%s=%.2f", at ? " " : "", upload_steps[s].name,
                         (double)u->step_ns[s] / 1e6);
        if (n < 0 || (size_t)n >= len - at) {
            text[at] = '\0'; /* whole items only */
            break;
        }
        at += (size_t)n;
    }
    return at;
}

void df_upload_each_step(const struct df_upload *u,
                         void (*each)(void *arg, const char *name, uint64_t ns), void *arg)
{
    for (unsigned s = 0; s < U_END; s++)
        if (u->step_ns[s] > 0)
            each(arg, upload_steps[s].name, u->step_ns[s]);
}

uint64_t df_upload_write_ns(const struct df_upload *u)
{
    return u->step_ns[U_DATA];
}
