/* SPDX-License-Identifier: Apache-2.0 */
#include "server/verbs/upload_mime.h"
#include "server/verbs/headers_meta.h"
#include "server/verbs/mime.h"
#include <errno.h>
#include <stdlib.h>

#define FOOTER_MAX   (256u << 10) /* of JSON; the metadata in it is bounded far below */
#define BOUNDARY_MAX 1024

enum document { DOC_BODY, DOC_FOOTER, DOC_COMMIT, DOC_EXTRA };

struct upload_mime {
    struct upload *up;
    struct request *request;
    struct slice boundary;
    bool wants_footer, wants_commit;
    struct mime reader;
    bool begun; /* a document is being read or was */
    enum document document;

    char *footer;
    size_t footer_len, footer_room;
    struct slice footer_md5;
    bool footer_seen, footer_too_long;

    bool commit_seen;  /* the document was read to its end ... */
    bool commit_said;  /* ... and says so */
    bool commit_known; /* the outcome was told to the upload */
    bool second;       /* stream: asked for */
    bool over;
};

bool upload_mime_asked(const struct request *r)
{
    return request_header_true(r, "X-Backend-Obj-Metadata-Footer") ||
           request_header_true(r, "X-Backend-Obj-Multiphase-Commit");
}

struct upload_mime *upload_mime_new(struct request *r, struct upload *up)
{
    struct upload_mime *m = arena_alloc(r->arena, sizeof *m);
    if (!m)
        return NULL;
    m->up = up;
    m->request = r;
    m->boundary = request_header_value(r, "X-Backend-Obj-Multipart-Mime-Boundary");
    m->wants_footer = request_header_true(r, "X-Backend-Obj-Metadata-Footer");
    m->wants_commit = request_header_true(r, "X-Backend-Obj-Multiphase-Commit");
    m->over = !m->wants_commit;
    return m;
}

void upload_mime_release(struct upload_mime *m)
{
    free(m->footer);
    m->footer = NULL;
}

bool upload_mime_two_phases(const struct upload_mime *m)
{
    return m->wants_commit;
}

bool upload_mime_is_over(const struct upload_mime *m)
{
    return m->over;
}

static const char *continue_lines(const struct upload_mime *m)
{
    if (!m->wants_footer)
        return "X-Obj-Multiphase-Commit: yes\r\n";
    return m->wants_commit ? "X-Obj-Multiphase-Commit: yes\r\nX-Obj-Metadata-Footer: yes\r\n"
                           : "X-Obj-Metadata-Footer: yes\r\n";
}

bool upload_mime_start(struct upload_mime *m)
{
    if (m->boundary.len == 0 || m->boundary.len > BOUNDARY_MAX) {
        upload_fail(m->up, 400, m->boundary.len ? "MIME boundary too long" : "no MIME boundary");
        return false;
    }
    char *memory = arena_alloc(m->request->arena, MIME_MEMORY(m->boundary.len));
    if (!memory) {
        upload_fail(m->up, 500, NULL);
        return false;
    }
    mime_init(&m->reader, m->boundary, memory);
    request_continue_with(m->request, continue_lines(m));
    return true;
}

/* ---- documents ---- */

static enum document next_document(const struct upload_mime *m)
{
    if (!m->begun)
        return DOC_BODY;
    if (m->document == DOC_BODY && m->wants_footer)
        return DOC_FOOTER;
    return m->document < DOC_COMMIT && m->wants_commit ? DOC_COMMIT : DOC_EXTRA;
}

static void part_begins(struct upload_mime *m)
{
    m->document = next_document(m);
    m->begun = true;
    if (m->document == DOC_FOOTER) {
        struct slice md5 = mime_header(&m->reader, "Content-MD5");
        char *kept = arena_alloc(m->request->arena, md5.len + 1);
        if (!kept) {
            upload_fail(m->up, 500, NULL);
            return;
        }
        memcpy(kept, md5.at, md5.len);
        m->footer_md5 = (struct slice){kept, md5.len};
    } else if (m->document == DOC_COMMIT) {
        m->commit_said = slice_eq(mime_header(&m->reader, "X-Document"), SLICE("put commit"));
    }
}

static void add_to_footer(struct upload_mime *m, struct slice data)
{
    if (m->footer_len + data.len > FOOTER_MAX) {
        m->footer_too_long = true;
        return;
    }
    if (m->footer_len + data.len > m->footer_room) {
        size_t room = 2 * (m->footer_len + data.len) + 1024;
        char *bigger = realloc(m->footer, room);
        if (!bigger) {
            upload_fail(m->up, 500, NULL);
            return;
        }
        m->footer = bigger;
        m->footer_room = room;
    }
    memcpy(m->footer + m->footer_len, data.at, data.len);
    m->footer_len += data.len;
}

static void part_data(struct upload_mime *m, struct slice data)
{
    if (m->document == DOC_BODY)
        upload_take(m->up, data.at, data.len);
    else if (m->document == DOC_FOOTER)
        add_to_footer(m, data);
}

static void part_ends(struct upload_mime *m)
{
    const struct upload *up = m->up;
    if (m->document == DOC_BODY && up->size >= 0 && up->received != (uint64_t)up->size)
        upload_fail(m->up, 499, NULL);
    m->footer_seen |= m->document == DOC_FOOTER;
    m->commit_seen |= m->document == DOC_COMMIT;
}

