/* SPDX-License-Identifier: Apache-2.0 */
/* test_pool.c -- a device's threads: how many, in which order, and that they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diskfile/disk/pool.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 2000

struct held_job {
    struct disk_job job; /* first */
    sem_t *entered, *gate, *left;
    unsigned number;
};

static atomic_uint inside, most_inside, ran;
static unsigned order[JOBS];

static void wait_sem(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    while (sem_timedwait(sem, &until) < 0)
        if (errno != EINTR)
            fail_msg("a job did not come");
}

static void run_held(struct disk_job *job)
{
    struct held_job *held = (struct held_job *)(void *)job;
    unsigned now = atomic_fetch_add(&inside, 1) + 1;
    unsigned most = atomic_load(&most_inside);
    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
        ;
    sem_post(held->entered);
    if (held->gate)
        wait_sem(held->gate);
    order[atomic_fetch_add(&ran, 1)] = held->number;
    atomic_fetch_sub(&inside, 1);
    sem_post(held->left);
}

static struct disk_device *new_device(unsigned threads_max, unsigned idle_s)
{
    struct disk_device_limits limits = {threads_max, idle_s, 10, 3};
    struct disk_device *device;
    assert_int_equal(disk_device_new("sd\xc3\xa9-with-a-long-name", &limits, &device), 0);
    atomic_store(&inside, 0);
    atomic_store(&most_inside, 0);
    atomic_store(&ran, 0);
    return device;
}

static void test_threads_max_is_reached_and_held(void **state)
{
    struct disk_device *device = new_device(3, 60);
    struct held_job jobs[9];
    sem_t entered, gate, left;
    sem_init(&entered, 0, 0);
    sem_init(&gate, 0, 0);
    sem_init(&left, 0, 0);
    for (unsigned i = 0; i < 9; i++) {
        jobs[i] = (struct held_job){{run_held, NULL}, &entered, &gate, &left, i};
        disk_device_queue(device, &jobs[i].job);
    }
    for (unsigned i = 0; i < 3; i++)
        wait_sem(&entered); /* three at once, though none has ended */
    for (unsigned i = 0; i < 9; i++) {
        sem_post(&gate);
        wait_sem(&left);
    }
    assert_int_equal(atomic_load(&most_inside), 3);
    disk_device_free(device);
}

/* Also with threads that end at once, so that jobs meet them on their way out. */
static void test_order_and_no_lost_job(void **state)
{
    static const unsigned threads_max[] = {1, 1, 4, 4}, idle_s[] = {60, 0, 60, 0};
    for (size_t row = 0; row < 4; row++) {
        struct disk_device *device = new_device(threads_max[row], idle_s[row]);
        struct held_job *jobs = calloc(JOBS, sizeof *jobs);
        sem_t entered, left;
        sem_init(&entered, 0, 0);
        sem_init(&left, 0, 0);
        for (unsigned i = 0; i < JOBS; i++) {
            jobs[i] = (struct held_job){{run_held, NULL}, &entered, NULL, &left, i};
            disk_device_queue(device, &jobs[i].job);
            if (i % 3 == 0) /* at times with a backlog, at times into an idle pool */
                wait_sem(&left);
        }
        for (unsigned i = 0; i < JOBS - (JOBS + 2) / 3; i++)
            wait_sem(&left);
        assert_int_equal(atomic_load(&ran), JOBS);
        for (unsigned i = 0; i < JOBS && threads_max[row] == 1; i++)
            assert_int_equal(order[i], i);
        disk_device_free(device);
        free(jobs);
    }
}

struct two_queues {
    struct disk_device *device;
    sem_t *entered, *left;
};

static void *queue_many(void *arg)
{
    struct two_queues *q = arg;
    struct held_job *jobs = calloc(JOBS / 2, sizeof *jobs);
    for (unsigned i = 0; i < JOBS / 2; i++) {
        jobs[i] = (struct held_job){{run_held, NULL}, q->entered, NULL, q->left, i};
        disk_device_queue(q->device, &jobs[i].job);
    }
    return jobs;
}

static void test_two_loops_one_device(void **state)
{
    struct disk_device *device = new_device(4, 0);
    sem_t entered, left;
    sem_init(&entered, 0, 0);
    sem_init(&left, 0, 0);
    struct two_queues q = {device, &entered, &left};
    pthread_t threads[2];
    void *jobs[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, queue_many, &q), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], &jobs[i]);
    for (unsigned i = 0; i < JOBS; i++)
        wait_sem(&left);
    disk_device_free(device);
    free(jobs[0]);
    free(jobs[1]);
}

struct look_job {
    struct disk_job job; /* first */
    sem_t done;
    char name[16];
    bool signals_blocked;
};

static void look_around(struct disk_job *job)
{
    struct look_job *look = (struct look_job *)(void *)job;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    look->signals_blocked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGUSR1);
    pthread_getname_np(pthread_self(), look->name, sizeof look->name);
    sem_post(&look->done);
}

static void test_what_a_thread_is_like(void **state)
{
    struct disk_device *device = new_device(1, 60);
    struct look_job look = {.job = {look_around, NULL}};
    sigset_t ours;
    sem_init(&look.done, 0, 0);
    disk_device_queue(device, &look.job);
    wait_sem(&look.done);
    assert_true(look.signals_blocked);
    assert_int_equal(strncmp(look.name, "sd\xc3\xa9-with-a-", 12), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &ours);
    assert_false(sigismember(&ours, SIGTERM));
    assert_string_equal(disk_device_name(device), "sd\xc3\xa9-with-a-long-name");
    disk_device_free(device);
}

static void test_admission(void **state)
{
    struct disk_device *device = new_device(1, 1); /* requests_max 3 */
    for (unsigned i = 0; i < 3; i++)
        assert_true(disk_device_admit(device));
    assert_false(disk_device_admit(device));
    assert_int_equal(disk_device_admitted(device), 3);
    disk_device_leave(device);
    assert_true(disk_device_admit(device));
    assert_false(disk_device_admit(device));
    for (unsigned i = 0; i < 3; i++)
        disk_device_leave(device);
    assert_int_equal(disk_device_admitted(device), 0);
    disk_device_free(device);
}

static void test_free_without_work(void **state)
{
    disk_device_free(new_device(4, 1));
    disk_device_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_max_is_reached_and_held),
        cmocka_unit_test(test_order_and_no_lost_job),
        cmocka_unit_test(test_two_loops_one_device),
        cmocka_unit_test(test_what_a_thread_is_like),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_free_without_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
