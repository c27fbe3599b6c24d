/* SPDX-License-Identifier: Apache-2.0 */
/* sources.h -- what recon reads, and from where: files of the daemons, /proc, the devices.
 *
 * Each source returns one JSON value, yours to json_decref(). 0, or -errno when there is none (the
 * answer is 500, as an exception in Swift's middleware is). They block: call them on a thread that
 * may.
 * Not here: which path asks for which (recon.c). */
#ifndef OBJSRV_RECON_SOURCES_H
#define OBJSRV_RECON_SOURCES_H

#include <jansson.h>
#include <stdbool.h>

/* Copied from the configuration once; lives as long as the process. */
struct recon_places {
    char *devices;
    char *cache; /* recon_cache_path */
    char *swift_dir;
    char *swift_conf;
    unsigned *policies; /* indexes */
    unsigned policy_count;
};

/* Values of a daemon's JSON file: {"key": value or null, ...}. A file that cannot be read is
 * logged, and is nulls. -ENOMEM. */
int recon_cached(const char *directory, const char *file, const char *const *keys,
                 bool may_be_missing, json_t **ret);

int recon_mem(const struct recon_places *p, json_t **ret);
int recon_load(const struct recon_places *p, json_t **ret);
int recon_mounted(const struct recon_places *p, json_t **ret);
int recon_sockstat(const struct recon_places *p, json_t **ret);
int recon_time(const struct recon_places *p, json_t **ret);
int recon_version(const struct recon_places *p, json_t **ret);
int recon_ring_md5(const struct recon_places *p, json_t **ret);
int recon_swift_conf_md5(const struct recon_places *p, json_t **ret);

int recon_devices(const struct recon_places *p, json_t **ret);
int recon_unmounted(const struct recon_places *p, json_t **ret);
int recon_disk_usage(const struct recon_places *p, json_t **ret);
int recon_quarantined(const struct recon_places *p, json_t **ret);

/* A whole file, NUL behind it, yours to free; at most RECON_FILE_MAX bytes. -errno. */
#define RECON_FILE_MAX (16u << 20)
int recon_read_file(const char *path, char **ret_text, size_t *ret_len);

#endif
