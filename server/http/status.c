/* SPDX-License-Identifier: Apache-2.0 */
/* status.c -- see status.h; and the one place where an errno becomes a status. */
#include "server/http/status.h"
#include "server/http/request.h"
#include <errno.h>

/* clang-format off */
static const struct {
    int status;
    const char *title, *text;
} statuses[] = {
    {200, "OK", NULL},
    {201, "Created", NULL},
    {202, "Accepted", "The request is accepted for processing."},
    {204, "No Content", NULL},
    {206, "Partial Content", NULL},
    {304, "Not Modified", NULL},
    {400, "Bad Request", "The server could not comply with the request since it is either malformed or otherwise incorrect."},
    {403, "Forbidden", "Access was denied to this resource."},
    {404, "Not Found", "The resource could not be found."},
    {405, "Method Not Allowed", "The method is not allowed for this resource."},
    {408, "Request Timeout", "The server has waited too long for the request to be sent by the client."},
    {409, "Conflict", "There was a conflict when trying to complete your request."},
    {411, "Length Required", "Content-Length header required."},
    {412, "Precondition Failed", "A precondition for this request was not met."},
    {413, "Request Entity Too Large", "The body of your request was too large for this server."},
    {414, "Request URI Too Long", NULL},
    {416, "Requested Range Not Satisfiable", "The Range requested is not available."},
    {422, "Unprocessable Entity", "Unable to process the contained instructions"},
    {431, "Request Header Fields Too Large", NULL},
    {499, "Client Disconnect", "The client was disconnected during request."},
    {500, "Internal Error", "The server has either erred or is incapable of performing the requested operation."},
    {501, "Not Implemented", "The requested method is not implemented by this server."},
    {503, "Service Unavailable", "The server is currently unavailable. Please try again at a later time."},
    {505, "HTTP Version Not Supported", NULL},
    {507, "Insufficient Storage", "There was not enough space to save the resource. Drive: %s"},
    {529, "Too Many Backend Requests", "The server is incapable of performing the requested operation due to too many requests. Slow down."},
};

static const struct {
    int err, status;
} status_of[] = {
    {-ENOENT, 404},    {-EEXIST, 403},   {-EBADMSG, 422},   {-ECANCELED, 499}, {-ECONNRESET, 499},
    {-ETIMEDOUT, 408}, {-EBUSY, 503},    {-ENOSPC, 507},    {-E2BIG, 507},     {-EDQUOT, 507},    {-ENODEV, 507},
    {-ENOTSUP, 507},   {-EROFS, 507},    {-EIO, 507},      {-EPROTO, 499},    {-EMFILE, 503},    {-ENFILE, 503},
};
/* clang-format on */

static const char unknown[] = "Unknown";

const char *status_title(int status)
{
    for (unsigned i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].status == status)
            return statuses[i].title;
    return unknown;
}

const char *status_text(int status)
{
    for (unsigned i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return NULL;
}

int status_of_errno(int err)
{
    for (unsigned i = 0; i < sizeof(status_of) / sizeof(status_of[0]); i++)
        if (status_of[i].err == err)
            return status_of[i].status;
    return 500;
}
