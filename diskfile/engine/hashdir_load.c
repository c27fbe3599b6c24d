/* SPDX-License-Identifier: Apache-2.0 */
/* hashdir_load.c -- what object is in a hash directory (on-disk-format 8, in its order).
 *
 * This is the whole of HEAD and most of GET: one open and one read of the directory, then one
 * open and two fgetxattr per file, nothing more when all is well.
 *
 * A file may vanish between listing and opening, since writers remove what they replace;
 * then everything is read again (LOAD_AGAIN), so a reader sees one version or the next. */
#include "diskfile/engine/hashdir.h"
#include "diskfile/engine/merge.h"
#include "diskfile/format/number.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_BUFFER_BYTES 4096
#define LOAD_ATTEMPTS_MAX 16

enum { LOAD_AGAIN = 1 };

struct loading {
    const struct object_place *place;
    const struct load_spec *spec;
    struct object_state *state;
    struct selection chosen;
    int dirfd;
};

/* ---- listing ---- */

static struct file_policy file_policy_of(const struct df_policy *policy)
{
    return (struct file_policy){
        .erasure_coded = policy->erasure_coded,
        .fragments = (int)(policy->data_fragments + policy->parity_fragments),
    };
}

/* A directory, a symbolic link, a FIFO: whatever it is called, it is no part of an object. */
static bool is_no_file(const struct dirent64 *entry)
{
    return entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN;
}

/* "." and ".." were not added. */
static void disown(struct select_entry *last, const char *name)
{
    if (strcmp(last->name, name) != 0)
        return;
    last->file = (struct file_name){.kind = FILE_UNEXPECTED, .fragment = FILE_NO_FRAGMENT};
    last->verdict = VERDICT_FOREIGN;
}

/* By getdents64: opendir() would allocate 32 KiB for the one or two names there are. */
static int list(int dirfd, const struct file_policy *policy, struct selection *s)
{
    _Alignas(struct dirent64) char buffer[LIST_BUFFER_BYTES];
    for (;;) {
        ssize_t n = getdents64(dirfd, buffer, sizeof(buffer));
        if (n <= 0)
            return n < 0 ? -errno : 0;
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
            int r = select_add(s, slice_of(entry->d_name), policy);
            if (r < 0)
                return r;
            if (is_no_file(entry) && s->count > 0)
                disown(&s->entries[s->count - 1], entry->d_name);
            at += entry->d_reclen;
        }
    }
}

