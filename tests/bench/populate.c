/* SPDX-License-Identifier: Apache-2.0 */
/* populate.c -- fills a device for tools/bench-audit: objects as a server leaves them, or only
 * the empty directories of uploads that never came to an end.
 *
 * No HTTP, no server, nothing is synced, and one directory after the other: a million files in
 * the time of ten thousand PUTs.
 * Names, places, metadata and checksums are the ones of diskfile/format, so both auditors find
 * every object good. Object i is /a/c/<i>; bodies differ from object to object.
 *
 * Prints one line of JSON: what is there now. */
#include "diskfile/engine/checksum.h"
#include "diskfile/engine/hashdir.h"
#include "diskfile/format/md5.h"
#include "diskfile/format/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#define THREADS_MAX 64
#define TIMESTAMP   "1700000000.00000"
#define PIECE_BYTES (1u << 20)
#define CHECK(call) must((call) >= 0, #call, __LINE__)

static struct settings {
    const char *dir; /* a device: objects/ lies in it */
    const char *prefix, *suffix;
    uint64_t first, count, size;
    unsigned part_power, threads;
    bool empty; /* hash directories without a file */
} set = {.prefix = "changeme", .suffix = "changeme", .part_power = 8, .threads = 2};

static struct hash_key key;
static int objects_fd;
static uint64_t *order; /* of the objects: where they lie, and which they are (place_of()) */
static atomic_ullong partitions_made, suffixes_made;

static void must(bool good, const char *call, int line)
{
    if (good)
        return;
    fprintf(stderr, "populate.c:%d: %s: %s\n", line, call, strerror(errno));
    exit(1);
}

/* ---- directories ---- */

static void make(const char *path, atomic_ullong *made)
{
    if (mkdirat(objects_fd, path, 0755) == 0)
        atomic_fetch_add(made, 1);
    else
        must(errno == EEXIST, path, __LINE__);
}

/* The hash directory; above it only what is not there yet. */
static void make_place(const struct object_hash *hash, char path[128])
{
    int partition = snprintf(path, 128, "%u", hash_partition(hash, set.part_power));
    int suffix = snprintf(path + partition, 128 - (size_t)partition, "/%s", hash_suffix(hash));
    int end = partition + suffix;
    snprintf(path + end, 128 - (size_t)end, "/%s", hash->hex);
    if (mkdirat(objects_fd, path, 0755) == 0)
        return;
    must(errno == ENOENT, path, __LINE__);
    path[partition] = '\0';
    make(path, &partitions_made);
    path[partition] = '/';
    path[end] = '\0';
    make(path, &suffixes_made);
    path[end] = '/';
    CHECK(mkdirat(objects_fd, path, 0755));
}

/* ---- files ---- */

/* Another body for each object, and no block of it like the next. */
static void fill(char *piece, size_t len, uint64_t object, uint64_t off)
{
    uint64_t word = (object << 32 | off) * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
        }
        piece[i] = (char)(word >> (i % 8 * 8));
    }
}

static void write_body(int fd, uint64_t object, char *piece, char etag[CHECKSUM_HEX_LEN + 1])
{
    struct checksum *sum;
    must(checksum_new(&sum) == 0, "checksum_new", __LINE__);
    for (uint64_t off = 0; off < set.size; off += PIECE_BYTES) {
        size_t len = set.size - off < PIECE_BYTES ? (size_t)(set.size - off) : PIECE_BYTES;
        fill(piece, len, object, off);
        checksum_add(sum, piece, len);
        must(write(fd, piece, len) == (ssize_t)len, "write", __LINE__);
    }
    checksum_end(sum, etag);
    checksum_free(sum);
}

static void write_metadata(int fd, const char *name, const char *etag)
{
    struct metadata m = {0};
    char length[24], checksum[CHECKSUM_HEX_LEN + 1], *pickle = NULL;
    size_t len = 0;
    snprintf(length, sizeof(length), "%llu", (unsigned long long)set.size);
    const char *items[][2] = {{"X-Timestamp", TIMESTAMP},
                              {"Content-Type", "a/b"},
                              {"Content-Length", length},
                              {"ETag", etag},
                              {"name", name}};
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
        must(metadata_set_text(&m, items[i][0], items[i][1]) == 0, "metadata_set", __LINE__);
    must(metadata_encode(&m, &pickle, &len) == 0, "metadata_encode", __LINE__);
    must(checksum_of(pickle, len, checksum) == 0, "checksum_of", __LINE__);
    CHECK(fsetxattr(fd, XATTR_METADATA, pickle, len, 0));
    CHECK(fsetxattr(fd, XATTR_CHECKSUM, checksum, CHECKSUM_HEX_LEN, 0));
    free(pickle);
    metadata_release(&m);
}

