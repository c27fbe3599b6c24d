/* SPDX-License-Identifier: Apache-2.0 */
/* done_list.c -- chains on their way from pool threads back to their loop.
 *
 * A stack that many push on and one empties at a stroke: no lock, no ABA. Only the push
 * that finds it empty writes the eventfd, so a busy loop is woken once per batch.
 *
 * take() empties the eventfd first: a chain pushed after that is either in this batch, or
 * finds the stack empty and signals again. So no wake-up is lost; one may be for nothing. */
#include "diskfile/disk/chain.h"
#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

int done_list_init(struct done_list *list)
{
    *list = (struct done_list){.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    return list->event_fd < 0 ? -errno : 0;
}

void done_list_release(struct done_list *list)
{
    while (atomic_load_explicit(&list->posting, memory_order_acquire) > 0)
        sched_yield();
    if (list->event_fd >= 0)
        close(list->event_fd);
}

void done_list_kick(struct done_list *list)
{
    uint64_t one = 1;
    while (write(list->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ; /* EAGAIN: the counter is full, so the reader wakes anyway */
}

void done_list_post(struct done_list *list, struct disk_chain *chain)
{
    atomic_fetch_add_explicit(&list->posting, 1, memory_order_relaxed);
    struct disk_chain *was = atomic_load_explicit(&list->newest, memory_order_relaxed);
    do
        chain->next = was;
    while (!atomic_compare_exchange_weak_explicit(&list->newest, &was, chain, memory_order_release,
                                                  memory_order_relaxed));
    if (!was) /* from here on `chain` may be gone */
        done_list_kick(list);
    atomic_fetch_sub_explicit(&list->posting, 1, memory_order_release);
}

struct disk_chain *done_list_take(struct done_list *list)
{
    uint64_t count;
    ssize_t got = read(list->event_fd, &count, sizeof count);
    (void)got; /* EAGAIN: called without a signal, which is allowed */

    struct disk_chain *oldest = NULL;
    struct disk_chain *at = atomic_exchange_explicit(&list->newest, NULL, memory_order_acquire);
    while (at) {
        struct disk_chain *older = at->next;
        at->next = oldest;
        oldest = at;
        at = older;
    }
    return oldest;
}
