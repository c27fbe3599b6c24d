/* SPDX-License-Identifier: Apache-2.0 */
/* summary.h -- what a person sees: a progress bar while passes run, a table at the end.
 *
 * The bar has a thread of its own and reads the tallies of the passes being watched. */
#ifndef OBJSRV_SUMMARY_H
#define OBJSRV_SUMMARY_H

#include "tools/audit/pass.h"

struct summary;

struct summary *summary_new(bool progress); /* NULL: no memory */
void summary_free(struct summary *s);

/* From now until summary_take() `p` is looked at by the bar. Any thread. */
void summary_watch(struct summary *s, const struct pass *p);
void summary_take(struct summary *s, const struct pass *p);

bool summary_found(const struct summary *s);  /* damage, orphans, foreign things */
bool summary_failed(const struct summary *s); /* something could not be examined */
bool summary_fuse_blown(const struct summary *s);

/* The bar goes; with --json a last event; the table if wanted. */
void summary_end(struct summary *s, bool table, struct device_list *devices, int result);

/* --status: how much of each device was verified when. */
void summary_print_coverage(struct device_list *devices, FILE *out);
void summary_print_coverage_json(struct device_list *devices, FILE *out);

#endif
