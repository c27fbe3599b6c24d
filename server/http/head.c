/* SPDX-License-Identifier: Apache-2.0 */
/* head.c -- see head.h. */
#include "server/http/head.h"
#include "server/node/config.h"

struct head_limits head_limits_of(const struct config *c)
{
    return (struct head_limits){
        .request_line = 8192,
        .header_line = (size_t)c->max_header_size,
        .all = (size_t)c->max_head_size,
        .lines = (unsigned)((double)(c->max_meta_count + 36 + c->extra_header_count) * 1.6),
        .standalone = c->standalone,
    };
}

/* ---- the request line ---- */

static bool is_token(struct slice s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (!alnum && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return s.len > 0;
}

static bool is_target(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7f)
            return false;
    return s.len > 0;
}

static struct slice until_blank(struct slice *rest)
{
    const char *blank = rest->len > 0 ? memchr(rest->at, ' ', rest->len) : NULL;
    struct slice word = {rest->at, blank != NULL ? (size_t)(blank - rest->at) : rest->len};
    size_t gone = word.len + (blank != NULL);
    *rest = (struct slice){rest->at + gone, rest->len - gone};
    return word;
}

static enum head_verdict judge_version(struct slice s)
{
    if (s.len != 8 || memcmp(s.at, "HTTP/", 5) != 0 || s.at[6] != '.')
        return HEAD_BAD_VERSION;
    char major = s.at[5], minor = s.at[7];
    if (major < '1' || major > '9' || minor < '0' || minor > '9')
        return HEAD_BAD_VERSION;
    return major == '1' ? HEAD_WHOLE : HEAD_VERSION_UNKNOWN;
}

static enum head_verdict split_request_line(struct slice line, struct slice words[3])
{
    struct slice rest = line;
    for (int i = 0; i < 2; i++)
        words[i] = until_blank(&rest);
    words[2] = rest;
    if (!is_token(words[0]) || !is_target(words[1]) || words[2].len == 0 ||
        memchr(rest.at, ' ', rest.len) != NULL)
        return HEAD_BAD_SYNTAX;
    return judge_version(words[2]);
}

/* ---- scanning ---- */

/* A line of `len` bytes is complete, LF included. */
static enum head_verdict judge_line(struct head_scan *s, const struct head_limits *limits,
                                    const char *line, size_t len)
{
    bool crlf = len >= 2 && line[len - 2] == '\r';
    if (s->first == 0) {
        struct slice words[3];
        s->first = len;
        return crlf ? split_request_line((struct slice){line, len - 2}, words) : HEAD_BAD_SYNTAX;
    }
    s->lines++;
    if (s->at + len - s->first > limits->all)
        return HEAD_TOO_LARGE;
    if (s->lines > limits->lines)
        return HEAD_TOO_MANY;
    return crlf ? HEAD_WHOLE : HEAD_BAD_HEADER;
}

enum head_verdict head_scan(struct head_scan *s, const struct head_limits *limits,
                            const char *bytes, size_t len, size_t *ret_len)
{
    for (;;) {
        const char *lf = len > s->seen ? memchr(bytes + s->seen, '\n', len - s->seen) : NULL;
        size_t end = lf != NULL ? (size_t)(lf - bytes) + 1 : len;
        bool first = s->first == 0;
        if (end - s->at >= (first ? limits->request_line : limits->header_line))
            return first ? HEAD_URI_TOO_LONG : HEAD_LINE_TOO_LONG;
        s->seen = end;
        if (lf == NULL)
            return HEAD_MORE;
        size_t line_len = end - s->at;
        enum head_verdict v = judge_line(s, limits, bytes + s->at, line_len);
        if (v != HEAD_WHOLE)
            return v;
        s->at = end;
        if (!first && line_len == 2) {
            *ret_len = end;
            return HEAD_WHOLE;
        }
    }
}

/* ---- header lines ---- */

/* What the header lines say of the body, before llhttp looks. */
struct framing {
    unsigned codings, lengths, hosts;
    bool chunked;
    bool bad_length;
};

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = (struct slice){s.at + 1, s.len - 1};
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool is_number(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    return s.len > 0;
}

static void note_framing(struct framing *f, struct slice name, struct slice value)
{
    if (slice_eq_nocase(name, SLICE("Transfer-Encoding"))) {
        f->codings++;
        f->chunked = slice_eq_nocase(trim(value), SLICE("chunked"));
    } else if (slice_eq_nocase(name, SLICE("Content-Length"))) {
        f->lengths++;
        f->bad_length |= !is_number(trim(value));
    } else if (slice_eq_nocase(name, SLICE("Host"))) {
        f->hosts++;
    }
}

