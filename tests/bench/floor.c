/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c -- what a durable PUT costs when nothing but its system calls is done.
 *
 * Plain threads, no HTTP, no loop, no queue. Each goes round: the calls that objsrv makes for
 * one new object of a replicated policy (diskfile/engine/upload_steps.c, in that order), and
 * the same MD5 sums. A server cannot be expected to do better on this machine and disk with
 * this sequence; how near it comes is the number of interest.
 *
 *   short: data to the device, link, fsync(file)                   (ext4, XFS)
 *   full:  fsync(file), link, fsync of each directory of the path
 *
 * Objects differ from run to run of one directory only by --first. */
#include "tests/bench/report.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define METADATA_XATTR      "user.swift.metadata"
#define CHECKSUM_XATTR      "user.swift.metadata_checksum"
#define PICKLE_BYTES        450
#define WRITE_BYTES         (1u << 20) /* one write at most */
#define FALLOCATE_MIN_BYTES 65536
#define CHECK(call)         must((call) >= 0, #call, __LINE__)

static struct settings {
    const char *dir; /* a device: objects/ lies in it */
    unsigned threads;
    double seconds;
    uint64_t requests;
    uint64_t first;
    uint64_t size;
    uint64_t spread;
    bool full;
} set = {.threads = 32, .size = 4096, .spread = 256};

static uint64_t begun;
static uint64_t deadline_ns;
static unsigned char *body; /* WRITE_BYTES, the same for all */

struct worker {
    pthread_t thread;
    EVP_MD_CTX *md5;
    struct report report;
};

/* The paths of one object: dir is objects/PARTITION/SUFFIX/HASH, cut at each length. */
struct place {
    char dir[PATH_MAX];
    char target[PATH_MAX + 64];
    char suffix[4];
    int objects_len, partition_len, suffix_len, hash_len;
};

static void must(bool good, const char *call, int line)
{
    if (good)
        return;
    fprintf(stderr, "floor.c:%d: %s: %s\n", line, call, strerror(errno));
    exit(1);
}

static void hex_of(const unsigned char digest[16], char hex[33])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 16; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[32] = 0;
}

static void md5_hex(const void *bytes, size_t len, char hex[33])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_Digest(bytes, len, digest, NULL, EVP_md5(), NULL);
    hex_of(digest, hex);
}

static void place_of(uint64_t i, struct place *p)
{
    char name[64], hex[33];
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int len = sprintf(name, "changeme/a/c/%llu", (unsigned long long)i);
    md5_hex(name, (size_t)len, hex);
    strcpy(p->suffix, hex + 29);
    p->objects_len = snprintf(p->dir, PATH_MAX - 64, "%s/objects", set.dir);
    p->partition_len = p->objects_len + sprintf(p->dir + p->objects_len, "/%llu",
                                                (unsigned long long)(i % set.spread));
    p->suffix_len = p->partition_len + sprintf(p->dir + p->partition_len, "/%s", p->suffix);
    p->hash_len = p->suffix_len + sprintf(p->dir + p->suffix_len, "/%s", hex);
    sprintf(p->target, "%s/%010ld.%05ld.data", p->dir, (long)t.tv_sec, t.tv_nsec / 10000);
}

static bool exists(struct place *p, int len)
{
    char cut = p->dir[len];
    p->dir[len] = 0;
    bool there = access(p->dir, F_OK) == 0;
    p->dir[len] = cut;
    return there;
}

/* false: the directory above is not there either. */
static bool make(struct place *p, int len)
{
    char cut = p->dir[len];
    p->dir[len] = 0;
    bool good = mkdir(p->dir, 0755) == 0 || errno == EEXIST;
    CHECK(good || errno == ENOENT ? 0 : -1);
    p->dir[len] = cut;
    return good;
}

static void sync_dir(struct place *p, int len)
{
    char cut = p->dir[len];
    p->dir[len] = 0;
    int fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd);
    CHECK(fsync(fd));
    close(fd);
    p->dir[len] = cut;
}

