/* SPDX-License-Identifier: Apache-2.0 */
/* log.c -- one datagram to syslog, or one write to stderr, for each line.
 *
 * Neither waits: a line that cannot be taken at once is dropped and counted, since a full
 * syslog must not hold up requests. No lock: what log_open() sets up is only read afterwards,
 * and a line goes out by a single call, or with others of its thread by one. */
#include "server/node/log.h"
#include "diskfile/format/number.h"
#include "server/node/config.h"
#include "server/node/log_template.h"
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#define SYSLOG_NAMES
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 16384 /* longer ones are cut */
#define BATCH_LINES    256
#define END_TRIES      100 /* of a millisecond each */

static struct {
    int fd; /* of the socket; -1: stderr */
    pid_t pid;
    bool forced;
    struct sockaddr_storage to;
    socklen_t to_len;
    int facility;
    enum log_level level;
    size_t max_line; /* 0: LINE_MAX_BYTES */
    char name[128];
    atomic_uint_fast64_t dropped;
} logger = {.fd = -1, .level = LOG_LEVEL_INFO, .name = "object-server"};

/* Datagrams of this thread, not yet sent. */
struct batch {
    unsigned count;
    size_t used;
    struct mmsghdr messages[BATCH_LINES];
    struct iovec lines[BATCH_LINES];
    char bytes[4 * LINE_MAX_BYTES];
};

static _Thread_local struct batch *batch;

/* ---- set up ---- */

static int facility_of(const char *name)
{
    const char *bare = strncasecmp(name, "LOG_", 4) == 0 ? name + 4 : name;
    for (const CODE *code = facilitynames; code->c_name != NULL; code++)
        if (strcasecmp(code->c_name, bare) == 0)
            return code->c_val;
    return LOG_LOCAL0;
}

static enum log_level level_of(const char *name)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        {"DEBUG", LOG_LEVEL_DEBUG},  {"NOTICE", LOG_LEVEL_NOTICE}, {"WARNING", LOG_LEVEL_WARNING},
        {"WARN", LOG_LEVEL_WARNING}, {"ERROR", LOG_LEVEL_ERROR},   {"CRITICAL", LOG_LEVEL_ERROR},
        {"FATAL", LOG_LEVEL_ERROR},
    };
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcasecmp(name, levels[i].name) == 0)
            return levels[i].level;
    return LOG_LEVEL_INFO;
}

static int open_socket(int family)
{
    logger.fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return logger.fd < 0 ? -errno : 0;
}

static int open_udp(const struct config *c)
{
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
    snprintf(port, sizeof(port), "%d", (int)c->log_udp_port);
    if (getaddrinfo(c->log_udp_host, port, &hints, &found) != 0)
        return -EHOSTUNREACH;
    memcpy(&logger.to, found->ai_addr, found->ai_addrlen);
    logger.to_len = found->ai_addrlen;
    int family = found->ai_family;
    freeaddrinfo(found);
    return open_socket(family);
}

/* Never connected: syslog may go and come back under the same name. */
static int open_unix(const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&logger.to;
    if (strlen(path) >= sizeof(un->sun_path))
        return -ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    logger.to_len = sizeof(*un);
    return open_socket(AF_UNIX);
}

static bool is_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

void log_force_stderr(void)
{
    logger.forced = true;
}

int log_open(const struct config *c)
{
    log_close();
    logger.pid = getpid();
    logger.level = level_of(c->log_level);
    logger.facility = facility_of(c->log_facility);
    logger.max_line = (size_t)c->log_max_line_length;
    snprintf(logger.name, sizeof(logger.name), "%s", c->log_name);
    atomic_store(&logger.dropped, 0);
    if (log_template_set(c->log_format, c->log_anonymization_method, c->log_anonymization_salt) < 0)
        return -ENOMEM;
    if (logger.forced || isatty(STDERR_FILENO))
        return 0;
    if (c->log_udp_host[0] != '\0')
        return open_udp(c);
    return is_socket(c->log_address) ? open_unix(c->log_address) : 0;
}

void log_close(void)
{
    if (logger.fd >= 0)
        close(logger.fd);
    logger.fd = -1;
    (void)log_template_set("", "", "");
}

bool log_wants(enum log_level level)
{
    return level <= logger.level;
}

bool log_is_stderr(void)
{
    return logger.fd < 0;
}

pid_t log_pid(void)
{
    return logger.pid ? logger.pid : getpid();
}

uint64_t log_dropped(void)
{
    return atomic_load(&logger.dropped);
}

/* ---- lines ---- */

/* A line has no line break: as syslog daemons write it, #012. */
static size_t escape_newlines(char *out, size_t room, const char *text)
{
    size_t len = 0;
    for (; *text != '\0' && len + 5 < room; text++) {
        if (*text == '\n') {
            memcpy(out + len, "#012", 4);
            len += 4;
        } else {
            out[len++] = *text;
        }
    }
    return len;
}