/* Calls on every header line of the head; stops at the first refusal. */
static enum head_verdict each_line(char *at, size_t len, void *arg,
                                   enum head_verdict (*each)(void *arg, char *line, size_t name_len,
                                                             size_t line_len))
{
    while (len > 2) {
        const char *lf = memchr(at, '\n', len);
        size_t line_len = (size_t)(lf - at) + 1;
        const char *colon = memchr(at, ':', line_len);
        if (colon == NULL || colon == at || at[0] == ' ' || at[0] == '\t')
            return HEAD_BAD_HEADER; /* obsolete line folding included */
        enum head_verdict v = each(arg, at, (size_t)(colon - at), line_len);
        if (v != HEAD_WHOLE)
            return v;
        at += line_len;
        len -= line_len;
    }
    return HEAD_WHOLE;
}

static enum head_verdict look_at_line(void *arg, char *line, size_t name_len, size_t line_len)
{
    note_framing(arg, (struct slice){line, name_len},
                 (struct slice){line + name_len + 1, line_len - name_len - 3});
    return HEAD_WHOLE;
}

static bool known_coding(const struct framing *f)
{
    return f->codings == 0 || (f->codings == 1 && f->chunked);
}

static enum head_verdict mask_line(void *arg, char *line, size_t name_len, size_t line_len)
{
    const struct framing *f = arg;
    struct slice name = {line, name_len};
    bool no_length = f->codings > 0 && slice_eq_nocase(name, SLICE("Content-Length"));
    bool no_coding = !known_coding(f) && slice_eq_nocase(name, SLICE("Transfer-Encoding"));
    if (no_length || no_coding || slice_eq_nocase(name, SLICE("Upgrade")))
        line[0] = 'x';
    for (size_t i = 0; i < name_len; i++)
        if ((unsigned char)line[i] >= 0x80)
            line[i] = 'x';
    return HEAD_WHOLE;
}

static enum head_verdict judge_framing(const struct framing *f, const struct head_limits *limits,
                                       struct request *r)
{
    bool known = known_coding(f);
    if (limits->standalone && !known)
        return HEAD_BAD_CODING;
    if (limits->standalone && f->codings > 0 && f->lengths > 0)
        return HEAD_BAD_LENGTH;
    if (limits->standalone && (f->hosts > 1 || (f->hosts == 0 && !r->http10)))
        return HEAD_BAD_HOST;
    if (f->lengths > 1 || f->bad_length)
        return HEAD_BAD_LENGTH;
    if (!known)
        r->state_bits |= HEAD_BODY_UNREADABLE;
    if (f->codings > 0 && (f->lengths > 0 || r->http10))
        r->state_bits |= HEAD_AMBIGUOUS;
    return HEAD_WHOLE;
}

/* ---- llhttp ---- */

/* What llhttp's callbacks fill; parser->data while the head is parsed. */
struct fill {
    struct request *r;
    const char *fed;      /* the masked bytes llhttp sees ... */
    const char *original; /* ... and what they were */
    unsigned room;
    bool keep_alive;
};

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct fill *f = parser->data;
    if (f->r->header_count == f->room)
        return -1;
    f->r->headers[f->r->header_count++].name = (struct slice){f->original + (at - f->fed), len};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct fill *f = parser->data;
    struct header *h = &f->r->headers[f->r->header_count - 1];
    h->value = trim((struct slice){f->original + (at - f->fed), len});
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct fill *f = parser->data;
    f->keep_alive = llhttp_should_keep_alive(parser) != 0;
    f->r->chunked = (parser->flags & F_CHUNKED) != 0;
    f->r->has_length = (parser->flags & F_CONTENT_LENGTH) != 0;
    f->r->content_length = f->r->has_length ? parser->content_length : 0;
    return 0;
}

static const llhttp_settings_t head_settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
};

static enum head_verdict verdict_of(enum llhttp_errno err)
{
    switch (err) {
    case HPE_OK:
        return HEAD_WHOLE;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return HEAD_BAD_LENGTH;
    case HPE_INVALID_TRANSFER_ENCODING:
        return HEAD_BAD_CODING;
    default:
        return HEAD_BAD_HEADER;
    }
}

static enum head_verdict run_llhttp(llhttp_t *parser, struct fill *f, size_t len)
{
    static const char line10[] = "POST / HTTP/1.0\r\n", line11[] = "POST / HTTP/1.1\r\n";
    llhttp_init(parser, HTTP_REQUEST, &head_settings);
    parser->data = f;
    (void)llhttp_execute(parser, f->r->http10 ? line10 : line11, sizeof(line11) - 1); /* valid */
    enum head_verdict v = verdict_of(llhttp_execute(parser, f->fed, len));
    parser->data = NULL;
    if (f->r->content_length > INT64_MAX)
        return HEAD_BAD_LENGTH;
    if (f->keep_alive)
        f->r->state_bits |= HEAD_KEEP_ALIVE;
    return v;
}

