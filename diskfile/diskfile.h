/* SPDX-License-Identifier: Apache-2.0 */
/* diskfile.h -- objects in, objects out: the public face of diskfile/.
 *
 * Callers say device, policy, account/container/object and timestamp. They see no path,
 * no file name and no descriptor: other engines may stand behind this header.
 *
 *   df_store    what is configured; one per process, shared by all threads
 *   df_thread   one per loop thread: the disk back end and all that is in flight on it
 *   df_upload   one object, tombstone or metadata update being written: whole or not at all
 *   df_object   one object opened for reading
 *
 * Calling sequences (loop thread only; callbacks come from df_thread_reap()):
 *
 *   df_upload_begin -> [began()] -> df_upload_append* -> df_upload_commit -> finished(0)
 *                                                    `-> df_upload_abort  -> finished(-ECANCELED)
 *   df_open -> opened() -> df_read* -> df_object_close
 *
 * Errors are 0 or -errno. Those with a meaning of their own here:
 *   -ENODEV    the device is not usable (not mounted, vanished, read-only): 507
 *   -ENOSPC    no space, or below the reserve; -EDQUOT likewise: 507
 *   -E2BIG     more metadata than the file system keeps with a file: 507, as Swift; alone 400
 *   -EBUSY     the device has as many requests as it may: 503
 *   -ENOTSUP   the file system keeps no user xattrs: 507
 *   -EEXIST    another object has this hash (403)
 *   -ETIMEDOUT the partition's lock was not to be had: 500
 *   anything else from the disk, -EIO foremost: the outcome is unknown or failed, 5xx
 *
 * Not here: HTTP, headers, status codes. diskfile/ logs nothing: it returns errors and
 * reports what an operator must know through df_options.event. */
#ifndef OBJSRV_DISKFILE_H
#define OBJSRV_DISKFILE_H

#include "diskfile/format/fragments.h"
#include "diskfile/format/hashpath.h"
#include "diskfile/format/metadata.h"
#include "diskfile/format/pending.h"
#include "diskfile/format/timestamp.h"

/* ---- the store ---- */

enum df_engine { DF_ENGINE_AUTO, DF_ENGINE_URING, DF_ENGINE_THREADS };
enum df_on_existing { DF_EXISTING_RENAME, DF_EXISTING_UNLINK }; /* design decision 4 */
enum df_event_kind { DF_EVENT_WARNING, DF_EVENT_ERROR, DF_EVENT_QUARANTINE };

struct df_policy {
    unsigned index;
    bool erasure_coded;
    unsigned data_fragments, parity_fragments;
};

struct df_options {
    const char *devices;          /* root of the devices; NULL in stand-alone mode */
    const char *const *data_dirs; /* stand-alone: the directories that share the keys */
    unsigned data_dir_count;
    bool mount_check;
    const struct df_policy *policies;
    unsigned policy_count;
    struct hash_key hash_key; /* stand-alone: empty, it lies in the data directories */
    uint64_t reclaim_age_s;
    uint64_t commit_window_s;
    bool fallocate;              /* reserve space for an upload whose size is known */
    uint64_t reserve_bytes;      /* keep this much free ... */
    double reserve_percent;      /* ... or this share of the device, if > 0 */
    uint64_t bytes_per_sync;     /* write back this often during an upload */
    size_t hot_bytes_per_thread; /* small objects kept in memory, ready to be sent; 0: none */
    uint64_t keep_cache_bytes;   /* objects below this stay in the page cache after a read */
    unsigned lock_timeout_ms;    /* the partition's .lock: 10000 */
    enum df_on_existing on_existing;
    enum df_engine engine;
    unsigned threads_per_device;
    unsigned requests_per_device;
    unsigned ring_ops_per_device;
    /* Stand-alone: what df_store_locks() of the process before gave out, if this one takes over
     * from it while it still works. Lent for df_store_open(). */
    const int *locks;
    unsigned lock_count;
    /* Any thread. One line without newline; borrowed for the call. */
    void (*event)(void *arg, enum df_event_kind kind, const char *text);
    void *event_arg;
};

struct df_store;

/* Copies the options. Stand-alone: makes or checks each data directory's identity, and
 * refuses a set that is not the one the keys were spread over. Every device that is there is
 * probed (user xattrs: refuse to start; O_TMPFILE: else named temporary files) and swept of
 * temporary names. On error `problem` says what is wrong, where, and the remedy. */
int df_store_open(const struct df_options *options, struct df_store **ret_store, char *problem,
                  size_t problem_len);
void df_store_close(struct df_store *store);

/* Stand-alone: descriptors that stand for the right to use the data directories, to be handed to a
 * successor (inherited, or sent) and for nothing else. Copies, yours to close; returns how many
 * were written, at most `most`. */
