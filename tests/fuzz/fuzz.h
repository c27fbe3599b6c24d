/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h -- one fuzz target: a function that must survive any bytes and hold what it says.
 *
 * Under libFuzzer (meson -Dfuzz=true, clang) each target is a program that looks for bytes that
 * break it. Otherwise the same function is linked with replay.c, which runs it over the corpus
 * as a unit test. Inputs that once broke something stay in the corpus. */
#ifndef OBJSRV_FUZZ_H
#define OBJSRV_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Not assert(): it must hold in release builds too. */
#define HOLDS(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
