/* SPDX-License-Identifier: Apache-2.0 */
/* identity_file.c -- see identity_file.h. */
#include "diskfile/engine/identity_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define VERSION       1u
#define TMP_NAME      IDENTITY_FILE ".tmp"
#define PART_POWER_OK 32u

int identity_random_id(char id[IDENTITY_ID_LEN + 1])
{
    unsigned char bytes[IDENTITY_ID_LEN / 2];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -EIO;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

int identity_file_find(const struct identity_file *file, const char *id)
{
    for (unsigned i = 0; i < file->count; i++)
        if (strcmp(file->ids[i], id) == 0)
            return (int)i;
    return -1;
}

bool identity_file_agree(const struct identity_file *a, const struct identity_file *b)
{
    if (strcmp(a->store, b->store) != 0 || strcmp(a->hash_key, b->hash_key) != 0 ||
        a->part_power != b->part_power || a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (strcmp(a->ids[i], b->ids[i]) != 0)
            return false;
    return true;
}

/* ---- reading ---- */

static bool take_id(const char *value, char id[IDENTITY_ID_LEN + 1])
{
    if (strlen(value) != IDENTITY_ID_LEN || strspn(value, "0123456789abcdef") != IDENTITY_ID_LEN)
        return false;
    strcpy(id, value);
    return true;
}

static bool take_line(struct identity_file *f, unsigned *version, const char *key,
                      const char *value)
{
    char *end = NULL;
    if (strcmp(key, "version") == 0) {
        *version = (unsigned)strtoul(value, &end, 10);
        return *end == '\0';
    }
    if (strcmp(key, "part_power") == 0) {
        f->part_power = (unsigned)strtoul(value, &end, 10);
        return *end == '\0' && f->part_power >= 1 && f->part_power <= PART_POWER_OK;
    }
    if (strcmp(key, "complete") == 0) {
        f->complete = strcmp(value, "yes") == 0;
        return f->complete || strcmp(value, "no") == 0;
    }
    if (strcmp(key, "store") == 0)
        return take_id(value, f->store);
    if (strcmp(key, "self") == 0)
        return take_id(value, f->self);
    if (strcmp(key, "hash_key") == 0)
        return take_id(value, f->hash_key);
    if (strcmp(key, "directory") == 0)
        return f->count < IDENTITY_DIRS_MAX && take_id(value, f->ids[f->count++]);
    return false;
}

static bool parse_line(struct identity_file *f, unsigned *version, char *line)
{
    char key[32], value[64];
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '#' || line[0] == '\0')
        return true;
    return sscanf(line, "%31[a-z_] = %63s", key, value) == 2 && take_line(f, version, key, value);
}

static bool whole(const struct identity_file *f, unsigned version)
{
    if (version != VERSION || f->part_power == 0 || !f->store[0] || !f->hash_key[0] ||
        identity_file_find(f, f->self) < 0)
        return false;
    for (unsigned i = 0; i < f->count; i++)
        if (identity_file_find(f, f->ids[i]) != (int)i)
            return false; /* twice */
    return true;
}

int identity_file_read(int dirfd, struct identity_file *ret)
{
    int fd = openat(dirfd, IDENTITY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    FILE *text = fdopen(fd, "re");
    if (!text) {
        int r = -errno;
        close(fd);
        return r;
    }
    memset(ret, 0, sizeof(*ret));
    unsigned version = 0;
    char line[128];
    bool good = true;
    while (good && fgets(line, sizeof(line), text))
        good = parse_line(ret, &version, line);
    int r = ferror(text) ? -EIO : good && whole(ret, version) ? 0 : -EBADMSG;
    fclose(text);
    return r;
}

/* ---- writing ---- */

static int print(FILE *text, const struct identity_file *f)
{
    fprintf(text,
            "# One of the data directories that share the keys of an objsrv store.\n"
            "# Do not edit, copy or remove this file: without it the store does not start.\n"
            "version = %u\ncomplete = %s\nstore = %s\nself = %s\npart_power = %u\n"
            "hash_key = %s\n",
            VERSION, f->complete ? "yes" : "no", f->store, f->self, f->part_power, f->hash_key);
    for (unsigned i = 0; i < f->count; i++)
        fprintf(text, "directory = %s\n", f->ids[i]);
    errno = 0;
    if (fflush(text) != 0 || ferror(text))
        return errno ? -errno : -EIO;
    return fsync(fileno(text)) < 0 ? -errno : 0;
}

int identity_file_write(int dirfd, const struct identity_file *file)
{
    int fd = openat(dirfd, TMP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    FILE *text = fdopen(fd, "we");
    if (!text) {
        int error = -errno;
        close(fd);
        return error;
    }
    int r = print(text, file);
    if (fclose(text) != 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(dirfd, TMP_NAME, dirfd, IDENTITY_FILE) < 0)
        r = -errno;
    if (r < 0)
        return r;
    return fsync(dirfd) < 0 ? -errno : 0;
}
