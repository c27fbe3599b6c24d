/* SPDX-License-Identifier: Apache-2.0 */
/* hashes_file.c -- see hashes_file.h.
 *
 * The new hashes.pkl is written beside the old one under a name that is always the same: the lock
 * keeps others of us away, and what a crash leaves is overwritten next time. */
#include "diskfile/engine/hashes_file.h"
#include "diskfile/engine/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES     32
#define READ_BYTES_MAX (256u << 20) /* more of either file is no file of ours */

struct path {
    char text[PATH_MAX + NAME_BYTES];
};

static const char *path_in(const struct object_place *p, const char *name, struct path *path)
{
    snprintf(path->text, sizeof(path->text), "%.*s%s%s", (int)p->partition_len, p->dir,
             name[0] ? "/" : "", name);
    return path->text;
}

/* ---- images ---- */

void hashes_image_release(struct hashes_image *image)
{
    free(image->bytes);
    *image = (struct hashes_image){0};
}

bool hashes_image_eq(const struct hashes_image *a, const struct hashes_image *b)
{
    if (!a->bytes || !b->bytes)
        return !a->bytes && !b->bytes;
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static int read_all(int fd, struct hashes_image *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size > READ_BYTES_MAX)
        return -EFBIG;
    char *bytes = malloc((size_t)st.st_size + 1);
    if (!bytes)
        return -ENOMEM;
    int n = disk_read_full(fd, bytes, (size_t)st.st_size, 0);
    if (n < 0) {
        free(bytes);
        return n;
    }
    *ret = (struct hashes_image){bytes, (size_t)n};
    return 0;
}

static int read_file(const char *path, struct hashes_image *ret)
{
    *ret = (struct hashes_image){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = read_all(fd, ret);
    close(fd);
    return r;
}

int hashes_file_read(const struct object_place *p, struct hashes_image *ret_image)
{
    struct path path;
    return read_file(path_in(p, "hashes.pkl", &path), ret_image);
}

/* ---- writing ---- */

static int write_synced(const char *path, const struct hashes_image *image)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = disk_write_full(fd, image->bytes, image->len, 0);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    close(fd);
    return r;
}

static int replace(const struct object_place *p, const struct hashes_image *image)
{
    struct path tmp, file, dir;
    path_in(p, "hashes.pkl.tmp", &tmp);
    int r = write_synced(tmp.text, image);
    if (r == 0 && rename(tmp.text, path_in(p, "hashes.pkl", &file)) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(tmp.text); /* the next one overwrites it */
        return r;
    }
    return directory_sync(path_in(p, "", &dir));
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int hashes_file_write(const struct object_place *p, struct suffix_hashes *h,
                      struct hashes_image *ret_image)
{
    struct hashes_image image;
    h->updated = now_s();
    int r = suffix_hashes_encode(h, SUFFIX_FORM_CACHE, &image.bytes, &image.len);
    if (r < 0)
        return r;
    r = replace(p, &image);
    if (r == 0 && ret_image)
        *ret_image = image;
    else
        hashes_image_release(&image);
    return r;
}

/* ---- hashes.invalid ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void mark_line(struct suffix_hashes *h, const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    while (at < end && is_blank(end[-1]))
        end--;
    int number = suffix_number((struct slice){at, (size_t)(end - at)});
    if (number >= 0)
        suffix_hashes_set(h, (unsigned)number, (struct suffix_value){.state = SUFFIX_STALE});
}

static void mark_lines(struct suffix_hashes *h, const struct hashes_image *lines)
{
    const char *at = lines->bytes, *end = at + lines->len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline ? newline : end;
        mark_line(h, at, line_end);
        at = line_end + 1;
    }
}

/* Swift never unlinks it, and neither do we: somebody may be about to append. */
static int empty_file(const char *path)
{
    return truncate(path, 0) < 0 ? -errno : 0;
}

/* The lines go only after they are in hashes.pkl for good. */
static int take_over(const struct object_place *p, struct suffix_hashes *h,
                     struct hashes_image *image)
{
    struct path path;
    struct hashes_image lines;
    int r = read_file(path_in(p, "hashes.invalid", &path), &lines);
    if (r == 0 && lines.len > 0) {
        mark_lines(h, &lines);
        hashes_image_release(image);
        r = hashes_file_write(p, h, image);
        if (r == 0)
            r = empty_file(path.text);
    }
    hashes_image_release(&lines);
    return r == -ENOENT ? 0 : r;
}

int hashes_file_consolidate(const struct object_place *p, struct suffix_hashes *h,
                            struct hashes_image *ret_image)
{
    int r = hashes_file_read(p, ret_image);
    if (r == -ENOMEM)
        return r;
    if (r == 0)
        r = suffix_hashes_decode((struct slice){ret_image->bytes, ret_image->len}, h);
    if (r == -ENOMEM)
        hashes_image_release(ret_image);
    if (r == -ENOMEM)
        return r;
    if (r < 0) /* what was read of it before it made no sense is worth nothing */
        suffix_hashes_clear(h);
    r = take_over(p, h, ret_image);
    if (r < 0)
        hashes_image_release(ret_image);
    return r;
}

int hashes_file_invalidate(const struct object_place *p, struct slice lines)
{
    struct path path;
    int fd =
        open(path_in(p, "hashes.invalid", &path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int r = disk_write_full(fd, lines.at, lines.len, 0);
    close(fd);
    return r;
}
