/* SPDX-License-Identifier: Apache-2.0 */
/* body.c -- see body.h. */
#include "tools/audit/body.h"

#include <errno.h>
#include <stdio.h>

/* Of an error while reading. */
static int judge_failure(int error, const struct fragment_check *fragments, char reason[REASON_MAX])
{
    if (error == -EBADMSG)
        snprintf(reason, REASON_MAX, "Invalid EC metadata at offset 0x%llx",
                 (unsigned long long)fragments->offset);
    else if (error == -EIO)
        snprintf(reason, REASON_MAX, "[Errno %d] %s", EIO, strerror(EIO));
    else
        return error;
    return -EBADMSG;
}

int body_judge(struct verifier *v, const struct object_state *s, const struct df_policy *policy,
               struct verify_result *ret, char reason[REASON_MAX])
{
    struct fragment_check fragments = {0};
    const struct slice *etag = metadata_get(s->info.metadata, "ETag");
    int r = verify_body(v, s->fd, s->info.size, policy->erasure_coded ? &fragments : NULL, ret);
    if (r < 0)
        return judge_failure(r, &fragments, reason);
    if (ret->bytes != s->info.size) {
        snprintf(reason, REASON_MAX, "Bytes read: %llu, does not match metadata: %llu",
                 (unsigned long long)ret->bytes, (unsigned long long)s->info.size);
        return -EBADMSG;
    }
    if (!etag)
        return -EINVAL;
    if (slice_eq(*etag, slice_of(ret->md5)))
        return 0;
    snprintf(reason, REASON_MAX, "ETag %.*s and file's md5 %s do not match",
             (int)(etag->len < 80 ? etag->len : 80), etag->at, ret->md5);
    return -EBADMSG;
}

int body_judge_at_once(const struct object_state *s, const struct df_policy *policy,
                       struct verify_result *ret, char reason[REASON_MAX])
{
    struct limiter unlimited;
    struct pace no_pace;
    struct verifier *v;
    limiter_init(&unlimited, 0);
    pace_init(&no_pace, 0);
    int r = verifier_new(&no_pace, &unlimited, &v);
    if (r == 0) {
        r = body_judge(v, s, policy, ret, reason);
        verifier_free(v);
    }
    limiter_release(&unlimited);
    return r;
}