unsigned df_store_locks(const struct df_store *store, int *ret_fds, unsigned most);

/* What the start-up line says of the engine: "uring" or "threads", and why. Borrowed. */
const char *df_store_engine(const struct df_store *store, const char **ret_why);

/* Names of the devices there are now (stand-alone: of the data directories), one call each,
 * with what was found: "ext4, O_TMPFILE, short commit". */
void df_store_each_device(struct df_store *store,
                          void (*each)(void *arg, const char *device, const char *path,
                                       const char *found),
                          void *arg);

/* Stand-alone: the device that keeps this key, and its partition. Text is borrowed for the
 * store's life (device), or written (partition: decimal). */
const char *df_store_place(const struct df_store *store, struct slice account,
                           struct slice container, struct slice object, char partition[16]);

/* Stand-alone: the time for a new version, later than any given out and than `after`. */
struct timestamp df_store_clock(struct df_store *store, struct timestamp after);

/* Now, as a timestamp. Any thread. */
struct timestamp df_now(void);

/* ---- a thread's share ---- */

struct df_thread;

int df_thread_open(struct df_store *store, struct df_thread **ret_thread); /* on that thread */
void df_thread_close(struct df_thread *t); /* nothing may be in flight */
int df_thread_fd(struct df_thread *t);     /* readable: call df_thread_reap() */
void df_thread_reap(struct df_thread *t);  /* all callbacks come from here */
void df_thread_flush(struct df_thread *t); /* before the loop blocks: starts what is due */

/* The thread is to end soon: from now on df_hashes_get(), which may take minutes, ends with
 * -ECANCELED. Whatever else is in flight goes on. */
void df_thread_hurry(struct df_thread *t);

/* ---- names ---- */

/* One object on one device. `device` and `partition` are single path components, checked by
 * the caller to be neither empty nor "." nor ".." nor to hold '/' or NUL; a device that is no
 * device is -ENODEV. Slices are lent until the callback that ends the operation. */
struct df_name {
    unsigned policy;
    struct slice device;
    struct slice partition;
    struct slice account;
    struct slice container;
    struct slice object;
};

/* ---- what is there ---- */

enum df_state {
    DF_ABSENT,  /* nothing, or just quarantined */
    DF_DELETED, /* a tombstone */
    DF_EXPIRED, /* data whose X-Delete-At has come */
    DF_LIVE
};

struct df_info {
    enum df_state state;
    bool quarantined;           /* found damaged by this very call and put away */
    uint64_t size;              /* DF_LIVE, DF_EXPIRED */
    struct timestamp timestamp; /* merged X-Timestamp; a tombstone's; 0 when absent */
    struct timestamp data_timestamp;
    struct timestamp ctype_timestamp;
    bool has_meta;                        /* a .meta applies */
    bool ctype_from_meta;                 /* the content type comes from a .meta */
    const struct metadata *metadata;      /* merged; NULL unless DF_LIVE or DF_EXPIRED */
    const struct metadata *data_metadata; /* the data file's own */
    const struct metadata *meta_metadata; /* the newest .meta's (a second one's newer content
                                           * type laid over it), or NULL */
    /* Erasure coding: all fragments that might be read, newest time first, then by index. A
     * live object has at least one; none under replication. */
    const struct fragment *fragments;
    unsigned fragment_count;
    struct timestamp durable_timestamp; /* of the durable version; 0: there is none */
};

/* ---- writing ---- */

enum df_upload_kind {
    DF_UPLOAD_DATA,
    DF_UPLOAD_META,     /* a .meta: POST */
    DF_UPLOAD_TOMBSTONE /* a .ts: DELETE */
};

struct df_upload;

/* On the loop thread, except judge. */
struct df_upload_calls {
    /* What exists on disk was read; go on? 0: yes. -errno: no, began() and finished() get it.
     * Runs on a POOL THREAD while the caller waits: look at `info` (borrowed for the call),
     * write only into `arg`, take no lock, call nothing of the loop. With spec.recheck it
     * runs a second time, under the partition's lock, just before the name is given. An
     * upload that would not be the newest (info->timestamp) is the judge's to refuse.
     * NULL: no look at what exists. */
    int (*judge)(void *arg, struct df_upload *u, const struct df_info *info);
    /* The temporary file is open: send the body. Optional. Not called if judge or the open
     * failed, or if commit was called before the upload was started by df_thread_flush(). */
    void (*began)(void *arg);
    /* All appended bytes are written; their buffer is the caller's again. */
    void (*drained)(void *arg);
    /* Only with spec.hold: the object is on the device under its name, and waits. */
    void (*stored)(void *arg);
    /* Exactly once, with nothing in flight; `u` is freed when it returns. 0: durable. An
     * error after the name was given means "unknown", never "not stored". */
    void (*finished)(void *arg, int res);
};

