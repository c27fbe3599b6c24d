/* SPDX-License-Identifier: Apache-2.0 */
/* upload.h -- the body of a PUT on its way to be an object, in both modes.
 *
 *   upload_new -> (fill in) -> upload_start -> form->created | form->refused | an error reply
 *
 * A small body that lies in the connection's buffer already is collected first, so that the
 * disk does everything in one go. Any other is streamed:
 *
 *   BEGIN -> began(): the judge agrees, the file is open; now 100 Continue and the body
 *   blocks: [lent to the disk] [full, waiting ...] [filling]  -- the socket is read on while
 *           fewer than upload_buffers blocks wait
 *   end   -> size and checksum are right -> COMMIT -> finished()
 *
 * U1  One reply, always from finished(): whatever goes wrong on the way is noted in
 *     `failure`, the upload aborted, and answered when nothing is in flight any more.
 * U2  The judge runs on a pool thread. It writes `verdict`, `seen`, `condition` and nothing
 *     else; they are read here only in began() and finished(), which come after it.
 * Threads: the loop's, except form->judge. */
#ifndef OBJSRV_UPLOAD_H
#define OBJSRV_UPLOAD_H

#include "server/verbs/conditions.h"
#include "server/verbs/md5.h"
#include "server/verbs/target.h"

struct upload;

/* What the two modes do differently. */
struct upload_form {
    const char *name;
    bool own_clock; /* the server gives timestamps; a judge that answers -ESTALE has seen a
                     * newer version in `seen` */
    /* 0; or -errno: with `verdict` set, form->refused answers, else status_of_errno(). */
    int (*judge)(struct upload *up, const struct df_info *info);
    void (*refused)(struct request *r, struct upload *up); /* ends the request */
    void (*created)(struct request *r, struct upload *up); /* ends the request */
};

struct upload {
    /* Filled in before upload_start(). */
    const struct upload_form *form;
    struct target target;
    struct timestamp timestamp; /* own_clock: set here ... */
    bool time_fixed;            /* ... and final: set before the disk may see it */
    int64_t size;               /* that the body must have; -1: any */
    struct metadata metadata;   /* all but X-Timestamp, Content-Length, ETag */
    struct slice etag;          /* expected MD5 in hex, or empty */
    bool has_content_md5;
    unsigned char content_md5[MD5_LEN];
    struct conditions conditions;
    unsigned next_part_power; /* 0: none */
    int64_t expiry;           /* X-Delete-At in seconds; 0: none */

    /* The judge's. */
    int verdict; /* a status, or 0 */
    struct timestamp seen;
    int64_t old_expiry; /* X-Delete-At of what is being replaced; 0: none */

    /* Results. */
    char md5_hex[MD5_HEX_LEN + 1];
    uint64_t received;

    struct request *request;  /* the form's own */
    struct upload_body *body; /* upload.c's own */
};

/* In the arena; freed by upload_start()'s end, or by upload_drop() if that was not called.
 * NULL: no memory, answered. */
struct upload *upload_new(struct request *r, const struct upload_form *form,
                          const struct target *target);
void upload_drop(struct upload *up);
void upload_start(struct request *r, struct upload *up);

#endif
