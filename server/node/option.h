/* SPDX-License-Identifier: Apache-2.0 */
/* option.h -- the rows of config.def as data: for the loader, --help and the sample file.
 *
 * Not here: where values come from (config.c, swift_conf.c). */
#ifndef OBJSRV_OPTION_H
#define OBJSRV_OPTION_H

#include "server/node/config.h"

struct option_row;

struct option_type {
    const char *name;
    /* Fills the field. -EINVAL: `expected` says what was expected. */
    int (*parse)(const struct option_row *row, const char *text, void *field, char *expected,
                 size_t expected_len);
    void (*release)(void *field); /* or NULL */
};

struct option_row {
    const char *section; /* "app", "healthcheck", "recon", "ratelimit", "constraints" */
    const char *name;
    const struct option_type *type;
    size_t offset; /* in struct config */
    const char *def;
    double min, max;
    const char *unit;
    const char *help;
};

const struct option_row *option_rows(unsigned *ret_count);
const struct option_row *option_find(const char *section, const char *name); /* or NULL */

/* Replaces the field's value. */
int option_set(const struct option_row *row, const char *text, struct config *c, char *expected,
               size_t expected_len);
void option_release_all(struct config *c);

/* What counts as true is the same in files and in headers of Swift. */
bool option_true(const char *text);

void text_list_add(struct text_list *list, struct slice item);
void text_list_release(struct text_list *list);

#endif
