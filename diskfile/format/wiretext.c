/* SPDX-License-Identifier: Apache-2.0 */
/* wiretext.c -- see wiretext.h. */
#include "diskfile/format/wiretext.h"
#include <errno.h>
#include <stdint.h>

/* Length of the well-formed UTF-8 sequence at `at`, its code point in *ret; or 0. */
static unsigned utf8_next(const unsigned char *at, size_t len, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned need = at[0] < 0x80   ? 1
                    : at[0] < 0xc0 ? 0
                    : at[0] < 0xe0 ? 2
                    : at[0] < 0xf0 ? 3
                    : at[0] < 0xf8 ? 4
                                   : 0;
    if (need == 0 || need > len)
        return 0;
    uint32_t code = need == 1 ? at[0] : at[0] & (0x7fu >> need);
    for (unsigned i = 1; i < need; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *ret = code;
    return need;
}

int wiretext_latin1(struct slice text, char *out, size_t *ret_len)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t written = 0;
    uint32_t code = 0;

    for (size_t i = 0; i < text.len;) {
        unsigned len = utf8_next(at + i, text.len - i, &code);
        if (len == 0 || code > 0xff)
            return -EBADMSG;
        out[written++] = (char)code;
        i += len;
    }
    *ret_len = written;
    return 0;
}

int wiretext_check(struct slice text)
{
    uint32_t code;
    for (size_t i = 0; i < text.len;) {
        unsigned len = utf8_next((const unsigned char *)text.at + i, text.len - i, &code);
        if (len == 0)
            return -EBADMSG;
        i += len;
    }
    return 0;
}

size_t wiretext_undouble(char *text, size_t len)
{
    unsigned char *at = (unsigned char *)text;
    uint32_t code = 0;
    size_t i, written = 0;
    unsigned step;

    for (i = 0; i < len; i += step ? step : 1) {
        step = utf8_next(at + i, len - i, &code);
        if (step > 0 && code > 0xff)
            return len;
    }
    for (i = 0; i < len; i += step ? step : 1) {
        step = utf8_next(at + i, len - i, &code);
        at[written++] = (unsigned char)(step ? code : at[i]);
    }
    return written;
}
