/* SPDX-License-Identifier: Apache-2.0 */
/* help.c -- what --help and --sample-config print. */
#include "server/node/option.h"
#include <stdio.h>

/* The value as one writes it; what has no default of its own shows as nothing. */
static void print_options(const char *section, const char *prefix)
{
    unsigned count;
    const struct option_row *rows = option_rows(&count);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(rows[i].section, section) == 0)
            printf("%s%s = %s\n%s    %s%s%s%s\n", prefix, rows[i].name, rows[i].def, prefix,
                   rows[i].help, rows[i].unit[0] != '\0' ? " [" : "", rows[i].unit,
                   rows[i].unit[0] != '\0' ? "]" : "");
}

void config_print_help(void)
{
    printf(
        "objsrv " OBJSRV_VERSION ": an object server, for OpenStack Swift or on its own\n"
        "\n"
        "usage: objsrv [options] FILE [verbose]\n"
        "  FILE               object-server.conf, or a directory of *.conf\n"
        "  --swift-conf FILE  instead of /etc/swift/swift.conf\n"
        "  --test-config      check the files, list options without effect, and exit\n"
        "  --sample-config    print a file with every option and its default\n"
        "  -v, --verbose      log to stderr\n"
        "  -h, --help         this text\n"
        "  -V, --version      the version\n"
        "\n"
        "signals: TERM, INT  stop         HUP   finish what is in flight, then stop\n"
        "         USR1       start anew without refusing anybody: new configuration, new version\n"
        "         USR2       log what is in flight\n"
        "\n"
        "Options of [DEFAULT] or [app:object-server], with their defaults. Those of\n"
        "[DEFAULT] win, unless the others are written \"set option = value\".\n");
    print_options("app", "  ");
    printf("\nOf [filter:healthcheck]:\n");
    print_options("healthcheck", "  ");
    printf("\nOf [filter:recon]:\n");
    print_options("recon", "  ");
    printf("\nOf [filter:backend_ratelimit]:\n");
    print_options("ratelimit", "  ");
    printf("\nOf [swift-constraints], in swift.conf (stand-alone: in FILE):\n");
    print_options("constraints", "  ");
}

static void sample_options(const char *section)
{
    unsigned count;
    const struct option_row *rows = option_rows(&count);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(rows[i].section, section) == 0)
            printf("#\n# %s%s%s%s\n# %s = %s\n", rows[i].help, rows[i].unit[0] != '\0' ? " [" : "",
                   rows[i].unit, rows[i].unit[0] != '\0' ? "]" : "", rows[i].name, rows[i].def);
}

void config_print_sample(void)
{
    printf("# SPDX-License-Identifier: Apache-2.0\n"
           "# object-server.conf: every option with its default, made by \"objsrv\n"
           "# --sample-config\". A file written for Swift's own object server will do as well.\n"
           "# Options of [app:object-server] may stand in [DEFAULT], and win there, unless they\n"
           "# are written \"set option = value\" in their section.\n"
           "\n[DEFAULT]\nbind_port = 6200\n"
           "\n[pipeline:main]\npipeline = healthcheck recon object-server\n"
           "\n[app:object-server]\nuse = egg:swift#object\n");
    sample_options("app");
    printf("\n[filter:healthcheck]\nuse = egg:swift#healthcheck\n");
    sample_options("healthcheck");
    printf("\n[filter:recon]\nuse = egg:swift#recon\n");
    sample_options("recon");
    printf("\n# In the pipeline behind recon, if it is to limit anything.\n"
           "[filter:backend_ratelimit]\nuse = egg:swift#backend_ratelimit\n");
    sample_options("ratelimit");
    printf(
        "\n# [swift-constraints] stands in swift.conf; in this file in stand-alone mode only.\n");
    sample_options("constraints");
}