/* ---- what is made of the fields ---- */

/* The values of headers[i] and of all later ones of the same name, which go. */
static bool join_one(struct request *r, unsigned i)
{
    struct header *h = &r->headers[i];
    size_t total = h->value.len, count = 1;
    for (unsigned k = i + 1; k < r->header_count; k++)
        if (slice_eq_nocase(r->headers[k].name, h->name)) {
            total += 1 + r->headers[k].value.len;
            count++;
        }
    if (count == 1)
        return true;
    char *text = arena_alloc(r->arena, total + 1), *end = text;
    if (text == NULL)
        return false;
    end = (char *)mempcpy(end, h->value.at, h->value.len);
    unsigned kept = i + 1;
    for (unsigned k = i + 1; k < r->header_count; k++) {
        if (!slice_eq_nocase(r->headers[k].name, h->name)) {
            r->headers[kept++] = r->headers[k];
            continue;
        }
        *end++ = ',';
        end = (char *)mempcpy(end, r->headers[k].value.at, r->headers[k].value.len);
    }
    r->header_count = kept;
    h->value = (struct slice){text, total};
    return true;
}

static bool join_repeated(struct request *r)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (!join_one(r, i))
            return false;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Once. What is no %XX stays as it is, as with Swift; alone the server refuses it. */
