/* SPDX-License-Identifier: Apache-2.0 */
/* upload_mime.h -- a PUT whose body is a multipart document: object, footers, commit (http-api 8).
 *
 * Sits between the connection and upload.c, and drives the second phase:
 *
 *   first stream   object body -> upload_take()      [footers -> kept]
 *                  its end     -> upload.c stores what upload_mime_footers() completes
 *   stored()       second 100; second stream: commit document -> upload_commit_durable()
 *                  whatever follows it is read and dropped
 *
 * M1  The fragment is made durable only after a document called "put commit" was read to its end.
 * M2  The reply waits for the end of the second stream: upload_mime_is_over(). */
#ifndef OBJSRV_UPLOAD_MIME_H
#define OBJSRV_UPLOAD_MIME_H

#include "server/verbs/upload.h"

struct upload_mime;

/* Does this request want it? */
bool upload_mime_asked(const struct request *r);

/* NULL: no memory. In the arena. */
struct upload_mime *upload_mime_new(struct request *r, struct upload *up);
void upload_mime_release(struct upload_mime *m);

bool upload_mime_two_phases(const struct upload_mime *m);

/* Before the 100; false: the upload has failed. */
bool upload_mime_start(struct upload_mime *m);
void upload_mime_data(struct upload_mime *m, const char *at, size_t len);
void upload_mime_stream_end(struct upload_mime *m);

/* Puts the footers into up->metadata and up->etag; false: the upload has failed. */
bool upload_mime_footers(struct upload_mime *m);

void upload_mime_stored(struct upload_mime *m);
bool upload_mime_is_over(const struct upload_mime *m);

#endif
