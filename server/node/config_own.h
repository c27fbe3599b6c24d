/* SPDX-License-Identifier: Apache-2.0 */
/* config_own.h -- a configuration that is being read: config.c and config_check.c only. */
#ifndef OBJSRV_CONFIG_OWN_H
#define OBJSRV_CONFIG_OWN_H

#include "server/node/config.h"
#include "server/node/paste.h"

struct config_loading {
    struct config *config;
    struct ini *ini;
    char *here; /* the directory that relative paths start from */
    struct paste_context pipeline;
    struct paste_context app;
    char *problem;
    size_t problem_len;
};

/* "file:line: [section] option = value: expected ..."; -EINVAL. */
int config_refuse_value(struct config_loading *l, const char *name, const char *expected);

/* All options are set. 0, or -EINVAL and a problem. */
int config_check(struct config_loading *l);

#endif
