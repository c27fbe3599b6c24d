/* SPDX-License-Identifier: Apache-2.0 */
/* control_steps.c -- the product's steps of an upload, with some left out or misplaced.
 *
 * The controls of the crash tests: a server that is wrong in a known way, which the tests must
 * find, or their silence about the real one says nothing. Linked in place of upload_steps.c
 * into objsrv-control, a program that is never installed. OBJSRV_CRASH_CONTROL says what is
 * wrong:
 *
 *   no-sync       neither the data nor the name is synced
 *   no-confirm    the data is, the name is not
 *   dir-only      the name's directory is synced, the data is not
 *   link-first    the name is given before the data is on the device
 *   unlink-first  a taken name is removed, and only then given to the new file
 *   full          nothing is wrong: the form for other file systems, on this one */
#define upload_steps product_upload_steps
#include "diskfile/engine/upload_steps.c" /* NOLINT(bugprone-suspicious-include) */
#undef upload_steps

#include <err.h>

enum control { NO_SYNC = 1, NO_CONFIRM, DIR_ONLY, LINK_FIRST, UNLINK_FIRST, FULL };

static enum control control;

static void wrong_sync_add(struct df_upload *u, struct disk_chain *chain)
{
    if (control == FULL)
        atomic_store(&u->place.device->form, COMMIT_FULL);
    if (control == NO_CONFIRM || control == UNLINK_FIRST || control == FULL)
        sync_add(u, chain);
}

/* A step of its own and not a link in a chain, as a program of plain calls would have it. */
static int unlink_call(void *arg)
{
    struct df_upload *u = arg;
    return unlink(u->target) < 0 ? -errno : 0;
}

static void wrong_replace_add(struct df_upload *u, struct disk_chain *chain)
{
    if (control != UNLINK_FIRST) {
        replace_add(u, chain);
        return;
    }
    add_call(u, chain, unlink_call);
    link_add(u, chain);
}

static int sync_hash_dir_call(void *arg)
{
    struct df_upload *u = arg;
    return hashdir_sync(&u->place, u->place.device_len);
}

static void wrong_confirm_add(struct df_upload *u, struct disk_chain *chain)
{
    if (control == DIR_ONLY)
        add_call(u, chain, sync_hash_dir_call);
    else if (control != NO_SYNC && control != NO_CONFIRM)
        confirm_add(u, chain);
}

static enum control read_control(void)
{
    static const char *const names[] = {
        [NO_SYNC] = "no-sync",       [NO_CONFIRM] = "no-confirm",     [DIR_ONLY] = "dir-only",
        [LINK_FIRST] = "link-first", [UNLINK_FIRST] = "unlink-first", [FULL] = "full",
    };
    const char *wanted = getenv("OBJSRV_CRASH_CONTROL");
    for (unsigned i = NO_SYNC; wanted && i <= FULL; i++)
        if (strcmp(wanted, names[i]) == 0)
            return (enum control)i;
    errx(2, "OBJSRV_CRASH_CONTROL: no such control");
}

/* The table that upload.c goes by: the product's, but for three steps. */
struct upload_step upload_steps[U_STATES];

__attribute__((constructor)) static void make_wrong_steps(void)
{
    control = read_control();
    memcpy(upload_steps, product_upload_steps, sizeof(upload_steps));
    upload_steps[U_SYNC].add = wrong_sync_add;
    upload_steps[U_REPLACE].add = wrong_replace_add;
    upload_steps[U_CONFIRM].add = wrong_confirm_add;
}
