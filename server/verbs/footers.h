/* SPDX-License-Identifier: Apache-2.0 */
/* footers.h -- metadata that follows the body of a PUT, as a JSON object (http-api 8); and the
 * other JSON that callers send: fragment preferences.
 *
 * JSON is read by jansson: strict, bounded in depth, and not ours to maintain. Keys are turned
 * into header names, values into wire bytes; null means absent. All lives in the arena.
 *
 * Errors: -EINVAL (not JSON), -EBADMSG (JSON of the wrong shape), -ENOMEM. */
#ifndef OBJSRV_FOOTERS_H
#define OBJSRV_FOOTERS_H

#include "diskfile/diskfile.h"
#include "server/http/request.h"

struct footers {
    struct metadata_item *items; /* keys in Swift's spelling of keys, but "Etag" */
    unsigned count;
};

int footers_parse(struct arena *a, struct slice json, struct footers *ret);

/* Empty if there is none. */
struct slice footer_value(const struct footers *f, const char *name);

/* X-Backend-Fragment-Preferences. -EINVAL: as if there were none. */
int fragment_preferences_parse(struct arena *a, struct slice json, struct fragment_wish *ret);

/* What X-Backend-Fragments says of an object. at == NULL: no memory. */
struct slice fragments_text(struct arena *a, const struct df_info *info);

/* A fragment's index as text; below `count`. -EINVAL. */
int fragment_index_parse(struct slice text, unsigned count, int *ret);

#endif
