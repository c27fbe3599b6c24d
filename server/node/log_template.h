/* SPDX-License-Identifier: Apache-2.0 */
/* log_template.h -- the template of the access line, as Swift's log_format (http-api 20.1).
 *
 *   {method} {time.Y} {path.anonymized} {trans_time:.4f} {status:>5}  "{{" and "}}" are braces
 *
 *   log_template_check   when the configuration is read
 *   log_template_set     before the first thread starts; from then on it is read only
 *
 * Not here: what a request has to say to each field (log_format.h). Knows no request, so that
 * whatever reads a configuration need not know one. */
#ifndef OBJSRV_LOG_TEMPLATE_H
#define OBJSRV_LOG_TEMPLATE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

enum { LOG_PIECES_MOST = 128 };

enum log_field {
    LOG_FIELD_TEXT, /* no field: text between two of them */
    LOG_FIELD_REMOTE_ADDR,
    LOG_FIELD_TIME,
    LOG_FIELD_METHOD,
    LOG_FIELD_PATH,
    LOG_FIELD_DISK,
    LOG_FIELD_PARTITION,
    LOG_FIELD_ACCOUNT,
    LOG_FIELD_CONTAINER,
    LOG_FIELD_OBJECT,
    LOG_FIELD_STATUS,
    LOG_FIELD_CONTENT_LENGTH,
    LOG_FIELD_REFERER,
    LOG_FIELD_TXN_ID,
    LOG_FIELD_USER_AGENT,
    LOG_FIELD_TRANS_TIME,
    LOG_FIELD_ADDITIONAL_INFO,
    LOG_FIELD_PID,
    LOG_FIELD_POLICY_INDEX,
    LOG_FIELDS
};

enum log_kind { LOG_KIND_TEXT, LOG_KIND_INT, LOG_KIND_FLOAT };

struct log_form {
    char fill, align;     /* align 0: as the type has it */
    int width, precision; /* -1: none */
    char type;            /* 0: the type's own */
};

/* A text, or a field with its form. */
struct log_piece {
    enum log_field field;
    enum log_kind kind;
    bool anonymized;
    char time_part[12]; /* behind "time."; or empty */
    struct log_form form;
    const char *text; /* LOG_FIELD_TEXT */
    size_t len;
};

struct log_template {
    struct log_piece pieces[LOG_PIECES_MOST];
    unsigned count;
    char *text;           /* what the pieces point into */
    const EVP_MD *digest; /* of what is anonymized */
    char label[48];       /* "{SMD5}" */
    char salt[256];
};

/* Empty is good. -EINVAL, and what was expected. */
int log_template_check(const char *template, char *expected, size_t expected_len);
bool log_digest_known(const char *name);

/* Empty: no template any more. -ENOMEM. */
int log_template_set(const char *template, const char *digest, const char *salt);

/* NULL: none was set. */
const struct log_template *log_template(void);

#endif
