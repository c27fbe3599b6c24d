/* SPDX-License-Identifier: Apache-2.0 */
/* swift_conf.h -- swift.conf: what all servers of a cluster must agree on.
 *
 * [swift-hash], [storage-policy:N] and [swift-constraints] (on-disk-format 2, http-api 19.3).
 * For config.c alone. Errors as config_load()'s. */
#ifndef OBJSRV_SWIFT_CONF_H
#define OBJSRV_SWIFT_CONF_H

#include "server/node/config.h"
#include "server/node/ini.h"

int swift_conf_load(struct config *c, const char *file, char *problem, size_t problem_len);

/* Only [swift-constraints], from a file that was read already. */
int swift_conf_constraints(struct config *c, const struct ini *ini, char *problem,
                           size_t problem_len);

/* One replicated policy, number 0: what a cluster without [storage-policy:N] has. */
void swift_conf_only_policy(struct config *c);

#endif