static void note(struct upload_mime *m, enum mime_event event, struct slice data)
{
    switch (event) {
    case MIME_PART:
        part_begins(m);
        break;
    case MIME_DATA:
        part_data(m, data);
        break;
    case MIME_PART_END:
        part_ends(m);
        break;
    case MIME_BAD:
        upload_fail(m->up, 500, NULL);
        break;
    case MIME_END:
    case MIME_MORE:
        break;
    }
}

void upload_mime_data(struct upload_mime *m, const char *at, size_t len)
{
    struct slice input = {at, len}, data = {0};
    enum mime_event event;
    do {
        event = mime_read(&m->reader, &input, &data);
        note(m, event, data);
    } while (event != MIME_MORE && event != MIME_BAD);
}

/* Nothing more will come at all: what was begun is over. */
static void finish_reading(struct upload_mime *m)
{
    struct slice data = {0};
    enum mime_event event;
    do {
        event = mime_finish(&m->reader, &data);
        note(m, event, data);
    } while (event != MIME_END && event != MIME_BAD);
}

/* The commit document is the second stream's: it stays unread where the first one ends. */
void upload_mime_stream_end(struct upload_mime *m)
{
    bool commit_is_next = m->reader.state != MIME_BODY && next_document(m) == DOC_COMMIT;
    if (!commit_is_next && !(m->begun && m->document == DOC_COMMIT))
        finish_reading(m);
}

/* ---- footers ---- */

static bool refuse(struct upload_mime *m, int status, const char *text)
{
    upload_fail(m->up, status, text);
    return false;
}

static bool footer_is_intact(const struct upload_mime *m)
{
    unsigned char digest[MD5_LEN];
    char hex[MD5_HEX_LEN + 1];
    struct md5 *md5 = md5_new();
    if (!md5)
        return false;
    md5_add(md5, m->footer, m->footer_len);
    int res = md5_end(md5, digest, hex);
    md5_free(md5);
    return res == 0 && slice_eq(m->footer_md5, (struct slice){hex, MD5_HEX_LEN});
}

static int store_footers(struct upload *up)
{
    for (unsigned i = 0; i < up->footers.count; i++) {
        const struct metadata_item *f = &up->footers.items[i];
        if (!is_user_meta(f->key) && !is_sysmeta(f->key) && !is_transient_sysmeta(f->key))
            continue;
        int res = metadata_set(&up->metadata, f->key, f->value);
        if (res < 0)
            return res;
    }
    return 0;
}

/* A footer's Etag is the one that counts, in any case of letters. */
static int apply_etag(struct upload_mime *m)
{
    struct slice etag = footer_value(&m->up->footers, "Etag");
    if (etag.len == 0)
        return 0;
    char *lower = arena_alloc(m->request->arena, etag.len);
    if (!lower)
        return -ENOMEM;
    for (size_t i = 0; i < etag.len; i++)
        lower[i] = (char)(etag.at[i] >= 'A' && etag.at[i] <= 'Z' ? etag.at[i] | 32 : etag.at[i]);
    bool quoted = etag.len >= 2 && lower[0] == '"' && lower[etag.len - 1] == '"';
    m->up->etag =
        quoted ? (struct slice){lower + 1, etag.len - 2} : (struct slice){lower, etag.len};
    return 0;
}

bool upload_mime_footers(struct upload_mime *m)
{
    if (!m->wants_footer)
        return true;
    if (!m->footer_seen)
        return refuse(m, 400, "couldn't find footer MIME doc");
    if (m->footer_too_long)
        return refuse(m, 400, "footer MIME doc too long");
    if (m->footer_md5.len == 0)
        return refuse(m, 400, "no Content-MD5 in footer");
    if (!footer_is_intact(m))
        return refuse(m, 422, "footer MD5 mismatch");
    struct slice json = {m->footer, m->footer_len};
    int res = footers_parse(m->request->arena, json, &m->up->footers);
    if (res == -EINVAL || res == -EBADMSG)
        return refuse(m, 400, "invalid JSON for footer doc");
    if (res == 0)
        res = apply_etag(m);
    if (res == 0)
        res = store_footers(m->up);
    return res == 0 || refuse(m, 500, NULL);
}

/* ---- the second phase ---- */

static void judge_commit(struct upload_mime *m)
{
    if (m->commit_known)
        return;
    m->commit_known = true;
    if (m->commit_said)
        upload_commit_durable(m->up);
    else
        upload_fail(m->up, 500, NULL);
}

static bool second_data(struct request *r, const char *at, size_t len)
{
    struct upload_mime *m = ((struct upload *)r->state)->mime;
    upload_mime_data(m, at, len);
    if (m->commit_seen)
        judge_commit(m);
    return true;
}

static void second_end(struct request *r)
{
    struct upload *up = r->state;
    struct upload_mime *m = up->mime;
    if (!m->commit_seen)
        finish_reading(m);
    m->over = true;
    judge_commit(m);
    upload_second_phase_over(up);
}

static void second_failed(struct request *r, int err)
{
    struct upload *up = r->state;
    up->mime->over = true;
    upload_fail(up, status_of_errno(err), NULL);
    upload_second_phase_over(up);
}

static const struct body_sink second_sink = {second_data, second_end, second_failed};

/* Swift sends the second 100 even when it can see that no commit document will come. */
void upload_mime_stored(struct upload_mime *m)
{
    bool hopeless = m->reader.state == MIME_OVER && !m->commit_seen;
    m->second = true;
    m->commit_known = hopeless;
    if (request_read_again(m->request, &second_sink) < 0) {
        m->over = true;
        upload_fail(m->up, 500, NULL);
    } else if (hopeless) {
        m->over = true;
        upload_fail(m->up, 400, "couldn't find PUT commit MIME doc");
    }
}
