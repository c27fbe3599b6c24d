/* SPDX-License-Identifier: Apache-2.0 */
/* md5.c -- see md5.h. */
#include "diskfile/format/md5.h"
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithm;

/* "-fips": also where the default properties ask for approved algorithms only. */
static void fetch(void)
{
    algorithm = EVP_MD_fetch(NULL, "MD5", "-fips");
}

const EVP_MD *md5_algorithm(void)
{
    pthread_once(&once, fetch);
    return algorithm;
}
