/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/unsupported.h"
#include "server/verbs/answer.h"

void answer_unsupported(struct request *r, const char *what)
{
    answer_refusal(
        r, &(struct refusal){.status = 501,
                             .text = arena_printf(r->arena, "%s is not supported yet", what)});
}
