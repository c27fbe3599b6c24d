/* SPDX-License-Identifier: Apache-2.0 */
/* listing.c -- see listing.h. */
#include "tools/audit/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int listing_open(struct listing *l, int parent_fd, const char *name)
{
    l->fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    l->len = l->at = 0;
    return l->fd < 0 ? -errno : 0;
}

void listing_close(struct listing *l)
{
    close(l->fd);
    l->fd = -1;
}

static enum entry_kind kind_of_mode(mode_t mode)
{
    return S_ISDIR(mode)   ? ENTRY_DIRECTORY
           : S_ISREG(mode) ? ENTRY_FILE
           : S_ISLNK(mode) ? ENTRY_LINK
                           : ENTRY_OTHER;
}

/* Some file systems do not tell in the listing. */
static enum entry_kind kind_of(const struct listing *l, const struct dirent64 *e)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return kind_of_mode(DTTOIF(e->d_type));
    if (fstatat(l->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return ENTRY_OTHER;
    return kind_of_mode(st.st_mode);
}

int listing_next(struct listing *l, struct listing_entry *ret_entry)
{
    for (;;) {
        if (l->at == l->len) {
            l->at = 0;
            l->len = getdents64(l->fd, l->buffer, sizeof(l->buffer));
            if (l->len <= 0) {
                int error = l->len < 0 ? -errno : 0;
                l->len = 0;
                return error;
            }
        }
        const struct dirent64 *e = (const struct dirent64 *)(const void *)(l->buffer + l->at);
        l->at += e->d_reclen;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        *ret_entry = (struct listing_entry){.name = e->d_name, .kind = kind_of(l, e)};
        return 1;
    }
}

const char *entry_kind_name(enum entry_kind kind)
{
    static const char *const names[] = {[ENTRY_DIRECTORY] = "a directory",
                                        [ENTRY_FILE] = "a file",
                                        [ENTRY_LINK] = "a symbolic link",
                                        [ENTRY_OTHER] = "a special file"};
    return names[kind];
}
