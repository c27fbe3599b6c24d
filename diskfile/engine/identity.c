/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c -- see identity.h. */
#include "diskfile/engine/directory.h"
#include "diskfile/engine/identity_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_POWER 10

struct data_dir {
    char *path;
    int fd;     /* holds the lock; -1: does not exist yet */
    bool named; /* has an identity file: `file` */
    bool empty;
    struct identity_file file;
    dev_t dir_dev; /* the directory */
    ino_t dir_ino;
    atomic_ullong dev, ino; /* the identity file, as last seen to be right */
};

struct identity {
    unsigned count;
    struct data_dir *dirs; /* as configured; after identity_open() in identity order */
    pthread_mutex_t recheck;
    const int *locks; /* identity_open() only */
    unsigned lock_count;
    bool is_new;
    char *problem; /* identity_open() only */
    size_t problem_len;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct identity *id, int error,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(id->problem, id->problem_len, format, args);
    va_end(args);
    return error;
}

/* ---- what is there ---- */

static bool harmless(const char *name)
{
    static const char *const names[] = {".", "..", "lost+found", "tmp", IDENTITY_FILE ".tmp"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int find_empty(struct data_dir *d)
{
    int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int error = -errno;
        if (fd >= 0)
            close(fd);
        return error;
    }
    d->empty = true;
    errno = 0;
    for (struct dirent *e; (e = readdir(dir));)
        d->empty = d->empty && harmless(e->d_name);
    int r = -errno;
    closedir(dir);
    return r;
}

static int note_file(struct data_dir *d)
{
    struct stat st;
    if (fstatat(d->fd, IDENTITY_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    atomic_store(&d->dev, (unsigned long long)st.st_dev);
    atomic_store(&d->ino, (unsigned long long)st.st_ino);
    return 0;
}

static int refuse_twice(struct identity *id, const struct data_dir *d)
{
    for (const struct data_dir *o = id->dirs; o < id->dirs + id->count; o++)
        if (o != d && o->fd >= 0 && o->dir_dev == d->dir_dev && o->dir_ino == d->dir_ino)
            return refuse(id, -EINVAL,
                          "data directories %s and %s are the same directory: configure it once",
                          o->path, d->path);
    return 0;
}

/* The same directory, already locked by an open file that we share. */
static bool share_lock(const struct identity *id, const struct data_dir *d, int *fd)
{
    for (unsigned i = 0; i < id->lock_count; i++) {
        struct stat st;
        if (fstat(id->locks[i], &st) < 0 || st.st_dev != d->dir_dev || st.st_ino != d->dir_ino)
            continue;
        int copy = fcntl(id->locks[i], F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
            return false;
        close(*fd);
        *fd = copy;
        return flock(copy, LOCK_EX | LOCK_NB) == 0;
    }
    return false;
}

/* Opens and locks. -ENOENT without a problem in words: there is no such directory. */
static int open_directory(struct identity *id, struct data_dir *d)
{
    struct stat st;
    int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int error = -errno;
        if (fd >= 0)
            close(fd);
        return refuse(id, error, "data directory %s: %s", d->path, strerror(-error));
    }
    d->dir_dev = st.st_dev;
    d->dir_ino = st.st_ino;
    int r = refuse_twice(id, d);
    if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && !share_lock(id, d, &fd)) {
        r = -EWOULDBLOCK;
        refuse(id, r, "data directory %s is in use by another process: stop that one first",
               d->path);
    }
    if (r < 0)
        close(fd);
    else
        d->fd = fd;
    return r;
}

static int inspect(struct identity *id, struct data_dir *d)
{
    int r = open_directory(id, d);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    r = find_empty(d);
    if (r < 0)
        return refuse(id, r, "data directory %s: %s", d->path, strerror(-r));
    r = identity_file_read(d->fd, &d->file);
    if (r == -ENOENT)
        return 0;
    if (r == -EBADMSG)
        return refuse(id, r,
                      "%s/" IDENTITY_FILE " is damaged or of another version: restore it from a "
                      "copy, or start a program of the version that wrote it",
                      d->path);
    if (r < 0)
        return refuse(id, r, "%s/" IDENTITY_FILE ": %s", d->path, strerror(-r));
    d->named = true;
    return 0;
}

/* ---- do they belong together? ---- */

static int compare_with(struct identity *id, const struct data_dir *a, const struct data_dir *b)
{
    if (strcmp(a->file.store, b->file.store) != 0)
        return refuse(id, -EINVAL,
                      "data directories %s and %s belong to different stores: configure the "
                      "directories of one store only",
                      a->path, b->path);
    if (!identity_file_agree(&a->file, &b->file))
        return refuse(id, -EINVAL,
                      "data directories %s and %s do not agree on the directories of their store: "
                      "restore " IDENTITY_FILE " in the one that was changed",
                      a->path, b->path);
    if (strcmp(a->file.self, b->file.self) == 0)
        return refuse(id, -EINVAL,
                      "data directories %s and %s have the same identity, so one is a copy of the "
                      "other: configure only the original",
                      a->path, b->path);
    return 0;
}

static int compare_all(struct identity *id)
{
    for (unsigned i = 0; i < id->count; i++)
        for (unsigned j = i + 1; j < id->count; j++) {
            if (!id->dirs[i].named || !id->dirs[j].named)
                continue;
            int r = compare_with(id, &id->dirs[i], &id->dirs[j]);
            if (r < 0)
                return r;
        }
    return 0;
}

static struct data_dir *first(struct identity *id, bool named)
{
    for (unsigned i = 0; i < id->count; i++)
        if (id->dirs[i].named == named)
            return &id->dirs[i];
    return NULL;
}

static unsigned count_named(const struct identity *id)
{
    unsigned n = 0;
    for (unsigned i = 0; i < id->count; i++)
        n += id->dirs[i].named;
    return n;
}

static bool any_complete(const struct identity *id)
{
    for (unsigned i = 0; i < id->count; i++)
        if (id->dirs[i].named && id->dirs[i].file.complete)
            return true;
    return false;
}

static int check_count(struct identity *id, const struct data_dir *known)
{
    const struct data_dir *unnamed = first(id, false);
    unsigned stored = known->file.count;
    if (count_named(id) == stored && unnamed)
        return refuse(id, -EINVAL,
                      "data directory %s is not one of the %u of the store in %s: take it out of "
                      "the configuration (directories cannot be added later)",
                      unnamed->path, stored, known->path);
    if (id->count != stored)
        return refuse(id, -EINVAL,
                      "the store in %s has %u data directories, but %u are configured: configure "
                      "all of them, and no other",
                      known->path, stored, id->count);
    return 0;
}

/* Without identities: the first start, which takes over empty directories only. */
static int check_unnamed(struct identity *id, const struct data_dir *known)
{
    for (unsigned i = 0; i < id->count; i++) {
        const struct data_dir *d = &id->dirs[i];
        if (d->named)
            continue;
        if (known && any_complete(id))
            return refuse(id, -EINVAL,
                          "data directory %s has no " IDENTITY_FILE ", but belongs to the store in "
                          "%s: mount its disk, or restore its contents",
                          d->path, known->path);
        if (d->fd >= 0 && !d->empty)
            return refuse(id, -ENOTEMPTY,
                          "data directory %s is not empty and has no " IDENTITY_FILE ": give an "
                          "empty directory, or restore that file",
                          d->path);
    }
    return 0;
}

static int check_set(struct identity *id)
{
    struct data_dir *known = first(id, true);
    int r = compare_all(id);
    if (r == 0 && known)
        r = check_count(id, known);
    if (r == 0)
        r = check_unnamed(id, known);
    return r;
}

/* ---- the first start ---- */

/* The last component of `path`, whose parent exists, durably. */
static int make_one(char *path)
{
    if (mkdir(path, 0755) < 0)
        return errno == EEXIST ? 0 : -errno;
    char *slash = strrchr(path, '/');
    if (!slash)
        return directory_sync(".");
    if (slash == path)
        return directory_sync("/");
    *slash = '\0';
    int r = directory_sync(path);
    *slash = '/';
    return r;
}

/* mkdir -p */
static int make_directory(const char *path)
{
    char at[PATH_MAX];
    if (snprintf(at, sizeof(at), "%s", path) >= (int)sizeof(at))
        return -ENAMETOOLONG;
    for (char *slash = at + 1;; slash++) {
        slash += strcspn(slash, "/");
        char was = *slash;
        *slash = '\0';
        int r = make_one(at);
        if (r < 0 || was == '\0')
            return r;
        *slash = was;
    }
}

static int make_missing(struct identity *id)
{
    for (unsigned i = 0; i < id->count; i++) {
        struct data_dir *d = &id->dirs[i];
        if (d->fd >= 0)
            continue;
        int r = make_directory(d->path);
        if (r < 0)
            return refuse(id, r, "cannot make data directory %s: %s", d->path, strerror(-r));
        r = open_directory(id, d);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A new store: ids for as many directories as there are. */
static int invent(unsigned count, struct identity_file *file)
{
    memset(file, 0, sizeof(*file));
    file->count = count;
    file->part_power = PART_POWER;
    int r = identity_random_id(file->store);
    if (r == 0)
        r = identity_random_id(file->hash_key);
    for (unsigned i = 0; i < count && r == 0; i++)
        r = identity_random_id(file->ids[i]);
    return r;
}

static bool id_taken(const struct identity *id, const char *one)
{
    for (unsigned i = 0; i < id->count; i++)
        if (id->dirs[i].named && strcmp(id->dirs[i].file.self, one) == 0)
            return true;
    return false;
}

static int write_file(struct identity *id, struct data_dir *d)
{
    int r = identity_file_write(d->fd, &d->file);
    if (r < 0)
        return refuse(id, r, "cannot write %s/" IDENTITY_FILE ": %s", d->path, strerror(-r));
    d->named = true;
    return 0;
}

static int name_unnamed(struct identity *id, const struct identity_file *store)
{
    unsigned next = 0;
    for (unsigned i = 0; i < id->count; i++) {
        struct data_dir *d = &id->dirs[i];
        if (d->named)
            continue;
        while (id_taken(id, store->ids[next]))
            next++;
        d->file = *store;
        d->file.complete = false;
        strcpy(d->file.self, store->ids[next]);
        int r = write_file(id, d);
        if (r < 0)
            return r;
    }
    return 0;
}

static int complete(struct identity *id)
{
    for (unsigned i = 0; i < id->count; i++) {
        struct data_dir *d = &id->dirs[i];
        if (d->file.complete)
            continue;
        d->file.complete = true;
        id->is_new = true;
        int r = write_file(id, d);
        if (r < 0)
            return r;
    }
    return 0;
}

static int start_or_resume(struct identity *id)
{
    struct identity_file *store = malloc(sizeof(*store));
    if (!store)
        return refuse(id, -ENOMEM, "out of memory");
    int r = make_missing(id);
    const struct data_dir *known = first(id, true);
    if (r == 0 && known)
        *store = known->file;
    else if (r == 0 && (r = invent(id->count, store)) < 0)
        refuse(id, r, "no random numbers to be had: %s", strerror(-r));
    if (r == 0)
        r = name_unnamed(id, store);
    if (r == 0)
        r = complete(id);
    free(store);
    return r;
}

/* ---- open and close ---- */

static int by_order(const void *a, const void *b)
{
    const struct data_dir *x = a, *y = b;
    return identity_file_find(&x->file, x->file.self) - identity_file_find(&y->file, y->file.self);
}

static int settle(struct identity *id)
{
    for (unsigned i = 0; i < id->count; i++) {
        int r = inspect(id, &id->dirs[i]);
        if (r < 0)
            return r;
    }
    int r = check_set(id);
    if (r == 0)
        r = start_or_resume(id); /* nothing to do in a store that is complete */
    for (unsigned i = 0; i < id->count && r == 0; i++)
        if ((r = note_file(&id->dirs[i])) < 0)
            refuse(id, r, "%s/" IDENTITY_FILE ": %s", id->dirs[i].path, strerror(-r));
    if (r == 0)
        qsort(id->dirs, id->count, sizeof(id->dirs[0]), by_order);
    return r;
}

static struct identity *identity_new(const char *const *dirs, unsigned count)
{
    struct identity *id = calloc(1, sizeof(*id));
    if (!id)
        return NULL;
    pthread_mutex_init(&id->recheck, NULL);
    id->dirs = calloc(count, sizeof(*id->dirs));
    bool good = id->dirs != NULL;
    for (; good && id->count < count; id->count++) {
        id->dirs[id->count].fd = -1;
        id->dirs[id->count].path = strdup(dirs[id->count]);
        good = id->dirs[id->count].path != NULL;
    }
    if (good)
        return id;
    identity_close(id);
    return NULL;
}

int identity_open(const char *const *dirs, unsigned count, const int *locks, unsigned lock_count,
                  struct identity **ret_identity, char *problem, size_t problem_len)
{
    if (count == 0 || count > IDENTITY_DIRS_MAX) {
        snprintf(problem, problem_len, "%u data directories: there may be 1 to %d", count,
                 IDENTITY_DIRS_MAX);
        return -EINVAL;
    }
    struct identity *id = identity_new(dirs, count);
    if (!id) {
        snprintf(problem, problem_len, "out of memory");
        return -ENOMEM;
    }
    id->locks = locks;
    id->lock_count = lock_count;
    id->problem = problem;
    id->problem_len = problem_len;
    int r = settle(id);
    if (r < 0) {
        identity_close(id);
        return r;
    }
    id->problem = NULL;
    id->locks = NULL;
    id->lock_count = 0;
    *ret_identity = id;
    return 0;
}

unsigned identity_locks(struct identity *identity, int *ret_fds, unsigned most)
{
    unsigned count = 0;
    pthread_mutex_lock(&identity->recheck); /* a disk that comes back changes its descriptor */
    for (unsigned i = 0; i < identity->count && count < most; i++) {
        int copy = fcntl(identity->dirs[i].fd, F_DUPFD_CLOEXEC, 0);
        if (copy >= 0)
            ret_fds[count++] = copy;
    }
    pthread_mutex_unlock(&identity->recheck);
    return count;
}

void identity_close(struct identity *identity)
{
    if (!identity)
        return;
    for (unsigned i = 0; identity->dirs && i < identity->count; i++) {
        if (identity->dirs[i].fd >= 0)
            close(identity->dirs[i].fd);
        free(identity->dirs[i].path);
    }
    pthread_mutex_destroy(&identity->recheck);
    free(identity->dirs);
    free(identity);
}

bool identity_is_new(const struct identity *id)
{
    return id->is_new;
}

unsigned identity_part_power(const struct identity *identity)
{
    return identity->dirs[0].file.part_power;
}

const char *identity_hash_key(const struct identity *identity)
{
    return identity->dirs[0].file.hash_key;
}

const char *identity_path(const struct identity *identity, unsigned index)
{
    return identity->dirs[index].path;
}

/* ---- while running ---- */

/* The disk came back, perhaps under another device number: is it ours? */
static int take_back(struct data_dir *d)
{
    struct identity_file file;
    struct stat st;
    int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -ENODEV;
    bool ours = fstat(fd, &st) == 0 && identity_file_read(fd, &file) == 0 &&
                identity_file_agree(&file, &d->file) && strcmp(file.self, d->file.self) == 0;
    bool same_directory = ours && st.st_dev == d->dir_dev && st.st_ino == d->dir_ino;
    if (!ours || (!same_directory && flock(fd, LOCK_EX | LOCK_NB) < 0)) {
        close(fd);
        return -ENODEV;
    }
    if (same_directory) {
        close(fd); /* the lock we have is still the lock */
    } else {
        close(d->fd);
        d->fd = fd;
        d->dir_dev = st.st_dev;
        d->dir_ino = st.st_ino;
    }
    return note_file(d) < 0 ? -ENODEV : 0;
}

int identity_check(struct identity *identity, unsigned index)
{
    struct data_dir *d = &identity->dirs[index];
    struct stat st;
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/" IDENTITY_FILE, d->path) >= (int)sizeof(path))
        return -ENODEV;
    if (lstat(path, &st) < 0)
        return -ENODEV;
    if (atomic_load(&d->dev) == st.st_dev && atomic_load(&d->ino) == st.st_ino)
        return 0;
    pthread_mutex_lock(&identity->recheck);
    int r = take_back(d);
    pthread_mutex_unlock(&identity->recheck);
    return r;
}
