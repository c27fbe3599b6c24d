/* SPDX-License-Identifier: Apache-2.0 */
/* device.h -- the devices of a run: which there are, which are ours to work on.
 *
 * In Swift mode the directories below `devices`, in stand-alone mode the data directories.
 * While a device is claimed no other auditor works on it: <device>/objsrv-audit/lock is locked
 * (flock). That directory also keeps the auditor's own state (coverage.h). Who claims holds
 * descriptors, so the device cannot be unmounted until it is let go. */
#ifndef OBJSRV_DEVICE_H
#define OBJSRV_DEVICE_H

#include "tools/audit/coverage.h"
#include "tools/audit/fuse.h"
#include "tools/audit/pace.h"
#include "tools/audit/settings.h"

#include <pthread.h>

#define DEVICE_STATE_DIRECTORY "objsrv-audit"

struct device {
    char *name;
    struct store_device sd; /* path; what places are made of */
    dev_t dev;              /* the file system, as claimed */
    int root_fd;            /* the device; -1: not claimed */
    int state_fd;           /* its objsrv-audit/; -1: there is none, nothing is kept */
    int lock_fd;
    struct fuse fuse[2]; /* of the ALL and of the ZBF pass */
    struct pace pace;
    pthread_mutex_t lock; /* of coverage */
    struct coverage coverage;
    const char *untouched; /* why this run left it alone, in words; or NULL */
    atomic_bool vanished;  /* while it was claimed: see device_has_vanished() */
};

struct device_list {
    struct device *devices;
    unsigned count;
    struct df_store *store;
};

/* All there are, or those named in `only` (NULL-terminated; others are passed over, as Swift
 * does). Stand-alone: the hash key of their identity goes into settings->store. -errno with
 * `problem`. */
int device_list_load(struct settings *s, const char *const *only, struct device_list *ret,
                     char *problem, size_t problem_len);
void device_list_free(struct device_list *l);

/* -ENODEV: not mounted; -EWOULDBLOCK: another auditor is at work there; other -errno. Who
 * `only_looks` (a dry run) writes nothing: the lock is taken if there is one. */
int device_claim(struct device *d, const struct settings *s, bool only_looks);
const char *device_problem(int error); /* of device_claim(), in words */
/* Only reads the coverage, whoever has the device. */
int device_peek(struct device *d);
void device_let_go(struct device *d);

/* Is it no longer mounted where it was? Then what our paths name lies below its mount point, on
 * another file system, where nothing may be changed. Asked before each suffix directory and
 * before each change; the first who finds out says so. Threads: any. */
bool device_has_vanished(struct device *d);

/* Writes the coverage, if there is anything new. */
int device_save(struct device *d);

#endif
