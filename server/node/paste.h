/* SPDX-License-Identifier: Apache-2.0 */
/* paste.h -- what an application or a filter gets to see of a file, by PasteDeploy's rules.
 *
 * The trap: an option of [DEFAULT] beats the same option of [app:...] and [filter:...], unless
 * it is written there as "set option = value". "get option = other" takes another's value.
 *
 * Ownership: a context borrows the ini and owns its items. */
#ifndef OBJSRV_PASTE_H
#define OBJSRV_PASTE_H

#include "server/node/ini.h"

struct paste_item {
    char *name;
    char *value;
    bool local;                       /* not from [DEFAULT], not by "set" */
    const struct ini_option *written; /* where it comes from */
    const char *section;              /* borrowed */
};

struct paste_context {
    struct paste_item *items;
    unsigned count;
};

/* The section "app:object-server" for kind "app" and name "object-server"; blanks around the
 * name do not count. NULL: none. `*ret_many`: more than one, which is an error. */
const struct ini_section *paste_section(const struct ini *ini, const char *kind, const char *name,
                                        bool *ret_many);

/* `outer`, or NULL: the pipeline's context; its "set" options hold here too. `section` NULL:
 * [DEFAULT] alone. */
int paste_read(const struct ini *ini, const struct ini_section *section,
               const struct paste_context *outer, struct paste_context *ret_context, char *problem,
               size_t problem_len);
void paste_release(struct paste_context *c);

const struct paste_item *paste_find(const struct paste_context *c, const char *name); /* or NULL */

#endif
