/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics/statsd.h"
#include "server/node/config.h"
#include "server/node/float_text.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_MAX_BYTES 384

static struct {
    int fd; /* -1: off */
    struct sockaddr_storage to;
    socklen_t to_len;
    char prefix[NAME_MAX_BYTES];
    double default_rate, factor;
    uint64_t seed;
} statsd = {.fd = -1};

/* How often a metric is sent, where Swift does not send it every time. */
static const double verb_rates[VERBS] = {
    [VERB_HEAD] = 0.8, [VERB_REPLICATE] = 0.1, [VERB_SSYNC] = 0.1};

static int resolve(const char *host, int port_number)
{
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_family = AF_INET}, *found;
    snprintf(port, sizeof(port), "%d", port_number);
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        hints.ai_family = AF_INET6;
        if (getaddrinfo(host, port, &hints, &found) != 0)
            return -EHOSTUNREACH;
    }
    memcpy(&statsd.to, found->ai_addr, found->ai_addrlen);
    statsd.to_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int statsd_open(const struct config *c)
{
    statsd_close();
    if (c->log_statsd_host[0] == '\0')
        return 0;
    int res = resolve(c->log_statsd_host, (int)c->log_statsd_port);
    if (res < 0)
        return res;
    snprintf(statsd.prefix, sizeof(statsd.prefix), "%s%s%s%s", c->log_statsd_metric_prefix,
             c->log_statsd_metric_prefix[0] != '\0' ? "." : "", c->log_name,
             c->log_name[0] != '\0' ? "." : "");
    statsd.default_rate = c->log_statsd_default_sample_rate;
    statsd.factor = c->log_statsd_sample_rate_factor;
    if (getrandom(&statsd.seed, sizeof(statsd.seed), GRND_NONBLOCK) != sizeof(statsd.seed))
        statsd.seed = (uint64_t)getpid();
    statsd.fd = socket(statsd.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return statsd.fd < 0 ? -errno : 0;
}

void statsd_close(void)
{
    if (statsd.fd >= 0)
        close(statsd.fd);
    statsd.fd = -1;
}

bool statsd_is_on(void)
{
    return statsd.fd >= 0;
}

/* splitmix64 over a counter of the thread's own: fair enough to choose a sample. */
static bool chosen(double rate)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        state = statsd.seed ^ (uint64_t)(uintptr_t)&state;
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0 < rate;
}

static void send_metric(const char *name, const char *value, const char *type, double metric_rate)
{
    char text[NAME_MAX_BYTES + 256], rate_text[FLOAT_TEXT_MAX + 4] = "";
    double rate = metric_rate * statsd.factor;
    if (rate < 1) {
        if (!chosen(rate))
            return;
        memcpy(rate_text, "|@", 2);
        float_text(rate, rate_text + 2);
    }
    int len =
        snprintf(text, sizeof(text), "%s%s:%s|%s%s", statsd.prefix, name, value, type, rate_text);
    if (sendto(statsd.fd, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1,
               MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&statsd.to, statsd.to_len) < 0)
        metric_shared_add(METRIC_statsd_dropped);
}

void statsd_count(const char *name)
{
    if (statsd_is_on())
        send_metric(name, "1", "c", statsd.default_rate);
}

static void send_timing(const char *name, double ms, double rate)
{
    char text[FLOAT_TEXT_MAX];
    send_metric(name, float_text(ms, text), "ms", rate);
}

void statsd_request(enum metric_verb verb, int status, uint64_t took_ns)
{
    char name[64];
    if (!statsd_is_on())
        return;
    snprintf(name, sizeof(name), "%s%s.timing", metric_verb_names[verb],
             status >= 500 ? ".errors" : "");
    send_timing(name, (double)took_ns / 1e6,
                verb_rates[verb] > 0 ? verb_rates[verb] : statsd.default_rate);
}

void statsd_put_rate(struct slice device, uint64_t write_ns, uint64_t bytes)
{
    char name[NAME_MAX_BYTES];
    if (!statsd_is_on() || bytes == 0 || device.len > 255)
        return;
    snprintf(name, sizeof(name), "PUT.%.*s.timing", (int)device.len, device.at);
    send_timing(name, (double)write_ns / 1e6 / (double)bytes * 1000, statsd.default_rate);
}
