/* SPDX-License-Identifier: Apache-2.0 */
/* object_headers.h -- from an object's metadata to the headers of a reply (http-api 9.2).
 *
 * Between reply_begin() and the sending of the body. Values are copied. */
#ifndef OBJSRV_OBJECT_HEADERS_H
#define OBJSRV_OBJECT_HEADERS_H

#include "diskfile/diskfile.h"
#include "server/http/request.h"

/* Headers of a reply to GET or HEAD. `content_type` replaces the object's unless NULL. */
void reply_object_headers(struct request *r, const struct df_info *info, const char *content_type);
void reply_plain_headers(struct request *r, const struct df_info *info, const char *content_type);

/* The object's content type, or application/octet-stream. */
struct slice object_content_type(const struct df_info *info);

void reply_timestamp(struct request *r, const char *name, struct timestamp ts); /* internal */

#endif