struct df_upload_spec {
    enum df_upload_kind kind;
    struct timestamp timestamp;
    int64_t size;             /* expected size, -1 unknown: space check and fallocate */
    struct timestamp now;     /* the clock by which objects have expired */
    bool open_expired;        /* expired counts as live (replication) */
    bool recheck;             /* stand-alone: hold the partition's lock from a second look and
                               * judge() until the name is given, so conditions are atomic */
    unsigned next_part_power; /* 2 to 32: linked into the partition of this power too; 0: not */
    struct timestamp ctype_timestamp; /* DF_UPLOAD_META with a content type of its own */
    bool has_ctype;
    bool hold;                        /* two phases: see df_upload_make_durable() */
    bool stay_pending;                /* erasure coding: never make the fragment durable */
    const struct fragment_wish *wish; /* erasure coding: which fragment judge() is shown; lent
                                       * until finished(); or NULL */
};

/* Nothing happens on disk before df_thread_flush(). An upload that was appended to and
 * committed by then runs in one go. Errors come by finished(); NULL only without memory, and
 * then nothing is called. */
struct df_upload *df_upload_begin(struct df_thread *t, const struct df_name *name,
                                  const struct df_upload_spec *spec,
                                  const struct df_upload_calls *calls, void *arg);

/* `buf` is lent until drained(). One append at a time. */
void df_upload_append(struct df_upload *u, const void *buf, size_t len);

/* No more bytes: no append may be undrained, except in an upload not yet started. Takes
 * over the items of `take_metadata` (leaves it empty); it must hold all keys of
 * on-disk-format 8, "name" and "X-Timestamp" included. */
void df_upload_commit(struct df_upload *u, struct metadata *take_metadata);

/* Erasure-coded data only, and before commit: the fragment's index, which goes into its name.
 * The fragment is stored under a name that readers without preferences pass over, and
 * renamed to a durable one: at once, or when the caller says so. */
void df_upload_set_fragment(struct df_upload *u, unsigned index);

/* Second phase of an upload with spec.hold, after stored(): other nodes have it too. Makes a
 * fragment durable (unless stay_pending); under replication nothing is left to do. Then
 * finished(). */
void df_upload_make_durable(struct df_upload *u);

/* Give up. After the name was given it is ignored: the answer is "done" or "unknown". Only a
 * held upload ends by it: what is stored stays as it is, finished(-ECANCELED). */
void df_upload_abort(struct df_upload *u);

/* Before commit only: what a judge found may move the time of this version. */
void df_upload_set_timestamp(struct df_upload *u, struct timestamp ts);
void df_upload_set_ctype_timestamp(struct df_upload *u, struct timestamp ctype_ts);

/* ---- reading ---- */

struct df_object;

struct df_open_spec {
    struct timestamp now; /* the clock by which objects have expired */
    bool open_expired;
    size_t read_ahead; /* read up to this many first bytes in the same go; 0: none.
                        * If that is the whole object it is verified before opened(). */
    bool info_only;    /* HEAD, POST: nothing will be read */
    bool drop_cache;   /* leave nothing in the page cache, however small the object */
    const struct fragment_wish *wish; /* erasure coding: lent until opened(); or NULL */
};

/* opened() once, later. res 0: df_object_info() tells what was found, DF_ABSENT included.
 * res < 0: the object is freed when opened() returns. */
struct df_object *df_open(struct df_thread *t, const struct df_name *name,
                          const struct df_open_spec *spec,
                          void (*opened)(void *arg, struct df_object *o, int res), void *arg);

/* The object at once, without callback, if it is small, was read lately and is still what it
 * was; then it is as after opened(0), all of it in df_object_first(). NULL: call df_open(). */
struct df_object *df_open_hot(struct df_thread *t, const struct df_name *name,
                              const struct df_open_spec *spec, void *arg);

const struct df_info *df_object_info(const struct df_object *o);

/* The bytes read by read_ahead (from offset 0), borrowed until close. */
struct slice df_object_first(const struct df_object *o);

/* One read at a time. done() gets the count, short only at the end of the object, or -errno.
 * `buf` is lent until then. Reading from 0 through to the end verifies size and checksum: the
 * read that reaches the end answers -EBADMSG instead of the last bytes, the object is
 * quarantined, so that nobody takes an altered object for a whole one. */
void df_read(struct df_object *o, void *buf, size_t len, uint64_t off,
             void (*done)(void *arg, int res), void *arg);

/* Also while an operation is in flight: its callback then never comes. */
void df_object_close(struct df_object *o);

/* ---- updates that wait ---- */

