/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h -- what the operator wrote for the auditor: [object-auditor] over [DEFAULT].
 *
 * The same file as the server's; swift.conf for the hash and the policies. As Swift's daemons
 * read it, an option in the section beats [DEFAULT] (the server's rule is the other way round).
 * In a stand-alone file the section may be missing.
 *
 * Ownership: settings_load() allocates, settings_free() frees. Read only after load. */
#ifndef OBJSRV_SETTINGS_H
#define OBJSRV_SETTINGS_H

#include "diskfile/engine/store.h"
#include "server/node/config.h"

#define AGE_OFF (-1.0)

struct settings {
#define OPTION_text(name)                             char *name;
#define OPTION_boolean(name)                          bool name;
#define OPTION_number(name)                           double name;
#define OPTION_age(name)                              double name; /* AGE_OFF: switched off */
#define OPTION(name, type, def, min, max, unit, help) OPTION_##type(name)
#include "tools/audit/audit.def"
#undef OPTION
    struct config *config;   /* devices, policies, hash, log: the options all daemons share */
    struct df_store store;   /* options only: what the engine's functions on places ask for */
    double rsync_temp_age_s; /* from rsync_tempfile_timeout */
    struct text_list sizes;  /* object_size_stats */
    char *recon_file;        /* NULL: none */
};

/* `overrides`: "name=value" each, from the command line; NULL-terminated. On error -errno and
 * one line in `problem`. */
int settings_load(const char *file, const char *swift_conf, const char *const *overrides,
                  struct settings **ret_settings, char *problem, size_t problem_len);
void settings_free(struct settings *s);
void settings_print_help(void);

#endif
