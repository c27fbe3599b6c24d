/* SPDX-License-Identifier: Apache-2.0 */
/* status.c -- see status.h. */
#include "tools/audit/status.h"
#include "server/node/python_json.h"
#include "tools/audit/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FINISHED          0x80000000u
#define NAMES_BYTES_MAX   (1u << 30)
#define STATUS_BYTES_MAX  (64u << 20)
#define STATUS_NAME_BYTES 64

static void status_name(const char *type, char name[STATUS_NAME_BYTES])
{
    snprintf(name, STATUS_NAME_BYTES, "auditor_status_%s.json", type);
}

/* ---- the list ---- */

void partition_list_release(struct partition_list *l)
{
    free(l->names);
    free(l->at);
    memset(l, 0, sizeof(*l));
}

int partition_list_add(struct partition_list *l, const char *name)
{
    size_t len = strlen(name) + 1;
    if (l->names_len + len > NAMES_BYTES_MAX)
        return -EFBIG;
    if (l->names_len + len > l->names_room) {
        size_t room = (l->names_room + len) * 2;
        char *names = realloc(l->names, room);
        if (!names)
            return -ENOMEM;
        l->names = names;
        l->names_room = room;
    }
    if (l->count == l->room) {
        unsigned room = l->room ? l->room * 2 : 64;
        uint32_t *at = realloc(l->at, room * sizeof(*at));
        if (!at)
            return -ENOMEM;
        l->at = at;
        l->room = room;
    }
    memcpy(l->names + l->names_len, name, len);
    l->at[l->count++] = (uint32_t)l->names_len;
    l->names_len += len;
    return 0;
}

const char *partition_list_name(const struct partition_list *l, unsigned i)
{
    return l->names + (l->at[i] & ~FINISHED);
}

void partition_list_finished(struct partition_list *l, unsigned i)
{
    l->at[i] |= FINISHED;
    while (l->unfinished < l->count && (l->at[l->unfinished] & FINISHED))
        l->unfinished++;
}

/* ---- reading ---- */

static int read_file(int dir, const char *name, char **ret, size_t *ret_len)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > STATUS_BYTES_MAX))
        r = -EBADMSG;
    char *text = r == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    ssize_t n = text ? pread(fd, text, (size_t)st.st_size, 0) : 0;
    if (r == 0)
        r = !text ? -ENOMEM : n < 0 ? -errno : 0;
    close(fd);
    if (r < 0) {
        free(text);
        return r;
    }
    *ret = text;
    *ret_len = (size_t)n;
    return 0;
}

/* Names that lead elsewhere are nobody's partitions. */
static bool is_plain(const json_t *name)
{
    const char *text = json_string_value(name); /* NULL: it is none */
    return text && *text && strlen(text) == json_string_length(name) && !strchr(text, '/') &&
           strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int take_names(struct partition_list *l, const json_t *status)
{
    const json_t *names = json_object_get(status, "partitions");
    if (!json_is_array(names))
        return -EBADMSG;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *name = json_array_get(names, i);
        int r = is_plain(name) ? partition_list_add(l, json_string_value(name)) : -EBADMSG;
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_status(struct partition_list *l, int objects_dir, const char *type)
{
    char name[STATUS_NAME_BYTES], *text = NULL;
    size_t len = 0;
    status_name(type, name);
    int r = read_file(objects_dir, name, &text, &len);
    if (r < 0)
        return r;
    json_t *status = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    free(text);
    r = status ? take_names(l, status) : -EBADMSG;
    json_decref(status);
    return r;
}

static int load_directory(struct partition_list *l, int objects_dir)
{
    struct listing dir;
    int r = listing_open(&dir, objects_dir, ".");
    if (r < 0)
        return r;
    struct listing_entry e;
    while ((r = listing_next(&dir, &e)) > 0 && (r = partition_list_add(l, e.name)) == 0)
        ;
    listing_close(&dir);
    return r;
}

int partition_list_load(struct partition_list *l, int objects_dir, const char *type,
                        int *ret_bad_file)
{
    *l = (struct partition_list){0};
    int r = type ? load_status(l, objects_dir, type) : -ENOENT;
    *ret_bad_file = r == -ENOENT ? 0 : r;
    l->resumed = r == 0;
    if (r == 0)
        return 0;
    partition_list_release(l);
    r = load_directory(l, objects_dir);
    if (r < 0)
        partition_list_release(l);
    return r;
}

/* ---- writing ---- */

char *partition_list_text(const struct partition_list *l, size_t *ret_len)
{
    char *text = NULL;
    bool first = true;
    FILE *out = open_memstream(&text, ret_len);
    if (!out)
        return NULL;
    fputs("{\"partitions\": [", out);
    for (unsigned i = l->unfinished; i < l->count; i++) {
        if (l->at[i] & FINISHED)
            continue;
        fputs(first ? "" : ", ", out);
        python_json_print_text(slice_of(partition_list_name(l, i)), out);
        first = false;
    }
    fputs("]}", out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static bool written_just_now(int objects_dir, const char *name)
{
    struct stat st;
    return fstatat(objects_dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_mtim.tv_sec + STATUS_MIN_AGE_S > time(NULL);
}

static int write_at(int dir, const char *name, const char *text, size_t len)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, len);
    int r = n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

int status_write(const struct partition_list *l, int objects_dir, int tmp_dir, const char *type,
                 bool end)
{
    char name[STATUS_NAME_BYTES];
    size_t len;
    status_name(type, name);
    if (!end && written_just_now(objects_dir, name))
        return 0;
    char *text = partition_list_text(l, &len);
    if (!text)
        return -ENOMEM;
    int r = write_at(tmp_dir, name, text, len);
    if (r == 0 && renameat(tmp_dir, name, objects_dir, name) < 0)
        r = -errno;
    free(text);
    return r;
}

int status_clear(int objects_dir, const char *type)
{
    char name[STATUS_NAME_BYTES];
    status_name(type, name);
    return unlinkat(objects_dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}