static int open_hashdir(const struct object_place *p, const int *suffix_fd)
{
    return suffix_fd ? openat(*suffix_fd, p->dir + p->suffix_len + 1, /* behind the slash */
                              O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                     : open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int select_for(const struct object_place *p, const struct load_spec *spec,
                      struct selection *ret_selection, int *ret_dirfd)
{
    int dirfd = open_hashdir(p, spec->suffix_fd);
    if (dirfd < 0)
        return -errno;
    struct file_policy policy = file_policy_of(p->policy);
    struct selection s;
    select_init(&s);
    int r = list(dirfd, &policy, &s);
    if (r < 0) {
        select_release(&s);
        close(dirfd);
        return r;
    }
    select_files(&s, &policy, spec->wish);
    *ret_selection = s;
    if (ret_dirfd)
        *ret_dirfd = dirfd;
    else
        close(dirfd);
    return 0;
}

int hashdir_select(const struct object_place *p, struct selection *ret_selection, int *ret_dirfd)
{
    static const struct load_spec plain = {0};
    return select_for(p, &plain, ret_selection, ret_dirfd);
}

/* ---- damage ---- */

static void state_init(struct object_state *s)
{
    memset(s, 0, offsetof(struct object_state, file));
    s->file[0] = '\0';
    s->fd = -1;
}

static int put_away(struct loading *l, const char *file, int fd, const char *reason)
{
    const struct load_spec *spec = l->spec;
    int r = spec->damaged ? spec->damaged(spec->damaged_arg, l->place, file, fd, reason)
                          : hashdir_quarantine(l->place, file, fd, reason);
    if (r == -ESTALE)
        return LOAD_AGAIN;
    if (r < 0)
        return r;
    object_state_release(l->state);
    state_init(l->state);
    l->state->info.quarantined = true;
    return 0;
}

__attribute__((format(printf, 4, 5))) static int damaged(struct loading *l, const char *file,
                                                         int fd, const char *format, ...)
{
    char reason[REASON_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return put_away(l, file, fd, reason);
}

static bool cannot_be_listed(int r)
{
    return r == -ENODATA || r == -EUCLEAN;
}

static int directory_damaged(struct loading *l, int error)
{
    char reason[PATH_MAX + 64];
    const char *dir = l->place->dir;
    if (error == -ENOTDIR) {
        snprintf(reason, sizeof(reason), "Expected directory, found file at %s", dir);
        return put_away(l, NULL, -1, reason);
    }
    snprintf(reason, sizeof(reason), "Failed to list directory at %s", dir);
    int r = put_away(l, NULL, -1, reason);
    if (r >= 0)
        return r;
    r = hashdir_quarantine_suffix(l->place, reason);
    l->state->info.quarantined = r == 0;
    return r;
}

/* ---- one file ---- */

static const struct select_entry *entry_of(const struct loading *l, int chosen)
{
    return &l->chosen.entries[chosen];
}

/* Opens a chosen file and reads its metadata. *ret_fd is open after 0. */
static int read_file(struct loading *l, int chosen, struct metadata *ret, int *ret_fd)
{
    char reason[REASON_MAX];
    const char *name = entry_of(l, chosen)->name;
    int fd = openat(l->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        int error = -errno;
        if (error == -ENOENT)
            return LOAD_AGAIN;
        if (cannot_be_listed(error))
            return damaged(l, name, -1, "Failed to open %s: %s", name, strerror(-error));
        return error;
    }
    bool checked = false;
    int r = xattr_read_metadata(fd, ret, &checked, reason);
    if (r == 0 && !checked && l->spec->add_checksum)
        (void)xattr_add_checksum(fd); /* a read-only disk can be audited too */
    if (r == 0) {
        *ret_fd = fd;
        return 0;
    }
    if (r == -EBADMSG || cannot_be_listed(r))
        r = put_away(l, name, fd, reason[0] ? reason : strerror(-r));
    close(fd);
    return r;
}

/* The same, where only the metadata is wanted. */
static int read_file_metadata(struct loading *l, int chosen, struct metadata *ret)
{
    int fd = -1;
    int r = read_file(l, chosen, ret, &fd);
    if (fd >= 0)
        close(fd);
    return r;
}

static bool goes_on(const struct loading *l, int r)
{
    return r == 0 && !l->state->info.quarantined;
}

/* X-Timestamp as the metadata has it, or else as the file is called. */
static struct timestamp time_of(const struct metadata *m, const struct select_entry *entry)
{
    struct timestamp ts = metadata_time(m, "X-Timestamp");
    return timestamp_is_zero(ts) ? entry->file.timestamp : ts;
}

static int load_tombstone(struct loading *l)
{
    struct object_state *s = l->state;
    int r = read_file_metadata(l, l->chosen.tombstone, &s->data);
    if (!goes_on(l, r))
        return r;
    s->info.state = DF_DELETED;
    s->info.timestamp = time_of(&s->data, entry_of(l, l->chosen.tombstone));
    return 0;
}

/* ---- an object ---- */

static int load_meta(struct loading *l)
{
    struct object_state *s = l->state;
    const struct selection *c = &l->chosen;
    int r = read_file_metadata(l, c->meta, &s->meta);
    if (goes_on(l, r) && c->ctype >= 0 && c->ctype != c->meta) {
        struct metadata ctype = {0};
        r = read_file_metadata(l, c->ctype, &ctype);
        if (goes_on(l, r))
            r = merge_content_type(&s->meta, &ctype, s->info.data_timestamp);
        metadata_release(&ctype);
    }
    if (!goes_on(l, r))
        return r;
    s->info.has_meta = true;
    s->info.meta_metadata = &s->meta;
    r = merge_metadata(&s->data, &s->meta, s->info.data_timestamp, &s->merged,
                       &s->info.ctype_from_meta);
    s->info.metadata = &s->merged;
    return r;
}

/* Account, container and object, parted by the first two slashes. */
static bool hashes_to(const struct object_place *p, struct slice name)
{
    struct slice part[3] = {{name.at, 0}};
    struct object_hash hash;
    const char *end = name.at + name.len, *at = name.at;
    while (at < end && *at == '/')
        at++;
    for (int i = 0; i < 3; i++) {
        const char *slash = i < 2 ? memchr(at, '/', (size_t)(end - at)) : end;
        if (!slash)
            return false;
        part[i] = (struct slice){at, (size_t)(slash - at)};
        at = slash + (slash < end);
    }
    hash_path(&p->store->options.hash_key, part[0], part[1], part[2], &hash);
    return strcmp(hash.hex, p->hash.hex) == 0;
}

static int check_name_by_directory(struct loading *l)
{
    const struct slice *name = metadata_get(l->state->info.metadata, "name");
    if (!name)
        return -EINVAL;
    bool fits = hashes_to(l->place, *name);
    if (!fits && l->spec->let_strangers_be)
        return -EINVAL;
    if (!fits)
        return damaged(l, l->state->file, l->state->fd,
                       "Hash of name in metadata does not match directory name");
    return 0;
}

static int check_name(struct loading *l)
{
    if (l->spec->by_directory)
        return check_name_by_directory(l);
    const struct slice *name = metadata_get(l->state->info.metadata, "name");
    if (!name)
        return damaged(l, l->state->file, l->state->fd, "missing name metadata");
    if (!slice_eq(*name, (struct slice){l->place->object_name, l->place->object_name_len}))
        return -EEXIST;
    return 0;
}

/* 0, or LOAD_AGAIN, or quarantined. An integer without end is one that never comes. */
static int check_expiry(struct loading *l)
{
    struct object_state *s = l->state;
    const struct slice *text = metadata_get(s->info.metadata, "X-Delete-At");
    if (!text)
        return 0;
    struct number at = {0};
    int r = number_parse(*text, 10, &at);
    if (r == -EINVAL)
        return damaged(l, s->file, s->fd, "bad metadata x-delete-at value %.*s",
                       (int)(text->len < 80 ? text->len : 80), text->at);
    bool never = r == -ERANGE && !at.negative;
    bool due =
        at.negative || (!never && at.magnitude <= l->spec->now.ticks / TIMESTAMP_TICKS_PER_S);
    if (due && !l->spec->open_expired)
        s->info.state = DF_EXPIRED;
    return 0;
}

static int check_size(struct loading *l)
{
    struct object_state *s = l->state;
    const struct slice *text = metadata_get(s->info.metadata, "Content-Length");
    struct number length;
    struct stat st;
    if (!text)
        return damaged(l, s->file, s->fd, "missing content-length in metadata");
    if (number_parse(*text, 10, &length) < 0)
        return damaged(l, s->file, s->fd, "bad metadata content-length value %.*s",
                       (int)(text->len < 80 ? text->len : 80), text->at);
    if (fstat(s->fd, &st) < 0)
        return -errno;
    if (length.negative || length.magnitude != (uint64_t)st.st_size)
        return damaged(l, s->file, s->fd,
                       "metadata content-length %.*s does not match actual object size %lld",
                       (int)(text->len < 80 ? text->len : 80), text->at, (long long)st.st_size);
    s->info.size = (uint64_t)st.st_size;
    file_identity_of(&st, &s->identity.file);
    return 0;
}

/* After the listing is as good as before it, for whoever trusts only what has not changed for
 * longer than this took (hot.h, H3). */
static int identify(struct loading *l)
{
    struct stat st;
    if (fstat(l->dirfd, &st) < 0)
        return -errno;
    file_identity_of(&st, &l->state->identity.dir);
    l->state->identity.sole_file = l->chosen.count == 1;
    return 0;
}

static void fill_times(struct object_state *s, const struct select_entry *data_entry)
{
    const struct metadata *m = s->info.metadata;
    s->info.timestamp = time_of(m, data_entry);
    s->info.ctype_timestamp = metadata_time(m, "Content-Type-Timestamp");
    if (timestamp_is_zero(s->info.ctype_timestamp))
        s->info.ctype_timestamp = s->info.data_timestamp;
}

/* An expired object is not looked at further, as in Swift: nobody will get its bytes. */
static int check(struct loading *l)
{
    struct object_state *s = l->state;
    int r = check_name(l);
    if (goes_on(l, r))
        r = check_expiry(l);
    if (goes_on(l, r) && s->info.state != DF_EXPIRED)
        r = check_size(l);
    return r;
}

/* ---- fragments ---- */

static int compare_fragments(const void *a, const void *b)
{
    const struct fragment *x = a, *y = b;
    int order = timestamp_cmp(y->timestamp, x->timestamp);
    return order ? order : x->index - y->index;
}

static int list_fragments(struct loading *l)
{
    struct object_state *s = l->state;
    const struct selection *c = &l->chosen;
    unsigned count = 0;
    s->fragments = malloc((c->count + 1) * sizeof(*s->fragments));
    if (!s->fragments)
        return -ENOMEM;
    for (unsigned i = 0; i < c->count; i++) {
        const struct select_entry *e = &c->entries[i];
        if (select_is_listed(e))
            s->fragments[count++] = (struct fragment){e->file.timestamp, e->file.fragment};
    }
    qsort(s->fragments, count, sizeof(*s->fragments), compare_fragments);
    s->info.fragments = s->fragments;
    s->info.fragment_count = count;
    if (c->durable >= 0)
        s->info.durable_timestamp = entry_of(l, c->durable)->file.timestamp;
    return 0;
}

static int load_data(struct loading *l)
{
    struct object_state *s = l->state;
    const struct select_entry *entry = entry_of(l, l->chosen.data);
    snprintf(s->file, sizeof(s->file), "%s", entry->name);
    int r = read_file(l, l->chosen.data, &s->data, &s->fd);
    if (!goes_on(l, r))
        return r;
    s->info.state = DF_LIVE;
    s->info.data_metadata = s->info.metadata = &s->data;
    s->info.data_timestamp = time_of(&s->data, entry);
    if (l->chosen.meta >= 0)
        r = load_meta(l);
    if (goes_on(l, r))
        r = check(l);
    if (!goes_on(l, r))
        return r;
    fill_times(s, entry);
    if (l->place->policy->erasure_coded)
        r = list_fragments(l);
    if (r == 0 && l->spec->want_identity)
        r = identify(l);
    if (!l->spec->keep_fd || s->info.state != DF_LIVE) {
        close(s->fd);
        s->fd = -1;
    }
    return r;
}

/* ---- all of it ---- */

static bool wants_pending(const struct loading *l)
{
    return l->spec->list_pending && l->place->policy->erasure_coded && !l->state->fragments;
}

static int load_once(struct loading *l)
{
    int r = select_for(l->place, l->spec, &l->chosen, &l->dirfd);
    if (r == -ENOENT)
        return 0;
    if (r == -ENOTDIR || cannot_be_listed(r))
        return directory_damaged(l, r);
    if (r < 0)
        return r;
    if (l->chosen.data >= 0)
        r = load_data(l);
    else if (l->chosen.tombstone >= 0)
        r = load_tombstone(l);
    if (goes_on(l, r) && wants_pending(l))
        r = list_fragments(l);
    if (r == 0 && l->spec->ret_selection)
        *l->spec->ret_selection = l->chosen;
    else
        select_release(&l->chosen);
    close(l->dirfd);
    return r;
}

int hashdir_load(const struct object_place *p, const struct load_spec *spec,
                 struct object_state *ret_state)
{
    struct loading l = {.place = p, .spec = spec, .state = ret_state, .dirfd = -1};
    int r = LOAD_AGAIN;
    if (spec->ret_selection)
        select_init(spec->ret_selection);
    for (int attempt = 0; r == LOAD_AGAIN && attempt < LOAD_ATTEMPTS_MAX; attempt++) {
        state_init(ret_state);
        r = load_once(&l);
        if (r != 0)
            object_state_release(ret_state);
    }
    return r == LOAD_AGAIN ? -EBUSY : r;
}

void file_identity_of(const struct stat *st, struct file_identity *ret)
{
    *ret = (struct file_identity){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = st->st_size,
        .mtime = st->st_mtim,
        .ctime = st->st_ctim,
    };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_identity_eq(const struct file_identity *a, const struct file_identity *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

static const struct metadata *moved(const struct metadata *at, const struct object_state *from,
                                    const struct object_state *to)
{
    return at == &from->merged ? &to->merged
           : at == &from->data ? &to->data
           : at == &from->meta ? &to->meta
                               : NULL;
}

void object_state_move(struct object_state *to, struct object_state *from)
{
    *to = *from;
    to->info.metadata = moved(from->info.metadata, from, to);
    to->info.data_metadata = moved(from->info.data_metadata, from, to);
    to->info.meta_metadata = moved(from->info.meta_metadata, from, to);
    state_init(from);
}

void object_state_release(struct object_state *s)
{
    metadata_release(&s->merged);
    metadata_release(&s->data);
    metadata_release(&s->meta);
    free(s->fragments);
    if (s->fd >= 0)
        close(s->fd);
    state_init(s);
}
