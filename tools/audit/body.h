/* SPDX-License-Identifier: Apache-2.0 */
/* body.h -- is an object's body what its metadata say: as long, of that checksum, and, for
 * erasure coding, made of fragments (fragment_check.h)? What Swift's auditor checks, in its
 * order and its words. Blocking. */
#ifndef OBJSRV_BODY_H
#define OBJSRV_BODY_H

#include "diskfile/engine/hashdir.h"
#include "tools/audit/verify.h"

/* `s` is live, loaded with keep_fd. 0: good. -EBADMSG: damaged, with the reason. -ECANCELED at a
 * stop; -EINVAL: metadata without ETag; others: it cannot be read. */
int body_judge(struct verifier *v, const struct object_state *s, const struct df_policy *policy,
               struct verify_result *ret, char reason[REASON_MAX]);

/* The same at full speed, for one object that somebody waits for. */
int body_judge_at_once(const struct object_state *s, const struct df_policy *policy,
                       struct verify_result *ret, char reason[REASON_MAX]);

#endif
