/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c -- see ring.h.
 *
 * A ring file of version 1, unpacked: "R1NG", 16 bits of version, 32 bits of length (big-endian),
 * so many bytes of JSON, then tables that do not matter here. */
#include "server/node/ring.h"
#include "server/node/startmem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <zlib.h>

enum { VERSION = 1, HEAD_SIZE = 10, JSON_MOST = 64 << 20 };

struct port_set {
    unsigned *ports;
    unsigned count;
};

struct ring_file {
    char *path;
    struct timespec mtime; /* of what was read; 0: nothing yet */
    off_t size;
    struct port_set set;
};

struct ring_ports {
    char *ring_ip;
    struct ring_file *files;
    unsigned file_count;
    struct port_set all;
};

/* ---- sets ---- */

static void add_port(struct port_set *set, unsigned port)
{
    unsigned at = 0;
    while (at < set->count && set->ports[at] < port)
        at++;
    if (at < set->count && set->ports[at] == port)
        return;
    set->ports = start_grow(set->ports, set->count + 1, sizeof(*set->ports));
    memmove(&set->ports[at + 1], &set->ports[at], (set->count - at) * sizeof(*set->ports));
    set->ports[at] = port;
    set->count++;
}

/* ---- addresses ---- */

static bool same_address(const char *a, const char *b)
{
    struct in6_addr x, y;
    if (inet_pton(AF_INET6, a, &x) == 1 && inet_pton(AF_INET6, b, &y) == 1)
        return memcmp(&x, &y, sizeof(x)) == 0;
    return strcmp(a, b) == 0;
}

static bool is_any(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 || same_address(address, "::");
}