/* Keeps head and tail, as Swift does it. */
static size_t shorten(char *line, size_t len)
{
    size_t max = logger.max_line, half = max >= 7 ? (max - 5) / 2 : 0;
    if (max == 0 || len <= max)
        return len;
    if (max < 7)
        return max;
    memmove(line + half + 5, line + len - half, half);
    memcpy(line + half, " ... ", 5);
    return 2 * half + 5;
}

/* "<134>object-server: text" */
static size_t compose(enum log_level level, const char *text, char line[LINE_MAX_BYTES])
{
    line[0] = '<';
    char *at = number_write(line + 1, (unsigned)logger.facility | (unsigned)level, 1);
    *at++ = '>';
    size_t prefix = (size_t)(at - line);
    size_t len = (size_t)(stpcpy(stpcpy(at, logger.name), ": ") - at);
    len += escape_newlines(line + prefix + len, LINE_MAX_BYTES - prefix - len, text);
    return prefix + shorten(line + prefix, len);
}

static struct msghdr message_of(struct iovec *line)
{
    return (struct msghdr){
        .msg_name = &logger.to, .msg_namelen = logger.to_len, .msg_iov = line, .msg_iovlen = 1};
}

static int send_datagram(enum log_level level, const char *text)
{
    char line[LINE_MAX_BYTES];
    struct iovec part = {line, compose(level, text, line)};
    struct msghdr message = message_of(&part);
    return sendmsg(logger.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {[LOG_LEVEL_ERROR] = "ERROR",
                                        [LOG_LEVEL_WARNING] = "WARNING",
                                        [LOG_LEVEL_NOTICE] = "NOTICE",
                                        [LOG_LEVEL_INFO] = "INFO",
                                        [LOG_LEVEL_DEBUG] = "DEBUG"};
    return names[level];
}

static int write_stderr(enum log_level level, const char *text)
{
    char line[LINE_MAX_BYTES];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof(line) - len, ".%03ldZ %s ", now.tv_nsec / 1000000,
                            level_name(level));
    size_t start = len;
    len += escape_newlines(line + len, sizeof(line) - len - 1, text);
    len = start + shorten(line + start, len - start);
    line[len++] = '\n';
    return write(STDERR_FILENO, line, len) < 0 ? -errno : 0;
}

/* ---- a thread's turn ---- */

void log_batch_begin(void)
{
    if (logger.fd >= 0 && !batch)
        batch = calloc(1, sizeof(*batch)); /* without memory each line goes by itself */
}

/* The first `n` messages are gone. */
static void batch_drop(struct batch *b, unsigned n)
{
    b->count -= n;
    memmove(b->lines, b->lines + n, b->count * sizeof(b->lines[0]));
    size_t left = 0;
    for (unsigned i = 0; i < b->count; i++) {
        struct iovec *line = &b->lines[i];
        memmove(b->bytes + left, line->iov_base, line->iov_len);
        line->iov_base = b->bytes + left;
        left += line->iov_len;
    }
    b->used = left;
}

static unsigned batch_send(struct batch *b)
{
    unsigned gone = 0;
    for (unsigned i = 0; i < b->count; i++)
        b->messages[i].msg_hdr = message_of(&b->lines[i]);
    while (gone < b->count) {
        int n =
            sendmmsg(logger.fd, b->messages + gone, b->count - gone, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) /* nobody there, or too long: this line is lost, the next ones may not be */
            atomic_fetch_add(&logger.dropped, 1);
        gone += n > 0 ? (unsigned)n : 1;
    }
    return gone;
}

unsigned log_batch_flush(void)
{
    if (!batch || batch->count == 0)
        return 0;
    batch_drop(batch, batch_send(batch));
    return batch->count;
}

void log_batch_end(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    for (unsigned tries = 0; log_batch_flush() > 0 && tries < END_TRIES; tries++)
        nanosleep(&moment, NULL);
    if (batch)
        atomic_fetch_add(&logger.dropped, batch->count);
    free(batch);
    batch = NULL;
}

static bool batch_is_full(const struct batch *b)
{
    return b->count == BATCH_LINES || b->used + LINE_MAX_BYTES > sizeof(b->bytes);
}

static void collect(enum log_level level, const char *text)
{
    struct batch *b = batch;
    if (batch_is_full(b))
        log_batch_flush();
    if (batch_is_full(b)) {
        atomic_fetch_add(&logger.dropped, 1);
        return;
    }
    char *line = b->bytes + b->used;
    struct iovec *part = &b->lines[b->count++];
    *part = (struct iovec){line, compose(level, text, line)};
    b->used += part->iov_len;
    if (level <= LOG_LEVEL_WARNING)
        log_batch_flush();
}

void log_line(enum log_level level, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    if (!log_wants(level))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_plain(level, text);
}

void log_plain(enum log_level level, const char *text)
{
    if (!log_wants(level))
        return;
    if (batch) {
        collect(level, text);
        return;
    }
    int res = logger.fd >= 0 ? send_datagram(level, text) : write_stderr(level, text);
    if (res < 0)
        atomic_fetch_add(&logger.dropped, 1);
}
