/* SPDX-License-Identifier: Apache-2.0 */
#include "server/node/float_text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPONENT_LEAST = -4, EXPONENT_MOST = 16 };

static char *name_of(double value, char *text)
{
    strcpy(text, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
    return text;
}

/* "d.ddde+xx" with as few d as keep the value. */
static int shortest(double value, char *text)
{
    int digits = 0;
    do
        snprintf(text, FLOAT_TEXT_MAX, "%.*e", digits, value);
    while (strtod(text, NULL) != value && ++digits < 17);
    return digits;
}

char *float_text(double value, char text[FLOAT_TEXT_MAX])
{
    if (!isfinite(value))
        return name_of(value, text);
    int digits = shortest(value, text);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent < EXPONENT_LEAST || exponent >= EXPONENT_MOST)
        return text;
    int decimals = digits > exponent ? digits - exponent : 0;
    snprintf(text, FLOAT_TEXT_MAX, "%.*f", decimals > 0 ? decimals : 1, value);
    return text;
}
