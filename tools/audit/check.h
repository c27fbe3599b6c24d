/* SPDX-License-Identifier: Apache-2.0 */
/* check.h -- --check PATH: one hash directory, explained in words. Changes nothing. */
#ifndef OBJSRV_CHECK_H
#define OBJSRV_CHECK_H

#include "tools/audit/device.h"

/* PATH: a hash directory of one of the devices, or a file in it. Exit status: 0 good, 1 there is
 * something to be done about it, 2 it could not be examined, 64 no such path of an object. */
int check_path(struct settings *s, struct device_list *devices, const char *path);

#endif
