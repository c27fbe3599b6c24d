/* SPDX-License-Identifier: Apache-2.0 */
/* hashdir.h -- what is done to one object's hash directory, as blocking functions.
 *
 * Each is run by a DISK_CALL on a pool thread of the device (or by a tool). They know paths
 * and files; upload.c and object.c know the order in which things must happen.
 * Errors: 0 or -errno. Threads: any; one struct object_place is used by one at a time. */
#ifndef OBJSRV_HASHDIR_H
#define OBJSRV_HASHDIR_H

#include "diskfile/engine/store.h"
#include "diskfile/format/select.h"
#include <limits.h>
#include <sys/stat.h>

/* Where an object lives. Filled without I/O; paths are absolute. */
struct object_place {
    struct df_store *store;
    struct store_device *device;
    const struct df_policy *policy;
    struct object_hash hash;
    char *object_name; /* "/a/c/o": object_name_len bytes, may hold NUL */
    size_t object_name_len;
    bool locked; /* the caller holds hashdir_lock(): set by it, so that no function here waits
                  * for a lock that its own caller has */
    char dir[PATH_MAX];     /* the hash directory */
    unsigned device_len;    /* of dir: <device> */
    unsigned objects_len;   /*   .../objects[-N] */
    unsigned partition_len; /*   .../<partition> */
    unsigned suffix_len;    /*   .../<suffix> */
    unsigned dir_len;       /*   .../<hash> */
};

/* -ENODEV, -ENAMETOOLONG, -EINVAL (unknown policy), -ENOMEM. */
int place_init(struct df_store *store, const struct df_name *name, struct object_place *ret);
void place_release(struct object_place *p);

/* The same for a hash directory that somebody found, whatever it is called: object_name is NULL,
 * so load it by_directory. -ENAMETOOLONG. */
int place_of_directory(struct df_store *store, struct store_device *device,
                       const struct df_policy *policy, struct slice partition, struct slice suffix,
                       struct slice name, struct object_place *ret);

/* "objects" or "objects-1": how a policy's directories are called. Returns the length. */
size_t policy_path_component(const char *base, unsigned policy_index, char text[24]);

/* ---- looking ---- */

#define REASON_MAX 256