/* ---- the steps, named as in upload.h ---- */

static void list(struct place *p, unsigned expected)
{
    _Alignas(struct dirent64) char buffer[4096];
    unsigned count = 0;
    int fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0 || errno == ENOENT ? 0 : -1);
    for (ssize_t n = 1; fd >= 0 && n > 0;) {
        n = getdents64(fd, buffer, sizeof buffer);
        CHECK(n);
        for (ssize_t at = 0; at < n; at += ((struct dirent64 *)(buffer + at))->d_reclen)
            count += ((struct dirent64 *)(buffer + at))->d_name[0] != '.';
    }
    CHECK(count == expected ? 0 : -1);
    if (fd >= 0)
        close(fd);
}

static int look(struct place *p)
{
    struct stat st;
    CHECK(stat(set.dir, &st));
    list(p, 0);
    int lens[] = {p->hash_len, p->suffix_len, p->partition_len, p->objects_len};
    for (unsigned i = 0; i < 4; i++)
        if (exists(p, lens[i]))
            return lens[i];
    return (int)strlen(set.dir);
}

static int open_nameless(struct place *p, int existing_len)
{
    char cut = p->dir[existing_len];
    p->dir[existing_len] = 0;
    int fd = open(p->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    CHECK(fd);
    p->dir[existing_len] = cut;
    if (set.size > FALLOCATE_MIN_BYTES)
        CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)set.size));
    return fd;
}

static void data(struct worker *w, int fd, char etag[33])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_DigestInit_ex(w->md5, EVP_md5(), NULL);
    for (uint64_t at = 0; at < set.size;) {
        size_t len = set.size - at < WRITE_BYTES ? set.size - at : WRITE_BYTES;
        ssize_t n = pwrite(fd, body, len, (off_t)at);
        CHECK(n);
        EVP_DigestUpdate(w->md5, body, (size_t)n);
        at += (uint64_t)n;
    }
    EVP_DigestFinal_ex(w->md5, digest, NULL);
    hex_of(digest, etag);
}

static void meta(int fd, const char etag[33])
{
    char pickle[PICKLE_BYTES], checksum[33];
    memset(pickle, 'x', sizeof pickle);
    memcpy(pickle, etag, 32);
    md5_hex(pickle, sizeof pickle, checksum);
    CHECK(fsetxattr(fd, METADATA_XATTR, pickle, sizeof pickle, 0));
    CHECK(fsetxattr(fd, CHECKSUM_XATTR, checksum, 32, 0));
}

static void sync_data(int fd)
{
    if (set.full)
        CHECK(fsync(fd));
    else
        CHECK(sync_file_range(fd, 0, 0,
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER));
}