static void hash_of(uint64_t i, char name[40], struct object_hash *ret)
{
    int len = snprintf(name, 40, "/a/c/%llu", (unsigned long long)i);
    struct slice number = {name + 5, (size_t)len - 5};
    hash_path(&key, slice_of("a"), slice_of("c"), number, ret);
}

static void make_object(uint64_t i, char *piece)
{
    char name[40], path[128], file[160], etag[CHECKSUM_HEX_LEN + 1];
    struct object_hash hash;
    hash_of(i, name, &hash);
    make_place(&hash, path);
    if (set.empty)
        return;
    snprintf(file, sizeof(file), "%s/" TIMESTAMP ".data", path);
    int fd = openat(objects_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd >= 0, file, __LINE__);
    write_body(fd, i, piece, etag);
    write_metadata(fd, name, etag);
    CHECK(close(fd));
}

/* ---- all of them ---- */

/* Partition, suffix, and in the lower half the object's number. */
static uint64_t place_of(uint64_t i)
{
    char name[40];
    struct object_hash hash;
    hash_of(set.first + i, name, &hash);
    unsigned suffix = (unsigned)strtoul(hash_suffix(&hash), NULL, 16);
    return (uint64_t)hash_partition(&hash, set.part_power) << 44 | (uint64_t)suffix << 32 | i;
}

static int by_place(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void make_order(void)
{
    order = calloc(set.count + 1, sizeof(*order));
    must(order, "calloc", __LINE__);
    for (uint64_t i = 0; i < set.count; i++)
        order[i] = place_of(i);
    qsort(order, set.count, sizeof(*order), by_place);
}

static void *work(void *arg)
{
    char *piece = calloc(1, PIECE_BYTES);
    must(piece, "calloc", __LINE__);
    unsigned self = *(unsigned *)arg;
    uint64_t end = set.count * (self + 1) / set.threads;
    for (uint64_t i = set.count * self / set.threads; i < end; i++)
        make_object(set.first + (uint32_t)order[i], piece);
    free(piece);
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS_MAX];
    unsigned numbers[THREADS_MAX];
    for (unsigned i = 0; i < set.threads; i++) {
        numbers[i] = i;
        must(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0, "pthread_create", __LINE__);
    }
    for (unsigned i = 0; i < set.threads; i++)
        pthread_join(threads[i], NULL);
}

static _Noreturn void usage(void)
{
    fputs("populate --dir DEVICE --count N [--first N] [--size BYTES | --empty]\n"
          "         [--part-power N] [--threads N] [--prefix TEXT] [--suffix TEXT]\n",
          stderr);
    exit(2);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, 0, 'd'},     {"count", required_argument, 0, 'n'},
        {"first", required_argument, 0, 'f'},   {"size", required_argument, 0, 's'},
        {"empty", no_argument, 0, 'e'},         {"part-power", required_argument, 0, 'p'},
        {"threads", required_argument, 0, 't'}, {"prefix", required_argument, 0, 'x'},
        {"suffix", required_argument, 0, 'y'},  {0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'd':
            set.dir = optarg;
            break;
        case 'n':
            set.count = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            set.first = strtoull(optarg, NULL, 10);
            break;
        case 's':
            set.size = strtoull(optarg, NULL, 10);
            break;
        case 'e':
            set.empty = true;
            break;
        case 'p':
            set.part_power = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            set.threads = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'x':
            set.prefix = optarg;
            break;
        case 'y':
            set.suffix = optarg;
            break;
        default:
            usage();
        }
    }
    if (!set.dir || optind != argc || set.threads < 1 || set.threads > THREADS_MAX ||
        set.part_power < 1 || set.part_power > 20 || set.count > UINT32_MAX)
        usage();
}

int main(int argc, char **argv)
{
    char objects[PATH_MAX];
    parse(argc, argv);
    must(md5_algorithm() != NULL, "MD5", __LINE__);
    key = (struct hash_key){slice_of(set.prefix), slice_of(set.suffix)};
    snprintf(objects, sizeof(objects), "%s/objects", set.dir);
    must(mkdir(objects, 0755) == 0 || errno == EEXIST, objects, __LINE__);
    CHECK(objects_fd = open(objects, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    make_order();
    run_threads();
    free(order);
    printf("{\"hashes\": %llu, \"suffixes\": %llu, \"partitions\": %llu}\n",
           (unsigned long long)set.count, (unsigned long long)atomic_load(&suffixes_made),
           (unsigned long long)atomic_load(&partitions_made));
    close(objects_fd);
    return 0;
}