/* What tells whether a file is still the one that was read, unchanged. */
struct file_identity {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

void file_identity_of(const struct stat *st, struct file_identity *ret);
bool file_identity_eq(const struct file_identity *a, const struct file_identity *b);

/* Of an object found live, if load_spec.want_identity. */
struct object_identity {
    struct file_identity dir, file;
    bool sole_file; /* nothing else lies in the hash directory */
};

/* What hashdir_load() found: df_info's owner; info points into it, so it stays where it is.
 * hashdir_load() initialises it, object_state_release() takes a zeroed one with fd -1 too. */
struct object_state {
    struct df_info info;
    struct fragment *fragments; /* info.fragments */
    struct metadata merged, data, meta;
    struct object_identity identity;
    int fd;         /* the data file, open for reading; -1 unless wanted and there */
    char file[256]; /* the data file's name, for hashdir_quarantine() */
};

struct load_spec {
    struct timestamp now;
    bool open_expired;
    bool want_identity;
    bool keep_fd;                     /* leave state->fd open */
    const struct fragment_wish *wish; /* erasure coding, or NULL */
    /* What only an auditor wants: */
    bool by_directory;    /* the place has no object's name: that of the metadata must hash to the
                           * directory's (a missing one: -EINVAL) */
    bool add_checksum;    /* to metadata from before there were checksums */
    const int *suffix_fd; /* the suffix directory, open: the hash directory is looked up in it,
                           * so that the kernel need not walk the whole path; or NULL */
    /* What only replication wants: */
    bool let_strangers_be; /* by_directory: a name that hashes elsewhere is -EINVAL, not damage */
    bool list_pending;     /* info has the fragments even if none of them can be read */
    /* Instead of hashdir_quarantine(), with its results; 0 need not mean "moved". `file` and
     * `fd` as there. */
    int (*damaged)(void *arg, const struct object_place *p, const char *file, int fd,
                   const char *reason);
    void *damaged_arg;
    struct selection *ret_selection; /* what was listed, yours to release after 0 (count 0: there
                                      * is no directory, or it is empty); or NULL */
};

/* Lists, chooses, opens, reads metadata, merges, checks (on-disk-format 8, in that order);
 * quarantines what is damaged (state is then DF_ABSENT with info.quarantined). 0 whatever was
 * found; -EEXIST for another object's name in this place; other -errno when the disk would
 * not tell. */
int hashdir_load(const struct object_place *p, const struct load_spec *spec,
                 struct object_state *ret_state);
void object_state_release(struct object_state *s); /* closes fd too */

/* `to` is uninitialised; `from` is as if released afterwards. */
void object_state_move(struct object_state *to, struct object_state *from);

/* Lists and chooses only. -ENOENT: no such directory. *ret_dirfd: the directory, yours to
 * close; may be NULL. */
int hashdir_select(const struct object_place *p, struct selection *ret_selection, int *ret_dirfd);

/* How much of `dir` exists: one of the *_len of the place (device_len at least). */
unsigned hashdir_existing(const struct object_place *p);

/* ---- changing ---- */

/* mkdir -p below the device. *ret_existed_len: the length of the deepest directory that existed
 * before. -ENODEV when the device's own directory is gone: it is never made. */
int hashdir_make(const struct object_place *p, unsigned *ret_existed_len);

/* fsync of every directory from the hash directory up to the one of existed_len. */
int hashdir_sync(const struct object_place *p, unsigned existed_len);

/* Marks the suffix in hashes.invalid under the partition's .lock (on-disk-format 9 step 6,
 * 11): makes the partition if need be. -ETIMEDOUT after lock_timeout_ms. */
int hashdir_invalidate(const struct object_place *p);

/* A mark is taken by whoever hashes the suffix next, maybe before what it announced has come about:
 * then it must be made again. So: look, invalidate, change, and look again; if the identity of
 * hashes.pkl is another one, invalidate again. All zero: there is no hashes.pkl. */
void hashdir_hashes_identity(const struct object_place *p, struct file_identity *ret);

/* The partition's .lock, held until *ret_fd is closed. Makes the partition if need be. */
int hashdir_lock(const struct object_place *p, int *ret_fd);

/* A lock file of the partition, which is made if need be: `name` as ".lock-replication". The
 * descriptor, yours to close, or -EAGAIN: somebody else has it. */
int hashdir_try_lock(const struct object_place *p, const char *name);

/* Gives the pending fragment of this time and index its durable name, marks the suffix, syncs
 * and cleans up. -ENOENT: there is none. */
int hashdir_make_durable(const struct object_place *p, struct timestamp ts, int index);

/* The same, but -ENOENT instead of making the partition. */
int hashdir_lock_existing(const struct object_place *p, int *ret_fd);

/* Section 6: unlinks what lost, removes the directory if nothing is left. Errors of single
 * unlinks are ignored on purpose: the next visit tries again. */
int hashdir_clean(const struct object_place *p, struct timestamp now);

/* The same, and what is left: all entries of *ret_selection but the VERDICT_OBSOLETE ones, which
 * are gone. -ENOENT: no such directory. Release it after 0. */
int hashdir_clean_select(const struct object_place *p, struct timestamp now,
                         struct selection *ret_selection);

/* Links `file` of this place into the partition that the object has at `power` (2 to 32), and
 * cleans the directory there. If it is there already, the one at power - 1 is cleaned. What goes
 * wrong is reported as an event: the object is stored all the same. */
void hashdir_link_next_power(const struct object_place *p, const char *file, unsigned power);

/* Erasure coding, the two phases of the same: a pending fragment is linked and nothing cleaned;
 * once it is durable the link gets the durable name, too, and what that makes obsolete goes. */
void hashdir_link_pending(const struct object_place *p, const char *file, unsigned power);
void hashdir_rename_next_power(const struct object_place *p, const char *pending,
                               const char *durable, unsigned power);

/* Erasure coding: has a newer tombstone, or a durable fragment of this time or later, taken the
 * place of a fragment that is gone? 0, -ENOENT, or what listing said. */
int hashdir_is_overtaken(const struct object_place *p, struct timestamp ts);

/* Removes directories that an upload made and nobody uses, from the hash directory up to
 * existed_len; stops at the first that is not empty. */
void hashdir_unmake(const struct object_place *p, unsigned existed_len);

/* Invalidates the suffix, moves the hash directory to <device>/quarantined (section 14) and
 * reports DF_EVENT_QUARANTINE. `file` names the bad file, `fd` is that file, open; NULL and -1:
 * the hash directory itself is bad. -ESTALE: a newer version has taken the file's place, which
 * must not go with it; nothing was done. */
int hashdir_quarantine(const struct object_place *p, const char *file, int fd, const char *reason);

/* Where not even the hash directory can be moved: the whole suffix directory. */
int hashdir_quarantine_suffix(const struct object_place *p, const char *reason);

/* ---- metadata on a file (section 7) ---- */

/* -EBADMSG: none, or corrupt (quarantine), with the reason in words. -ENOTSUP, -EIO.
 * *ret_checked: it has a checksum, which was right; may be NULL. */
int xattr_read_metadata(int fd, struct metadata *ret, bool *ret_checked, char reason[REASON_MAX]);

/* Gives a file from before there were checksums its own. 0 also when it has one. */
int xattr_add_checksum(int fd);

#define XATTR_METADATA    "user.swift.metadata"
#define XATTR_CHECKSUM    "user.swift.metadata_checksum"
#define XATTR_CHUNK_BYTES 65536

#endif