/* Leaves a container update on `device` for Swift's object-updater: durable when done(0) comes.
 * The file's name is made of the update's account, container and object and of `timestamp`;
 * one that is there is replaced. Everything is copied: nothing is lent. The device's limit
 * of requests does not count here, for the request that caused this was admitted. done() comes
 * once, later; false: no memory, and it never comes. */
bool df_pending_write(struct df_thread *t, struct slice device, unsigned policy,
                      struct timestamp timestamp, const struct pending_update *update,
                      void (*done)(void *arg, int res), void *arg);

/* ---- replication: what other nodes ask about a partition ---- */

/* Slices are lent until done(). Like the hashes below they are single path components, checked by
 * the caller. These operations are not counted against the device's limit of requests: whoever
 * replicates has a limit of his own. done() comes once, later; false: no memory, and it never
 * comes. */
struct df_partition {
    unsigned policy;
    struct slice device;
    struct slice partition;
};

/* Is the device usable now? done(0), or -ENODEV and others as df_open() has them. */
bool df_device_check(struct df_thread *t, const struct df_partition *p,
                     void (*done)(void *arg, int res), void *arg);

/* The right to talk about a partition, by the locks that Swift's daemons take: one conversation
 * for each partition, and `slots` for each device (0: any number). One attempt, which does not
 * wait. done(0) gets the lock, done(-EAGAIN) the path of the one that somebody else holds (lent
 * for the call). Makes the partition's directory. */
struct df_conversation;
bool df_converse(struct df_thread *t, const struct df_partition *p, unsigned slots,
                 void (*done)(void *arg, int res, struct df_conversation *take, const char *held),
                 void *arg);
void df_conversation_end(struct df_conversation *take);

/* Looks at hash directories one after the other, cleaning each up first; damage is put away.
 * Expired objects count as live. */
struct df_visit {
    const char (*hashes)[HASH_HEX_LEN + 1]; /* 32 hex digits in lower case each; lent */
    unsigned count;
    const struct fragment_wish *wish; /* lent; or NULL */
    /* On a POOL THREAD, as df_upload_calls.judge. What lies under hashes[i]; `info` has the
     * fragments also of what is not readable, and is NULL if the disk would not tell. True: make
     * the pending fragment of time *ret_ts and of the wish's index durable, then show the
     * directory again, once; that answer is not looked at. -errno of that comes in `res`. */
    bool (*see)(void *arg, unsigned i, const struct df_info *info, int res,
                struct timestamp *ret_ts);
};
/* done(-ENODEV): the device went away, and not all was seen. */
bool df_visit(struct df_thread *t, const struct df_partition *p, const struct df_visit *visit,
              void (*done)(void *arg, int res), void *arg);

/* ---- what replication compares ---- */

struct df_hashes {
    struct slice pickle; /* borrowed for done() */
    unsigned hashed;     /* suffixes that had to be looked at */
};

/* The hashes of a partition's suffixes, those that changed computed anew: what REPLICATE answers, a
 * pickled dict. A partition that is not there has none and is not made. done() comes once, later;
 * nothing is lent. It may take minutes, is called off by df_thread_hurry() only, and is worth
 * finishing for the next who asks. `partition` as in struct df_name. false: no memory, done() never
 * comes. */
bool df_hashes_get(struct df_thread *t, unsigned policy, struct slice device,
                   struct slice partition,
                   void (*done)(void *arg, int res, const struct df_hashes *found), void *arg);

/* Marks suffixes ("abc-def-...") as changed, for somebody puts files there without telling; what is
 * no suffix is passed over. Nothing is found. */
bool df_hashes_forget(struct df_thread *t, unsigned policy, struct slice device,
                      struct slice partition, struct slice suffixes,
                      void (*done)(void *arg, int res, const struct df_hashes *found), void *arg);

/* ---- watching ---- */

/* Time per step of the last upload or open, for the access line: "lookup=0.1 write=..." in
 * milliseconds. Callable in finished()/opened(). Returns the length written. */
size_t df_upload_times(const struct df_upload *u, char *text, size_t len);

size_t df_object_times(const struct df_object *o, char *text, size_t len);

/* The same as numbers: one call for each step that took time. `name` is static text. */
void df_upload_each_step(const struct df_upload *u,
                         void (*each)(void *arg, const char *name, uint64_t ns), void *arg);
void df_object_each_step(const struct df_object *o,
                         void (*each)(void *arg, const char *name, uint64_t ns), void *arg);
uint64_t df_upload_write_ns(const struct df_upload *u); /* of these, writing the bytes */

/* One call per operation in flight on this thread: what it is, its step, its age. */
void df_thread_each_inflight(struct df_thread *t,
                             void (*each)(void *arg, void *owner, const char *step,
                                          uint64_t age_ms),
                             void *arg);

#endif
