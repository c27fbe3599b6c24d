/* SPDX-License-Identifier: Apache-2.0 */
/* ini.h -- files of [sections] with options, as Python's configparser reads them.
 *
 *   [section]              the last ']' of the line ends the name, what follows is ignored
 *   option = value         or "option: value"; quotes and " ; text" belong to the value
 *     more of it           deeper than the option's line: joined by a newline
 *   # comment, ; comment   whole lines only
 *
 * An option that is not in a section is looked for in [DEFAULT]. "%(other)s" stands for another
 * option of the same section or of [DEFAULT].
 *
 * Calling sequence: ini_new -> ini_read -> ini_find, ini_get, ... -> ini_free.
 * Errors are -errno, and one line in `problem` that names file and line.
 * Not here: what sections mean (paste.h), what options mean (config.h). */
#ifndef OBJSRV_INI_H
#define OBJSRV_INI_H

#include "diskfile/slice.h"

enum {
    INI_FOLD_NAMES = 1,    /* option names are lower-cased */
    INI_LATIN1 = 2,        /* one byte is one character: 0x85 and 0xA0 are blanks too */
    INI_PERCENT_STRICT = 4 /* "%%" is "%" and a lone "%" an error in every value, not just in
                            * those that hold "%(" */
};

struct ini_option {
    char *name;
    char *value;      /* raw: no %(...)s replaced */
    const char *file; /* borrowed from the ini */
    unsigned line;
};

struct ini_section {
    char *name;
    struct ini_option *options;
    unsigned option_count;
    unsigned read_by; /* ini_read's count of files: one file may name a section only once */
};

struct ini;

struct ini *ini_new(unsigned flags);
void ini_free(struct ini *ini);

/* A file, or a directory of which every *.conf is read in the order of their names; what comes
 * later wins. */
int ini_read(struct ini *ini, const char *path, char *problem, size_t problem_len);

/* Number 0 is [DEFAULT], always there; NULL past the end. */
const struct ini_section *ini_section(const struct ini *ini, unsigned number);
const struct ini_section *ini_find_section(const struct ini *ini, const char *name);

/* In `section`, else in [DEFAULT], else NULL. */
const struct ini_option *ini_find(const struct ini *ini, const struct ini_section *section,
                                  const char *name);

/* Its value with every %(...)s replaced; yours to free. `section` is where the search for the
 * other options starts. */
int ini_value(const struct ini *ini, const struct ini_section *section,
              const struct ini_option *option, char **ret_value, char *problem, size_t problem_len);

/* Presets an option of [DEFAULT], as "here". */
void ini_set_default(struct ini *ini, const char *name, const char *value);

#endif
