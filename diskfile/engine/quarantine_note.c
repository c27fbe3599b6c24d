/* SPDX-License-Identifier: Apache-2.0 */
/* quarantine_note.c -- three lines of text: time, place, reason. */
#include "diskfile/engine/quarantine_note.h"

#include <errno.h>
#include <stdio.h>
#include <sys/xattr.h>

static void one_line(char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            *text = ' ';
}

int quarantine_note_write(const char *path, const struct quarantine_note *note)
{
    char time[TIMESTAMP_TEXT_MAX], text[QUARANTINE_NOTE_BYTES_MAX];
    struct quarantine_note clean = *note;
    one_line(clean.from);
    one_line(clean.reason);
    timestamp_internal(note->time, time);
    int n = snprintf(text, sizeof(text), "%s\n%s\n%s\n", time, clean.from, clean.reason);
    return lsetxattr(path, XATTR_QUARANTINE, text, (size_t)n, 0) < 0 ? -errno : 0;
}

/* The next line, cut off by a NUL; NULL: there is none. */
static char *take_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

int quarantine_note_read(const char *path, struct quarantine_note *ret)
{
    char text[QUARANTINE_NOTE_BYTES_MAX + 1], *at = text;
    struct quarantine_note note;
    ssize_t n = lgetxattr(path, XATTR_QUARANTINE, text, sizeof(text) - 1);
    if (n < 0)
        return errno == ERANGE ? -EBADMSG : -errno;
    text[n] = '\0';
    const char *time = take_line(&at);
    const char *from = time ? take_line(&at) : NULL;
    const char *reason = from ? take_line(&at) : NULL;
    if (!reason || timestamp_parse(slice_of(time), &note.time) < 0)
        return -EBADMSG;
    if (snprintf(note.from, sizeof(note.from), "%s", from) >= (int)sizeof(note.from) ||
        snprintf(note.reason, sizeof(note.reason), "%s", reason) >= (int)sizeof(note.reason))
        return -EBADMSG;
    *ret = note;
    return 0;
}
