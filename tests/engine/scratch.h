/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h -- a store on real directories for one test, and objects in it made by plain
 * system calls, so that what the engine reads was not written by the engine.
 *
 * The directories lie below $OBJSRV_TEST_DIR or /tmp: a file system with user xattrs. */
#ifndef OBJSRV_TESTS_SCRATCH_H
#define OBJSRV_TESTS_SCRATCH_H

#include "diskfile/engine/hashdir.h"

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct scratch {
    char root[PATH_MAX / 2];
    char devices[PATH_MAX / 2 + 16]; /* with one device, "sda1" */
    struct df_options options;
    struct df_store *store;
    struct object_place place; /* of /a/c/o, partition 7, policy 0 */
    unsigned quarantines, warnings;
    char last_event[PATH_MAX * 2];
    char problem[1024];
};

/* cmocka set-up and tear-down. The second removes everything. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* A fresh name below root. */
const char *scratch_path(struct scratch *s, const char *name, char path[PATH_MAX]);

void scratch_mkdir(const char *path);
void scratch_write(const char *path, const void *bytes, size_t len);
bool scratch_exists(const char *path);
void scratch_remove(const char *path); /* rm -r */

/* The names in a directory, sorted, with blanks between; "-" if there is none. */
const char *scratch_list(const char *path, char text[1024]);

/* A file in s->place's hash directory with these xattrs. `metadata`: "Key=value|Key=value". */
void scratch_put(struct scratch *s, const char *name, const char *body, const char *metadata);
void scratch_put_raw(struct scratch *s, const char *name, const char *body, const void *pickle,
                     size_t pickle_len, const char *checksum, size_t chunk);

/* What a data file of /a/c/o must have: its time, length and ETag; `more` is appended. */
void scratch_put_data(struct scratch *s, const char *name, const char *body, const char *more);

struct load_spec scratch_spec(void);

unsigned scratch_open_fds(void);

#endif