static enum head_verdict decode_path(struct request *r, struct slice raw, bool strict)
{
    r->path = raw;
    if (raw.len == 0 || memchr(raw.at, '%', raw.len) == NULL)
        return HEAD_WHOLE;
    char *text = arena_alloc(r->arena, raw.len + 1);
    if (text == NULL)
        return HEAD_TOO_LARGE;
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        int high = raw.at[i] == '%' && i + 2 < raw.len ? hex_digit(raw.at[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(raw.at[i + 2]) : -1;
        if (raw.at[i] == '%' && low < 0 && strict)
            return HEAD_BAD_PERCENT;
        text[n++] = low >= 0 ? (char)(high << 4 | low) : raw.at[i];
        i += low >= 0 ? 2 : 0;
    }
    r->path = (struct slice){text, n};
    return HEAD_WHOLE;
}

/* "http://host/path" -> "/path" */
static struct slice strip_origin(struct slice target)
{
    size_t scheme = 0;
    if (target.len >= 7 && strncasecmp(target.at, "http://", 7) == 0)
        scheme = 7;
    else if (target.len >= 8 && strncasecmp(target.at, "https://", 8) == 0)
        scheme = 8;
    if (scheme == 0)
        return target;
    struct slice rest = {target.at + scheme, target.len - scheme};
    while (rest.len > 0 && rest.at[0] != '/' && rest.at[0] != '?')
        rest = (struct slice){rest.at + 1, rest.len - 1};
    return rest;
}

static enum head_verdict split_target(struct request *r, bool strict)
{
    struct slice path = strip_origin(r->target);
    bool absolute = path.at != r->target.at;
    const char *mark = path.len > 0 ? memchr(path.at, '?', path.len) : NULL;
    if (mark != NULL) {
        size_t len = (size_t)(mark - path.at);
        r->query = (struct slice){mark + 1, path.len - len - 1};
        path.len = len;
    }
    if (absolute && path.len == 0)
        path = SLICE("/");
    return decode_path(r, path, strict);
}

static enum head_verdict finish(struct request *r, const struct head_limits *limits)
{
    if (!join_repeated(r))
        return HEAD_TOO_LARGE;
    struct slice expect = request_header_value(r, "Expect");
    r->expects_continue = !r->http10 && slice_eq_nocase(expect, SLICE("100-continue"));
    return split_target(r, limits->standalone);
}

enum head_verdict head_parse(struct request *r, llhttp_t *parser, const struct head_scan *s,
                             const struct head_limits *limits, char *bytes, size_t len)
{
    char *copy = arena_text(r->arena, (struct slice){bytes, len});
    r->headers = arena_alloc(r->arena, (s->lines + 1) * sizeof(*r->headers));
    if (copy == NULL || r->headers == NULL)
        return HEAD_TOO_LARGE;
    struct slice words[3];
    enum head_verdict v = split_request_line((struct slice){copy, s->first - 2}, words);
    if (v != HEAD_WHOLE)
        return v;
    r->method = words[0];
    r->target = words[1];
    r->http10 = words[2].at[7] == '0';

    char *lines = bytes + s->first;
    size_t lines_len = len - s->first;
    struct framing framing = {0};
    v = each_line(lines, lines_len, &framing, look_at_line);
    if (v == HEAD_WHOLE)
        v = judge_framing(&framing, limits, r);
    if (v == HEAD_WHOLE)
        v = each_line(lines, lines_len, &framing, mask_line);
    struct fill fill = {r, lines, copy + s->first, s->lines, false};
    if (v == HEAD_WHOLE)
        v = run_llhttp(parser, &fill, lines_len);
    return v == HEAD_WHOLE ? finish(r, limits) : v;
}

/* ---- refusals ---- */

/* clang-format off */
#define HTML "text/html;charset=utf-8"
#define PAGE(text) "<html><h1>Error</h1><p>" text "</p></html>"
static const struct head_refusal in_swift[HEAD_VERDICTS] = {
    [HEAD_URI_TOO_LONG]    = {414, "HTTP/1.0 414 Request URI Too Long", NULL, ""},
    [HEAD_LINE_TOO_LONG]   = {400, "HTTP/1.0 400 Header Line Too Long", NULL, ""},
    [HEAD_TOO_LARGE]       = {400, "HTTP/1.0 400 Headers Too Large", NULL, ""},
    [HEAD_TOO_MANY]        = {431, "HTTP/1.1 431 Too many headers", HTML, PAGE("Too many headers.")},
    [HEAD_BAD_LENGTH]      = {400, "HTTP/1.0 400 Bad Request", NULL, ""},
    [HEAD_BAD_SYNTAX]      = {400, "HTTP/1.1 400 Bad request syntax", HTML, PAGE("Bad request syntax.")},
    [HEAD_BAD_VERSION]     = {400, "HTTP/1.1 400 Bad request version", HTML, PAGE("Bad request version.")},
    [HEAD_VERSION_UNKNOWN] = {505, "HTTP/1.1 505 Invalid HTTP version", HTML, PAGE("Invalid HTTP version.")},
    [HEAD_BAD_HEADER]      = {400, "HTTP/1.1 400 Bad header line", HTML, PAGE("Bad header line.")},
    [HEAD_BAD_CODING]      = {400, "HTTP/1.1 400 Bad Transfer-Encoding", HTML, PAGE("Bad Transfer-Encoding.")},
    [HEAD_BAD_HOST]        = {400, "HTTP/1.1 400 Bad Host", HTML, PAGE("Bad Host.")},
    [HEAD_BAD_PERCENT]     = {400, "HTTP/1.1 400 Bad request syntax", HTML, PAGE("Bad percent-encoding.")},
};

#define TEXT "text/plain; charset=UTF-8"
#define BAD  "HTTP/1.1 400 Bad Request"
static const struct head_refusal alone[HEAD_VERDICTS] = {
    [HEAD_URI_TOO_LONG]    = {414, "HTTP/1.1 414 Request URI Too Long", TEXT, "The request line is longer than 8191 bytes.\n"},
    [HEAD_LINE_TOO_LONG]   = {431, "HTTP/1.1 431 Request Header Fields Too Large", TEXT, "A header line is too long; the limit is the option max_header_size.\n"},
    [HEAD_TOO_LARGE]       = {431, "HTTP/1.1 431 Request Header Fields Too Large", TEXT, "The header lines together are too long; the limit is the option max_head_size.\n"},
    [HEAD_TOO_MANY]        = {431, "HTTP/1.1 431 Request Header Fields Too Large", TEXT, "There are too many header lines; the limit is the option extra_header_count.\n"},
    [HEAD_BAD_LENGTH]      = {400, BAD, TEXT, "Content-Length must be one decimal number, and alone: not repeated, not with Transfer-Encoding.\n"},
    [HEAD_BAD_SYNTAX]      = {400, BAD, TEXT, "The request line must be: method, one blank, target, one blank, HTTP/1.1.\n"},
    [HEAD_BAD_VERSION]     = {400, BAD, TEXT, "The request line must end in HTTP/1.1 or HTTP/1.0.\n"},
    [HEAD_VERSION_UNKNOWN] = {505, "HTTP/1.1 505 HTTP Version Not Supported", TEXT, "This server speaks HTTP/1.1.\n"},
    [HEAD_BAD_HEADER]      = {400, BAD, TEXT, "A header line is malformed.\n"},
    [HEAD_BAD_CODING]      = {501, "HTTP/1.1 501 Not Implemented", TEXT, "The only Transfer-Encoding known here is chunked.\n"},
    [HEAD_BAD_HOST]        = {400, BAD, TEXT, "There must be one Host header.\n"},
    [HEAD_BAD_PERCENT]     = {400, BAD, TEXT, "A % in the path must be followed by two hex digits.\n"},
};
/* clang-format on */

struct head_refusal head_refusal(enum head_verdict verdict, bool standalone)
{
    return standalone ? alone[verdict] : in_swift[verdict];
}
