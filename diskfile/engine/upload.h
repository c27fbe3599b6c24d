/* SPDX-License-Identifier: Apache-2.0 */
/* upload.h -- the inside of a df_upload: its state, its table of steps.
 *
 *   LOOK -> OPEN -> WAIT <-> DATA
 *                    |
 *                   META -> SYNC -> PLACE <-> LINK --> CONFIRM -> ... -> CLOSE -> END
 *                                     ^        |          ^
 *                                     `---- REPLACE ------'
 *   an error: from anywhere to CLOSE; an abort: from anywhere before LINK
 *
 * and where the dots are:
 *
 *   CLEAN [-> HOLD]                                          a whole object, .meta, tombstone
 *   [HOLD ->] DURABLE -> SETTLE -> CLEAN                     a fragment of an erasure-coded object
 *               `-> OVERTAKEN                                  (abort in HOLD: straight to CLOSE)
 *
 * I1  Before LINK no name leads to the inode (where the file system has no O_TMPFILE: only a
 *     temporary name that is never listed). A crash leaves no half-visible object.
 * I2  LINK starts only after SYNC succeeded, with no write or xattr since.
 * I3  finished(0) comes only after LINK, then fsync of the file, then fgetxattr succeeded.
 * I4  An error after LINK means "unknown", never "not stored".
 * I5  At most one chain in flight per upload; finished() comes with none.
 * I6  The suffix is in hashes.invalid before LINK (Swift mode), and at the end of CLEAN still, or
 * what took it out saw the new name. I7  No directory is made before PLACE: who hangs up during the
 * body leaves nothing. I8  After a write that the disk failed no upload begins on the device before
 * a probe has shown that it takes writes again (store_write_check()). I9  An erasure-coded fragment
 * gets its durable name (DURABLE) only after CONFIRM has succeeded under its pending one and, with
 * spec.hold, the caller has said so; and finished(0) comes only after SETTLE has made that name
 * survive a power cut. I10 A file gets its name only if it is as long as what the caller appended.
 *
 * Runs: steps whose order is certain leave for the disk as one chain; a small upload that was
 * committed before it started is one chain from LOOK to CLOSE. advance() is the only writer
 * of u->state; after a chain it walks the steps that were in it, each judging its own result. */
#ifndef OBJSRV_UPLOAD_H
#define OBJSRV_UPLOAD_H

#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/thread.h"

enum upload_state {
    U_LOOK,      /* device usable, space, what exists; the judge decides */
    U_OPEN,      /* O_TMPFILE in the nearest directory that exists */
    U_WAIT,      /* for the caller: bytes, commit, abort */
    U_DATA,      /* the caller's bytes */
    U_META,      /* metadata xattrs: size and checksum are now known */
    U_SYNC,      /* data on the device, nameless */
    U_PLACE,     /* suffix marked, directories made; stand-alone: locked and judged again */
    U_LINK,      /* commit point: the name appears */
    U_REPLACE,   /* the name is taken: same timestamp. Ours goes over it */
    U_CONFIRM,   /* the name is durable and the file system still alive: the answer is true */
    U_HOLD,      /* spec.hold: for the caller, who asks the other nodes */
    U_DURABLE,   /* a fragment gets the name by which readers find it */
    U_OVERTAKEN, /* ours is gone: replaced by something as good? */
    U_SETTLE,    /* that name is durable */
    U_CLEAN,     /* what lost is removed */
    U_CLOSE,     /* every path ends here, also errors */
    U_END,
    U_STATES
};

#define UPLOAD_XATTR_CHUNKS 8 /* of XATTR_CHUNK_BYTES: far above what HTTP limits let in */

struct df_upload {
    struct df_thread *thread;
    struct inflight inflight;
    struct df_upload_calls calls;
    void *arg;
    struct df_upload_spec spec;
    struct object_place place;

    enum upload_state state;
    enum upload_state run[U_STATES]; /* the steps of the chain in flight */
    unsigned run_count;
    int err;   /* the first error */
    bool busy; /* a chain is in flight, or advance() is running */
    bool is_due;
    bool admitted;
    bool placed; /* place_init() was good */
    bool aborted, committed, linked;
    bool told_stored, released; /* spec.hold */
    int fragment;               /* its index, or FILE_NO_FRAGMENT */
    struct df_upload *next_due;

    const char *given; /* appended, not yet queued */
    size_t given_len;
    char *writing; /* queued */
    size_t writing_len;
    uint64_t appended; /* given by the caller in all */
    uint64_t size;     /* written so far */
    uint64_t unsynced; /* written since the last write-back */

    char *pickle; /* metadata as it goes into the xattrs */
    size_t pickle_len;
    char checksum[HASH_HEX_LEN + 1];
    char check[HASH_HEX_LEN]; /* CONFIRM's reading */

    int fd, lock_fd;
    struct file_identity hashes_seen; /* I6: hashes.pkl before the mark */
    unsigned existed_len;             /* how much of the path was there before this upload */
    unsigned attempts;                /* of OPEN, LINK */
    bool named;                       /* no O_TMPFILE: the file is made under tmp_path */
    bool tmp_named;                   /* tmp_path exists and is ours to remove */
    uint64_t step_ns[U_STATES];
    struct disk_chain chain;

    char tmp_path[PATH_MAX];
    char open_path[PATH_MAX];
    char target[PATH_MAX + FILENAME_MAX_LEN];
    char durable_target[PATH_MAX + FILENAME_MAX_LEN]; /* of a fragment */
};

struct upload_step {
    const char *name;       /* access line, stuck-request dump */
    enum upload_state next; /* when all is well; U_WAIT: by what the caller has given */
    void (*add)(struct df_upload *u, struct disk_chain *chain); /* its ops, maybe none */
    enum upload_state (*done)(struct df_upload *u, int res);    /* judge it, name the next step */
};

extern const struct upload_step upload_steps[U_STATES];

/* Notes the first error; everything goes on at CLOSE. */
enum upload_state upload_give_up(struct df_upload *u, int err);
/* The step after `s` when it has succeeded. */
enum upload_state upload_onward(const struct df_upload *u, enum upload_state s);

#endif