static int open_in_partition(struct place *p, const char *name, int flags)
{
    char path[PATH_MAX];
    sprintf(path, "%.*s/%s", p->partition_len, p->dir, name);
    int fd = open(path, flags | O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 && errno == ENOENT) {
        make(p, p->objects_len);
        make(p, p->partition_len);
        fd = open(path, flags | O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    }
    CHECK(fd);
    return fd;
}

static void invalidate(struct place *p)
{
    char line[8];
    struct stat st;
    int lock = open_in_partition(p, ".lock", 0);
    CHECK(flock(lock, LOCK_EX));
    CHECK(fstat(lock, &st));
    int fd = open_in_partition(p, "hashes.invalid", O_APPEND);
    CHECK(write(fd, line, (size_t)sprintf(line, "%s\n", p->suffix)));
    close(fd);
    close(lock);
}

static void place(struct place *p)
{
    invalidate(p);
    if (!make(p, p->hash_len)) {
        make(p, p->suffix_len);
        CHECK(make(p, p->hash_len) ? 0 : -1);
    }
}

static void give_name(struct place *p, int fd)
{
    char self[32];
    sprintf(self, "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, self, AT_FDCWD, p->target, AT_SYMLINK_FOLLOW));
}

static void confirm(struct place *p, int fd)
{
    char checksum[32];
    CHECK(fsync(fd));
    if (set.full) {
        int lens[] = {p->hash_len, p->suffix_len, p->partition_len, p->objects_len,
                      (int)strlen(set.dir)};
        for (unsigned i = 0; i < 5; i++)
            sync_dir(p, lens[i]);
    }
    CHECK(fgetxattr(fd, CHECKSUM_XATTR, checksum, sizeof checksum));
}

static void put(struct worker *w, uint64_t i)
{
    struct place p;
    char etag[33];
    place_of(i, &p);
    int fd = open_nameless(&p, look(&p));
    data(w, fd, etag);
    meta(fd, etag);
    sync_data(fd);
    place(&p);
    give_name(&p, fd);
    confirm(&p, fd);
    list(&p, 1);
    close(fd);
}

/* ---- threads ---- */

static void *run(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        uint64_t begin = report_now_ns();
        uint64_t n = __atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
        if ((set.requests && n >= set.requests) || (deadline_ns && begin >= deadline_ns))
            return NULL;
        put(w, set.first + n);
        w->report.end_ns = report_now_ns();
        w->report.bytes += set.size;
        histogram_record(&w->report.latency, w->report.end_ns - begin);
    }
}

static void usage(const char *problem)
{
    fprintf(stderr,
            "floor: %s\n"
            "usage: floor --dir DIRECTORY (--seconds S | --requests N) [--threads N]\n"
            "             [--size BYTES] [--spread PARTITIONS] [--first N] [--form short|full]\n",
            problem);
    exit(2);
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", 1, 0, 'd'},     {"seconds", 1, 0, 's'}, {"requests", 1, 0, 'n'},
        {"threads", 1, 0, 't'}, {"size", 1, 0, 'z'},    {"spread", 1, 0, 'r'},
        {"first", 1, 0, 'f'},   {"form", 1, 0, 'F'},    {0},
    };
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        uint64_t number = strtoull(optarg ? optarg : "", NULL, 10);
        switch (o) {
        case 'd':
            set.dir = optarg;
            break;
        case 's':
            set.seconds = strtod(optarg, NULL);
            break;
        case 'n':
            set.requests = number;
            break;
        case 't':
            set.threads = (unsigned)number;
            break;
        case 'z':
            set.size = number;
            break;
        case 'r':
            set.spread = number;
            break;
        case 'f':
            set.first = number;
            break;
        case 'F':
            set.full = strcmp(optarg, "full") == 0;
            break;
        default:
            usage("unknown option");
        }
    }
    if (!set.dir || strlen(set.dir) > PATH_MAX / 2 || (!set.seconds && !set.requests))
        usage("give --dir, and --seconds or --requests");
    if (!set.threads || !set.spread)
        usage("--threads and --spread must not be 0");
}

int main(int argc, char **argv)
{
    static struct report total;
    parse_options(argc, argv);
    struct worker *workers = calloc(set.threads, sizeof *workers);
    body = malloc(WRITE_BYTES);
    must(workers && body, "malloc", __LINE__);
    memset(body, 'b', WRITE_BYTES);
    total.begin_ns = report_now_ns();
    if (set.seconds > 0)
        deadline_ns = total.begin_ns + (uint64_t)(set.seconds * 1e9);
    for (unsigned i = 0; i < set.threads; i++) {
        workers[i].md5 = EVP_MD_CTX_new();
        must(pthread_create(&workers[i].thread, NULL, run, &workers[i]) == 0, "thread", __LINE__);
    }
    for (unsigned i = 0; i < set.threads; i++) {
        pthread_join(workers[i].thread, NULL);
        EVP_MD_CTX_free(workers[i].md5);
        report_add(&total, &workers[i].report);
    }
    total.what = set.full ? "floor full" : "floor short";
    total.concurrency = set.threads;
    report_print(&total);
    free(workers);
    free(body);
    return 0;
}
