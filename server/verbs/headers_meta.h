/* SPDX-License-Identifier: Apache-2.0 */
/* headers_meta.h -- from the headers of a request to an object's metadata (http-api 7.4).
 *
 * The way back is object_headers.h. */
#ifndef OBJSRV_HEADERS_META_H
#define OBJSRV_HEADERS_META_H

#include "diskfile/diskfile.h"
#include "server/http/request.h"
#include "server/node/config.h"

bool has_prefix(struct slice text, struct slice prefix); /* ASCII case ignored */

/* A header's name as a metadata key, in the arena. at == NULL: no memory. */
struct slice header_key(struct arena *a, struct slice name);

bool is_user_meta(struct slice key);
bool is_sysmeta(struct slice key);
bool is_transient_sysmeta(struct slice key);
/* In the option allowed_headers, without those that are never the client's to set. */
bool is_allowed_header(const struct config *c, struct slice key);

/* One of HTTP's own headers that stand-alone mode keeps. */
bool is_plain_header(struct slice key);

enum meta_use { META_OF_PUT, META_OF_POST, META_OF_PLAIN };

/* Adds what this request wants stored: PUT all three X-Object-* kinds, POST no sysmeta, PLAIN
 * (stand-alone) X-Object-Meta-* and the five representation headers only. Expiry headers
 * are the caller's. 0 or -ENOMEM. */
int metadata_from_request(const struct request *r, enum meta_use use, struct metadata *m);

/* X-Timestamp in its internal form; Content-Length. */
int metadata_set_timestamp(struct metadata *m, const char *key, struct timestamp ts);
int metadata_set_number(struct metadata *m, const char *key, uint64_t value);
/* "name": /account/container/object */
int metadata_set_name(struct metadata *m, const struct df_name *name);

/* Empty if there is none. */
struct slice metadata_value(const struct metadata *m, const char *key);

#endif
