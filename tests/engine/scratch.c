/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.c -- see scratch.h. */
#include "tests/engine/scratch.h"
#include "diskfile/engine/checksum.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void on_event(void *arg, enum df_event_kind kind, const char *text)
{
    struct scratch *s = arg;
    if (kind == DF_EVENT_QUARANTINE)
        s->quarantines++;
    else
        s->warnings++;
    snprintf(s->last_event, sizeof(s->last_event), "%s", text);
}

static const struct df_policy policies[] = {
    {.index = 0},
    {.index = 1},
    {.index = 2, .erasure_coded = true, .data_fragments = 2, .parity_fragments = 1}};

int scratch_setup(void **state)
{
    const char *base = getenv("OBJSRV_TEST_DIR");
    struct scratch *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    snprintf(s->root, sizeof(s->root), "%s/objsrv-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(s->root));
    snprintf(s->devices, sizeof(s->devices), "%s/node", s->root);
    char path[PATH_MAX];
    scratch_mkdir(s->devices);
    scratch_mkdir(scratch_path(s, "node/sda1", path));
    s->options = (struct df_options){
        .devices = s->devices,
        .policies = policies,
        .policy_count = 3,
        .hash_key = {SLICE("pfx"), SLICE("sfx")},
        .reclaim_age_s = 604800,
        .lock_timeout_ms = 300,
        .engine = DF_ENGINE_THREADS,
        .event = on_event,
        .event_arg = s,
    };
    int r = df_store_open(&s->options, &s->store, s->problem, sizeof(s->problem));
    if (r < 0)
        fail_msg("df_store_open: %s", s->problem);
    struct df_name name = {0, SLICE("sda1"), SLICE("7"), SLICE("a"), SLICE("c"), SLICE("o")};
    assert_int_equal(place_init(s->store, &name, &s->place), 0);
    *state = s;
    return 0;
}

int scratch_teardown(void **state)
{
    struct scratch *s = *state;
    place_release(&s->place);
    df_store_close(s->store);
    scratch_remove(s->root);
    free(s);
    return 0;
}

const char *scratch_path(struct scratch *s, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", s->root, name);
    return path;
}

void scratch_mkdir(const char *path)
{
    char at[PATH_MAX];
    snprintf(at, sizeof(at), "%s", path);
    for (char *p = at + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        (void)mkdir(at, 0755);
        *p = '/';
    }
    if (mkdir(at, 0755) < 0)
        assert_int_equal(errno, EEXIST);
}

void scratch_write(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

bool scratch_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    return remove(path);
}

void scratch_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int listed(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

const char *scratch_list(const char *path, char text[1024])
{
    struct dirent **names;
    int n = scandir(path, &names, listed, alphasort);
    if (n < 0)
        return strcpy(text, "-");
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (i > 0)
            strcat(text, " ");
        strcat(text, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return text;
}

void scratch_put_raw(struct scratch *s, const char *name, const char *body, const void *pickle,
                     size_t pickle_len, const char *checksum, size_t chunk)
{
    char path[PATH_MAX + 300], xattr[64] = XATTR_METADATA;
    scratch_mkdir(s->place.dir);
    snprintf(path, sizeof(path), "%s/%s", s->place.dir, name);
    scratch_write(path, body, strlen(body));
    for (size_t at = 0, n = 0; at < pickle_len; at += chunk, n++) {
        size_t len = pickle_len - at < chunk ? pickle_len - at : chunk;
        if (n > 0)
            snprintf(xattr, sizeof(xattr), XATTR_METADATA "%zu", n);
        assert_int_equal(setxattr(path, xattr, (const char *)pickle + at, len, 0), 0);
    }
    if (checksum)
        assert_int_equal(setxattr(path, XATTR_CHECKSUM, checksum, strlen(checksum), 0), 0);
}

static void parse_metadata(const char *text, struct metadata *m)
{
    char copy[8192], *rest = copy;
    assert_true(strlen(text) < sizeof(copy));
    strcpy(copy, text);
    for (char *item; (item = strsep(&rest, "|"));) {
        char *value = strchr(item, '=');
        if (!value)
            continue;
        *value++ = '\0';
        assert_int_equal(metadata_set_text(m, item, value), 0);
    }
}

void scratch_put(struct scratch *s, const char *name, const char *body, const char *metadata)
{
    struct metadata m = {0};
    char *pickle, checksum[CHECKSUM_HEX_LEN + 1];
    size_t len;
    parse_metadata(metadata, &m);
    assert_int_equal(metadata_encode(&m, &pickle, &len), 0);
    assert_int_equal(checksum_of(pickle, len, checksum), 0);
    scratch_put_raw(s, name, body, pickle, len, checksum, XATTR_CHUNK_BYTES);
    free(pickle);
    metadata_release(&m);
}

void scratch_put_data(struct scratch *s, const char *name, const char *body, const char *more)
{
    char etag[CHECKSUM_HEX_LEN + 1], text[4096];
    assert_int_equal(checksum_of(body, strlen(body), etag), 0);
    snprintf(text, sizeof(text),
             "X-Timestamp=%.16s|Content-Type=text/plain|Content-Length=%zu|ETag=%s|name=/a/c/o|%s",
             name, strlen(body), etag, more);
    scratch_put(s, name, body, text);
}

struct load_spec scratch_spec(void)
{
    return (struct load_spec){.now = {.ticks = 1700000100ull * TIMESTAMP_TICKS_PER_S}};
}

unsigned scratch_open_fds(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}
