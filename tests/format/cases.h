/* SPDX-License-Identifier: Apache-2.0 */
/* cases.h -- cmocka with the headers it wants, and how these tests walk a table. */
#ifndef OBJSRV_TESTS_CASES_H
#define OBJSRV_TESTS_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define EACH(row, rows)                                                                            \
    __typeof__(&(rows)[0]) row = (rows);                                                           \
    row < (rows) + sizeof(rows) / sizeof((rows)[0]);                                               \
    row++

#endif