static bool has_interface(const char *address)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (struct ifaddrs *each = all; each != NULL && !found; each = each->ifa_next) {
        char host[NI_MAXHOST];
        if (each->ifa_addr == NULL)
            continue;
        bool six = each->ifa_addr->sa_family == AF_INET6;
        if (!six && each->ifa_addr->sa_family != AF_INET)
            continue;
        socklen_t len = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (getnameinfo(each->ifa_addr, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        host[strcspn(host, "%")] = '\0';
        found = same_address(host, address);
    }
    freeifaddrs(all);
    return found;
}

static bool is_mine(const struct ring_ports *r, const char *address)
{
    return is_any(r->ring_ip) ? has_interface(address) : same_address(r->ring_ip, address);
}

/* ---- a file ---- */

/* One device, or null where one was removed. */
static bool read_device(struct ring_ports *r, json_t *device, struct port_set *set)
{
    const char *ip = "";
    int port = 0;
    if (!json_is_object(device))
        return json_is_null(device);
    if (json_unpack(device, "{s?s, s?i}", "ip", &ip, "port", &port) < 0)
        return false;
    if (port >= 1 && port <= 65535 && is_mine(r, ip))
        add_port(set, (unsigned)port);
    return true;
}

static int read_devices(struct ring_ports *r, struct slice text, struct port_set *set,
                        const char **ret_wrong)
{
    json_error_t error;
    json_t *ring = json_loadb(text.at, text.len, JSON_ALLOW_NUL, &error);
    if (ring == NULL) {
        bool no_memory = json_error_code(&error) == json_error_out_of_memory;
        *ret_wrong = no_memory ? NULL : "JSON";
        return no_memory ? -ENOMEM : -EBADMSG;
    }
    const json_t *devices = json_object_get(ring, "devs");
    *ret_wrong = json_is_array(devices) ? NULL : "a list of devices";
    for (size_t i = 0; i < json_array_size(devices) && *ret_wrong == NULL; i++)
        if (!read_device(r, json_array_get(devices, i), set))
            *ret_wrong = "devices with a text as ip and a number as port";
    json_decref(ring);
    return *ret_wrong == NULL ? 0 : -EBADMSG;
}

static int read_exactly(gzFile f, void *to, size_t len)
{
    return gzread(f, to, (unsigned)len) == (int)len ? 0 : -EBADMSG;
}

/* The JSON part; yours to free. */
static int read_head(gzFile f, struct slice *ret_text, const char **ret_wrong)
{
    unsigned char head[HEAD_SIZE];
    *ret_wrong = "a ring file of Swift";
    if (read_exactly(f, head, sizeof(head)) < 0 || memcmp(head, "R1NG", 4) != 0)
        return -EBADMSG;
    *ret_wrong = "version 1, which is the only one that this server reads";
    if ((head[4] << 8 | head[5]) != VERSION)
        return -EBADMSG;
    size_t len = (size_t)head[6] << 24 | (size_t)head[7] << 16 | (size_t)head[8] << 8 | head[9];
    *ret_wrong = "the rest of the file";
    if (len > JSON_MOST)
        return -EBADMSG;
    char *text = start_memory(malloc(len + 1));
    if (read_exactly(f, text, len) < 0) {
        free(text);
        return -EBADMSG;
    }
    *ret_text = (struct slice){text, len};
    return 0;
}

static int read_ring(struct ring_ports *r, struct ring_file *file, char *problem,
                     size_t problem_len)
{
    struct port_set set = {0};
    struct slice text = {0};
    const char *wrong = NULL;
    gzFile f = gzopen(file->path, "rbe");
    int res = f == NULL ? (errno != 0 ? -errno : -ENOMEM) : read_head(f, &text, &wrong);
    if (res == 0) {
        res = read_devices(r, text, &set, &wrong);
        free((char *)text.at);
    }
    if (f != NULL)
        gzclose(f);
    if (res < 0) {
        free(set.ports);
        snprintf(problem, problem_len, "%s: %s%s", file->path, wrong != NULL ? "expected " : "",
                 wrong != NULL ? wrong : strerror(-res));
        return res;
    }
    free(file->set.ports);
    file->set = set;
    return 0;
}

static int update_file(struct ring_ports *r, struct ring_file *file, char *problem,
                       size_t problem_len)
{
    struct stat st;
    if (stat(file->path, &st) < 0)
        return 0;
    bool same = st.st_mtim.tv_sec == file->mtime.tv_sec &&
                st.st_mtim.tv_nsec == file->mtime.tv_nsec && st.st_size == file->size;
    int res = same ? 0 : read_ring(r, file, problem, problem_len);
    if (res == 0) {
        file->mtime = st.st_mtim;
        file->size = st.st_size;
    }
    return res;
}

/* ---- all of them ---- */

struct ring_ports *ring_ports_new(const struct config *c)
{
    struct ring_ports *r = start_memory(calloc(1, sizeof(*r)));
    r->ring_ip = start_text(slice_of(c->ring_ip[0] != '\0' ? c->ring_ip : c->bind_ip));
    r->files = start_memory(calloc(c->policy_count, sizeof(*r->files)));
    for (; r->file_count < c->policy_count; r->file_count++) {
        unsigned index = c->policies[r->file_count].df.index;
        char number[16] = "", *path = NULL;
        if (index > 0)
            snprintf(number, sizeof(number), "-%u", index);
        if (asprintf(&path, "%s/object%s.ring.gz", c->swift_dir, number) < 0)
            path = NULL;
        r->files[r->file_count].path = start_memory(path);
    }
    return r;
}

void ring_ports_free(struct ring_ports *r)
{
    if (r == NULL)
        return;
    for (unsigned i = 0; i < r->file_count; i++) {
        free(r->files[i].path);
        free(r->files[i].set.ports);
    }
    free(r->files);
    free(r->all.ports);
    free(r->ring_ip);
    free(r);
}

int ring_ports_update(struct ring_ports *r, char *problem, size_t problem_len)
{
    int res = 0;
    r->all.count = 0;
    for (unsigned i = 0; i < r->file_count; i++) {
        int one = update_file(r, &r->files[i], problem, problem_len);
        res = one < 0 ? one : res;
        for (unsigned k = 0; k < r->files[i].set.count; k++)
            add_port(&r->all, r->files[i].set.ports[k]);
    }
    return res;
}

const unsigned *ring_ports(const struct ring_ports *r, unsigned *ret_count)
{
    *ret_count = r->all.count;
    return r->all.ports;
}
