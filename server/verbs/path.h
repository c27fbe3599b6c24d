/* SPDX-License-Identifier: Apache-2.0 */
/* path.h -- what a decoded path names (http-api 2, and stand-alone mode's URLs). Pure.
 *
 * Slices point into the path. */
#ifndef OBJSRV_PATH_H
#define OBJSRV_PATH_H

#include "diskfile/slice.h"

/* Strict: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is fine. */
bool utf8_valid(struct slice text);
size_t utf8_count(struct slice text); /* code points of valid UTF-8 */

struct object_path {
    struct slice device, partition, account, container, object;
};

/* "/device/partition/account/container/object"; false: not of this shape. */
bool path_split(struct slice path, struct object_path *ret_path);

/* "/device/partition[/rest]"; false: not of this shape. The rest may be anything, or empty. */
bool path_split_partition(struct slice path, struct slice *ret_device, struct slice *ret_partition,
                          struct slice *ret_rest);

/* Neither ".", "..", nor holding NUL: can be one component of a path. */
bool path_component_safe(struct slice name);

/* Swift's rules for names that begin with NUL. NULL, or what is wrong. Static text. */
const char *path_reserved_problem(const struct object_path *path, struct slice auto_account_prefix);

/* Percent-quoted as Swift quotes (safe: A-Za-z0-9_.-~/). `text` has room for 3 * len + 1. */
size_t path_quote(struct slice path, char *text);

/* ---- stand-alone ---- */

#define PLAIN_CONTAINER_MAX 256
#define PLAIN_KEY_MAX       1024

/* "/container/key...". NULL, or one line that says what is wrong and what was expected. A
 * path without a key is *ret_no_key. */
const char *path_split_plain(struct slice path, struct slice *ret_container, struct slice *ret_key,
                             bool *ret_no_key);

#endif
