/* SPDX-License-Identifier: Apache-2.0 */
/* residency.c -- cachestat(2) where the kernel has it (6.5), else mincore(2). */
#include "tools/audit/residency.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE          4096u
#define SYS_CACHESTAT 451 /* on every architecture; older headers do not know it */

/* The kernel's structs, by our own names. */
struct cache_range {
    uint64_t off, len;
};
struct cache_counts {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static atomic_bool no_cachestat;

static uint64_t first_pages(unsigned pages)
{
    return pages >= 64 ? UINT64_MAX : (1ull << pages) - 1;
}

/* false: cannot tell, or only a part of them is cached. */
static bool look_by_count(int fd, off_t off, size_t len, unsigned pages, uint64_t *ret)
{
    struct cache_range range = {(uint64_t)off, len};
    struct cache_counts counts;
    if (atomic_load_explicit(&no_cachestat, memory_order_relaxed))
        return false;
    if (syscall(SYS_CACHESTAT, fd, &range, &counts, 0) < 0) {
        atomic_store(&no_cachestat, true);
        return false;
    }
    *ret = counts.cached ? first_pages(pages) : 0;
    return counts.cached == 0 || counts.cached >= pages;
}

static uint64_t look_by_page(int fd, off_t off, size_t len, unsigned pages)
{
    unsigned char there[64];
    void *at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, off);
    if (at == MAP_FAILED)
        return RESIDENCY_ALL;
    uint64_t found = RESIDENCY_ALL;
    if (mincore(at, len, there) == 0) {
        found = 0;
        for (unsigned i = 0; i < pages; i++)
            found |= (uint64_t)(there[i] & 1) << i;
    }
    munmap(at, len);
    return found;
}

uint64_t residency_look(int fd, off_t off, size_t len)
{
    unsigned pages = (unsigned)((len + PAGE - 1) / PAGE);
    uint64_t found;
    if (len == 0 || pages > 64 || sysconf(_SC_PAGESIZE) != PAGE)
        return RESIDENCY_ALL;
    if (look_by_count(fd, off, len, pages, &found))
        return found;
    return look_by_page(fd, off, len, pages);
}

void residency_restore(int fd, off_t off, size_t len, uint64_t were_there)
{
    unsigned pages = (unsigned)((len + PAGE - 1) / PAGE);
    for (unsigned i = 0, run; i < pages; i += run + 1) {
        for (run = 0; i + run < pages && !(were_there >> (i + run) & 1); run++)
            ;
        if (run > 0)
            (void)posix_fadvise(fd, off + (off_t)i * PAGE, (off_t)run * PAGE, POSIX_FADV_DONTNEED);
    }
}
