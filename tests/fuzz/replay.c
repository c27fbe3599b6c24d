/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c -- replay DIRECTORY: runs a fuzz target over every file in it, each also cut short
 * at every length. An empty directory is a failure: the corpus was not found. */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <string.h>

#define INPUT_MAX 65536

static void run_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1); /* exactly so long: a sanitizer sees the end */
    HOLDS(copy != NULL);
    memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void replay(const char *directory, const char *name)
{
    static uint8_t data[INPUT_MAX];
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    HOLDS(file != NULL);
    size_t len = fread(data, 1, sizeof(data), file);
    fclose(file);
    for (size_t cut = 0; cut <= len; cut++)
        run_copy(data, cut);
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    unsigned count = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        replay(argv[1], e->d_name);
        count++;
    }
    closedir(dir);
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
