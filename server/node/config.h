/* SPDX-License-Identifier: Apache-2.0 */
/* config.h -- what the operator wrote, checked and typed.
 *
 * Every option is one row of config.def: field, parser, default, bounds, section, --help and
 * the sample file come from there. The field is called as the option is.
 * Ownership: config_load() allocates all; config_free() frees. Read only after load. */
#ifndef OBJSRV_CONFIG_H
#define OBJSRV_CONFIG_H

#include "diskfile/diskfile.h"
#include "diskfile/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct text_list {
    char **items;
    unsigned count;
};

struct config_policy {
    struct df_policy df;
    char *name;
};

/* Types of a row: text (char *), boolean (bool), count (int64_t), bytes (int64_t),
 * seconds and ratio (double), list (struct text_list). */
struct config {
#define OPTION_text(name)                                      char *name;
#define OPTION_boolean(name)                                   bool name;
#define OPTION_count(name)                                     int64_t name;
#define OPTION_bytes(name)                                     int64_t name;
#define OPTION_seconds(name)                                   double name;
#define OPTION_ratio(name)                                     double name;
#define OPTION_list(name)                                      struct text_list name;
#define OPTION(section, name, type, def, min, max, unit, help) OPTION_##type(name)
#include "server/node/config.def"
#undef OPTION
    /* Computed from the above. */
    bool standalone;  /* mode = standalone */
    bool healthcheck; /* the filter is in the pipeline */
    bool recon;
    bool ratelimit;                 /* backend_ratelimit */
    unsigned worker_count;          /* at least 1 */
    struct config_policy *policies; /* always at least policy 0 */
    unsigned policy_count;
    struct slice hash_prefix, hash_suffix;
    uint64_t reserve_bytes;
    double reserve_percent;
    char *file;               /* what was loaded, for messages */
    char *swift_conf_file;    /* of Swift mode */
    struct text_list unknown; /* "section/option" nobody knows; listed by --test-config */
};

/* `file` may be a directory of *.conf. `swift_conf` NULL: /etc/swift/swift.conf (not read in
 * stand-alone mode). On error -errno and `problem`: file, section, option, what was expected. */
int config_load(const char *file, const char *swift_conf, struct config **ret_config, char *problem,
                size_t problem_len);
void config_free(struct config *c);
const struct config_policy *config_policy(const struct config *c, unsigned index); /* or NULL */

/* --help, and etc/object-server.conf-sample by --sample-config: from the table. */
void config_print_help(void);
void config_print_sample(void);

#endif
