/* SPDX-License-Identifier: Apache-2.0 */
/* bench_disk.c -- the system calls of a small durable upload, through both back ends and
 * from plain threads, interleaved; prints median and range of PUT/s and of CPU per PUT.
 *
 *   bench_disk DIRECTORY [-n puts per run] [-r repeats] [-d depth] [-t pool threads] [-g | -w]
 *
 * Instead of uploads, -g measures reads of a file in the page cache (64 KiB each, one READ
 * per chain), -w writes of 64 KiB into the page cache (one file per chain, one WRITE).
 * Not a test: it asserts nothing about speed. */
#include "diskfile/disk/pool.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HASH_DIRS  256
#define REPEATS    64
#define MOVE_BYTES 65536

static struct {
    const char *directory;
    unsigned puts, repeats, depth, threads;
    bool reads, writes;
    int read_fd;
} bench = {.puts = 2000, .repeats = 5, .depth = 16, .threads = 16};

static _Atomic unsigned long next_id;
static _Atomic unsigned left_to_do;
static _Atomic unsigned failures;

struct upload {
    struct disk_chain chain;
    int fd;
    char hash_dir[512], name[600], lock[600];
    char body[4096], first[400], second[32], back[512];
    char moved[MOVE_BYTES];
    unsigned *running;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* What no single op is: the partition's lock, and a line in its list. */
static int mark_changed(void *arg)
{
    struct upload *up = arg;
    int fd = open(up->lock, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int r = flock(fd, LOCK_EX) < 0 || write(fd, "0123456789abcdef0123456789abcde\n", 32) != 32;
    close(fd);
    return r ? -EIO : 0;
}

static void build_move(struct upload *up, struct disk_device *device)
{
    disk_chain_init(&up->chain, device, up->chain.done);
    struct disk_op *op = disk_chain_add(&up->chain, bench.reads ? DISK_READ : DISK_WRITE);
    op->fd = bench.reads ? &bench.read_fd : &up->fd;
    op->buf = up->moved;
    op->len = MOVE_BYTES;
}

static void build_put(struct upload *up, struct disk_device *device)
{
    unsigned long id = atomic_fetch_add(&next_id, 1);
    snprintf(up->hash_dir, sizeof up->hash_dir, "%s/%02lx", bench.directory, id % HASH_DIRS);
    snprintf(up->name, sizeof up->name, "%s/%lu.data", up->hash_dir, id);
    snprintf(up->lock, sizeof up->lock, "%s/lock%lu", bench.directory, id % 16);
    struct disk_chain *c = &up->chain;
    disk_chain_init(c, device, c->done);
    struct disk_op *op = disk_chain_add(c, DISK_OPENAT);
    op->name = up->hash_dir;
    op->flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    op->mode = 0600;
    op = disk_chain_add(c, DISK_WRITE);
    op->buf = up->body;
    op->len = sizeof up->body;
    op = disk_chain_add(c, DISK_FSETXATTR);
    op->name = "user.one";
    op->buf = up->first;
    op->len = sizeof up->first;
    op = disk_chain_add(c, DISK_FSETXATTR);
    op->name = "user.two";
    op->buf = up->second;
    op->len = sizeof up->second;
    op = disk_chain_add(c, DISK_SYNC_RANGE);
    op->flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    op = disk_chain_add(c, DISK_CALL);
    op->call = mark_changed;
    op->arg = up;
    op = disk_chain_add(c, DISK_LINKAT);
    op->name2 = up->name;
    disk_chain_add(c, DISK_FSYNC);
    op = disk_chain_add(c, DISK_FGETXATTR);
    op->name = "user.one";
    op->buf = up->back;
    op->len = sizeof up->back;
    disk_chain_add(c, DISK_CLOSE);
    for (unsigned i = 0; i < c->count; i++)
        c->ops[i].fd = &up->fd;
}

static bool build_next(struct upload *up, struct disk_device *device)
{
    unsigned left = atomic_load(&left_to_do);
    do
        if (left == 0)
            return false;
    while (!atomic_compare_exchange_weak(&left_to_do, &left, left - 1));
    if (bench.reads || bench.writes)
        build_move(up, device);
    else
        build_put(up, device);
    return true;
}

static void done(struct disk_chain *chain)
{
    struct upload *up = (struct upload *)(void *)chain; /* its first member */
    struct disk *d = chain->disk;
    if (disk_chain_result(chain) < 0)
        atomic_fetch_add(&failures, 1);
    if (build_next(up, chain->device))
        d->submit(d, chain);
    else
        (*up->running)--;
}

static void run_disk(struct disk *d, struct disk_device *device, struct upload *uploads)
{
    unsigned running = 0;
    for (unsigned i = 0; i < bench.depth; i++) {
        uploads[i].running = &running;
        uploads[i].chain.done = done;
        if (build_next(&uploads[i], device)) {
            running++;
            d->submit(d, &uploads[i].chain);
        }
    }
    struct pollfd pollfd = {.fd = d->fd(d), .events = POLLIN};
    while (running > 0) {
        d->flush(d);
        if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
            die("poll");
        d->reap(d);
    }
}

static void *plain_thread(void *arg)
{
    struct upload *up = arg;
    while (build_next(up, NULL)) {
        disk_chain_run(&up->chain);
        if (disk_chain_result(&up->chain) < 0)
            atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

static void run_plain(struct upload *uploads)
{
    pthread_t *threads = calloc(bench.depth, sizeof *threads);
    if (!threads)
        die("calloc");
    for (unsigned i = 0; i < bench.depth; i++)
        if (pthread_create(&threads[i], NULL, plain_thread, &uploads[i]) != 0)
            die("pthread_create");
    for (unsigned i = 0; i < bench.depth; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double cpu_seconds(long *switches)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    *switches = use.ru_nvcsw + use.ru_nivcsw;
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

struct series {
    const char *name;
    double per_s[REPEATS], cpu_us[REPEATS], switches[REPEATS];
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_values(const char *unit, double *values)
{
    qsort(values, bench.repeats, sizeof *values, by_size);
    printf("  %8.1f [%.1f-%.1f] %s", values[bench.repeats / 2], values[0],
           values[bench.repeats - 1], unit);
}

static void measure(struct series *s, unsigned repeat, struct disk *d, struct disk_device *device,
                    struct upload *uploads)
{
    long switches_before, switches;
    atomic_store(&left_to_do, bench.puts);
    double cpu = cpu_seconds(&switches_before), start = seconds();
    if (d)
        run_disk(d, device, uploads);
    else
        run_plain(uploads);
    s->per_s[repeat] = bench.puts / (seconds() - start);
    s->cpu_us[repeat] = 1e6 * (cpu_seconds(&switches) - cpu) / bench.puts;
    s->switches[repeat] = (double)(switches - switches_before) / bench.puts;
}

static void options(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "n:r:d:t:gw")) != -1;) {
        if (c == 'n')
            bench.puts = (unsigned)atoi(optarg);
        else if (c == 'r')
            bench.repeats = (unsigned)atoi(optarg);
        else if (c == 'd')
            bench.depth = (unsigned)atoi(optarg);
        else if (c == 't')
            bench.threads = (unsigned)atoi(optarg);
        else if (c == 'g')
            bench.reads = true;
        else if (c == 'w')
            bench.writes = true;
        else
            exit(2);
    }
    if (optind != argc - 1 || bench.repeats < 1 || bench.repeats > REPEATS || bench.depth < 1) {
        fprintf(stderr,
                "usage: bench_disk [-n puts] [-r repeats] [-d depth] [-t threads] [-g | -w] "
                "DIRECTORY\n");
        exit(2);
    }
    bench.directory = argv[optind];
}

static void prepare(void)
{
    char path[512];
    for (unsigned i = 0; i < HASH_DIRS; i++) {
        snprintf(path, sizeof path, "%s/%02x", bench.directory, i);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            die(path);
    }
    static char zeros[MOVE_BYTES];
    snprintf(path, sizeof path, "%s/read", bench.directory);
    bench.read_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (bench.read_fd < 0 || write(bench.read_fd, zeros, sizeof zeros) != sizeof zeros)
        die(path);
}

int main(int argc, char **argv)
{
    options(argc, argv);
    prepare();
    atomic_store(&next_id, (unsigned long)getpid() << 32);
    struct upload *uploads = calloc(bench.depth, sizeof *uploads);
    struct disk_device_limits limits = {bench.threads, 10, 256, 1000};
    struct disk_device *device;
    struct disk *disks[3] = {0};
    struct series series[3] = {{"plain"}, {"threads"}, {"uring"}};
    if (!uploads || disk_device_new("bench", &limits, &device) < 0 ||
        disk_threads_new(&disks[1]) < 0)
        die("set up");
    for (unsigned i = 0; i < bench.depth && bench.writes; i++)
        if ((uploads[i].fd = open(bench.directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) < 0)
            die("O_TMPFILE");
    int r = disk_uring_new(512, 64, &disks[2]);
    if (r < 0)
        printf("no uring: %s\n", strerror(-r));
    unsigned ways = r < 0 ? 2 : 3;
    for (unsigned repeat = 0; repeat < bench.repeats; repeat++)
        for (unsigned way = 0; way < ways; way++)
            measure(&series[way], repeat, disks[way], device, uploads);
    for (unsigned way = 0; way < ways; way++) {
        printf("%-8s", series[way].name);
        print_values("/s", series[way].per_s);
        print_values("CPU us", series[way].cpu_us);
        print_values("switches", series[way].switches);
        printf("\n");
    }
    if (atomic_load(&failures) > 0)
        printf("%u FAILED\n", atomic_load(&failures));
    for (unsigned way = 1; way < ways; way++)
        disks[way]->free(disks[way]);
    disk_device_free(device);
    free(uploads);
    return atomic_load(&failures) > 0;
}
