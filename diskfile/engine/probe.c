/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c -- see probe.h. */
#include "diskfile/engine/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TMP_PREFIX "objsrv-"

/* ---- what can be tried ---- */

static bool means_no_tmpfile(int error)
{
    return error == EOPNOTSUPP || error == EISDIR || error == EINVAL;
}

/* A named file in tmp/, where uploads will put theirs; unlinked at once. */
static int open_named(const char *path)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof(name), "%s/tmp", path) >= (int)sizeof(name) - 40)
        return -ENAMETOOLONG;
    if (mkdir(name, 0755) < 0 && errno != EEXIST)
        return -errno;
    strcat(name, "/" TMP_PREFIX "probe-XXXXXX");
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)unlink(name); /* else the sweep has it */
    return fd;
}

static int open_probe_file(const char *path, bool *ret_no_tmpfile)
{
    int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    *ret_no_tmpfile = fd < 0 && means_no_tmpfile(errno);
    if (fd >= 0)
        return fd;
    return *ret_no_tmpfile ? open_named(path) : -errno;
}

/* ---- what must be looked up ---- */

/* The type of the mounted file system with this device number, from /proc/self/mountinfo:
 * statfs(2) has one magic number for ext2, ext3 and ext4. */
static void find_fs_type(dev_t dev, char fs_type[16])
{
    strcpy(fs_type, "unknown");
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts)
        return;
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, mounts) > 0) {
        unsigned major_number, minor_number;
        const char *after = strstr(line, " - ");
        if (!after || sscanf(line, "%*u %*u %u:%u", &major_number, &minor_number) != 2)
            continue;
        if (makedev(major_number, minor_number) == dev && sscanf(after, " - %15s", fs_type) == 1)
            break;
    }
    free(line);
    fclose(mounts);
}

/* The kernel's name of a block device, as its directories in /proc/fs have it. */
static bool find_block_name(dev_t dev, char name[NAME_MAX + 1])
{
    char link[64], target[PATH_MAX];
    snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    snprintf(name, NAME_MAX + 1, "%s", basename(target));
    return true;
}

static bool ext4_has_journal(const char *block_name)
{
    bool found = false;
    size_t len = strlen(block_name);
    DIR *journals = opendir("/proc/fs/jbd2");
    for (struct dirent *e; journals && (e = readdir(journals));)
        found = found || (strncmp(e->d_name, block_name, len) == 0 && e->d_name[len] == '-');
    if (journals)
        closedir(journals);
    return found;
}

/* The superblock's feature bits are root's to read; the mount options name fast_commit on
 * some kernels, and a count of fast commits says it on all. */
static bool ext4_may_fast_commit(const char *block_name)
{
    char path[NAME_MAX + 64], line[256];
    bool may = false;
    snprintf(path, sizeof(path), "/proc/fs/ext4/%s/options", block_name);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        may = may || strncmp(line, "fast_commit", 11) == 0;
    if (file)
        fclose(file);
    snprintf(path, sizeof(path), "/proc/fs/ext4/%s/fc_info", block_name);
    file = fopen(path, "re");
    unsigned long commits = 0;
    if (file && fgets(line, sizeof(line), file) && fscanf(file, "%lu commits", &commits) == 1)
        may = may || commits > 0;
    if (file)
        fclose(file);
    return may;
}

/* The short form is proven for XFS and for ext4 with an ordinary journal; what cannot be
 * shown to be one of them gets the full form, which costs time but no object. */
static enum commit_form find_commit_form(dev_t dev, const char *fs_type)
{
    char block_name[NAME_MAX + 1];
    if (strcmp(fs_type, "xfs") == 0)
        return COMMIT_SHORT;
    if (strcmp(fs_type, "ext4") != 0 || !find_block_name(dev, block_name))
        return COMMIT_FULL;
    return ext4_has_journal(block_name) && !ext4_may_fast_commit(block_name) ? COMMIT_SHORT
                                                                             : COMMIT_FULL;
}

int probe_directory(const char *path, struct probe *ret_probe)
{
    struct probe found = {0};
    int fd = open_probe_file(path, &found.no_tmpfile);
    if (fd < 0)
        return fd;
    struct stat st = {0};
    int r = fsetxattr(fd, "user.objsrv.probe", "1", 1, 0) < 0 ? -errno : 0;
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    close(fd);
    if (r < 0)
        return r;
    find_fs_type(st.st_dev, found.fs_type);
    found.form = find_commit_form(st.st_dev, found.fs_type);
    *ret_probe = found;
    return 0;
}

int probe_writes(const char *path)
{
    static const char bytes[4096] = "objsrv";
    char value;
    bool no_tmpfile;
    int fd = open_probe_file(path, &no_tmpfile);
    if (fd < 0)
        return fd;
    ssize_t n = pwrite(fd, bytes, sizeof(bytes), 0);
    int r = n < 0 ? -errno : n < (ssize_t)sizeof(bytes) ? -ENOSPC : 0;
    /* The last one because XFS may answer 0 to a sync after it has shut down. */
    if (r == 0 && (fsetxattr(fd, "user.objsrv.probe", "1", 1, 0) < 0 || fsync(fd) < 0 ||
                   fgetxattr(fd, "user.objsrv.probe", &value, 1) < 0))
        r = -errno;
    close(fd);
    return r;
}

/* ---- sweeping ---- */

static bool is_tmp_directory(const char *name)
{
    if (strncmp(name, "tmp", 3) != 0)
        return false;
    if (name[3] == '\0')
        return true;
    return name[3] == '-' && name[4] != '\0' && strspn(name + 4, "0123456789") == strlen(name + 4);
}

static void sweep_file(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlinkat(dirfd, name, 0); /* the next start tries again */
    close(fd);
}

static void sweep_directory(int device_fd, const char *name)
{
    int fd = openat(device_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0)
            sweep_file(fd, e->d_name);
    closedir(dir);
}

void probe_sweep(const char *device_path)
{
    DIR *dir = opendir(device_path);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (is_tmp_directory(e->d_name))
            sweep_directory(dirfd(dir), e->d_name);
    closedir(dir);
}
