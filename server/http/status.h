/* SPDX-License-Identifier: Apache-2.0 */
/* status.h -- what Swift says for each status (http-api 4). Pure. */
#ifndef OBJSRV_STATUS_H
#define OBJSRV_STATUS_H

/* The reason phrase; "Unknown" for a status that is not in the table. */
const char *status_title(int status);

/* The text of the default body, or NULL: none. 507's holds one %s for the drive. */
const char *status_text(int status);

#endif
