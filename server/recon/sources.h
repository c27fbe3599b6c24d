/* SPDX-License-Identifier: Apache-2.0 */
/* sources.h -- what recon reads, and from where: files of the daemons, /proc, the devices.
 *
 * Each source writes one JSON value. 0, or -errno when there is none (the answer is 500, as an
 * exception in Swift's middleware is). They block: call them on a thread that may.
 * Not here: which path asks for which (recon.c). */
#ifndef OBJSRV_RECON_SOURCES_H
#define OBJSRV_RECON_SOURCES_H

#include "server/recon/json.h"

/* Copied from the configuration once; lives as long as the process. */
struct recon_places {
    char *devices;
    char *cache; /* recon_cache_path */
    char *swift_dir;
    char *swift_conf;
    unsigned *policies; /* indexes */
    unsigned policy_count;
};

/* Values of a daemon's JSON file: {"key": value or null, ...}. Never fails. */
void recon_cached(struct json *j, const char *directory, const char *file, const char *const *keys,
                  bool may_be_missing);

int recon_mem(struct json *j, const struct recon_places *p);
int recon_load(struct json *j, const struct recon_places *p);
int recon_mounted(struct json *j, const struct recon_places *p);
int recon_sockstat(struct json *j, const struct recon_places *p);
int recon_time(struct json *j, const struct recon_places *p);
int recon_version(struct json *j, const struct recon_places *p);
int recon_ring_md5(struct json *j, const struct recon_places *p);
int recon_swift_conf_md5(struct json *j, const struct recon_places *p);

int recon_devices(struct json *j, const struct recon_places *p);
int recon_unmounted(struct json *j, const struct recon_places *p);
int recon_disk_usage(struct json *j, const struct recon_places *p);
int recon_quarantined(struct json *j, const struct recon_places *p);

/* A whole file, NUL behind it, yours to free; at most RECON_FILE_MAX bytes. -errno. */
#define RECON_FILE_MAX (16u << 20)
int recon_read_file(const char *path, char **ret_text, size_t *ret_len);

#endif
