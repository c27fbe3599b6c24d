/* SPDX-License-Identifier: Apache-2.0 */
/* json_walk.c -- see json_walk.h. */
#include "server/node/json_walk.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

static void fail(struct json_walk *j, const char *expected)
{
    if (j->wrong == NULL)
        j->wrong = expected;
    j->at = j->end;
}

void json_walk_open(struct json_walk *j, struct slice text)
{
    *j = (struct json_walk){.at = text.at, .end = text.at + text.len};
}

/* The next character that is not blank, or 0. */
static char peek(struct json_walk *j)
{
    while (j->at < j->end && strchr(" \t\r\n", *j->at) != NULL && *j->at != '\0')
        j->at++;
    return j->at < j->end ? *j->at : '\0';
}

static bool take(struct json_walk *j, char c)
{
    if (peek(j) != c || c == '\0')
        return false;
    j->at++;
    return true;
}

char json_walk_kind(struct json_walk *j)
{
    char c = peek(j);
    return c == '-' || isdigit((unsigned char)c) ? '0' : c;
}

static void open_bracket(struct json_walk *j, char bracket, const char *expected)
{
    if (!take(j, bracket))
        fail(j, expected);
    j->first = true;
}

/* Is there one more? Takes the comma, or the bracket at the end. */
static bool one_more(struct json_walk *j, char bracket)
{
    if (j->wrong != NULL)
        return false;
    bool first = j->first;
    j->first = false;
    if (take(j, bracket))
        return false;
    if (!first && !take(j, ','))
        fail(j, "a comma");
    return j->wrong == NULL;
}

void json_walk_object(struct json_walk *j)
{
    open_bracket(j, '{', "an object");
}

bool json_walk_member(struct json_walk *j, char *ret_name, size_t len)
{
    if (!one_more(j, '}'))
        return false;
    json_walk_text(j, ret_name, len);
    if (!take(j, ':'))
        fail(j, "a colon");
    return j->wrong == NULL;
}

void json_walk_array(struct json_walk *j)
{
    open_bracket(j, '[', "a list");
}

bool json_walk_element(struct json_walk *j)
{
    return one_more(j, ']');
}

/* Behind the backslash. */
static char escaped(struct json_walk *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = j->at < j->end ? *j->at++ : '\0';
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    if (found != NULL)
        return to[found - from];
    char hex[5] = "";
    if (c != 'u' || j->end - j->at < 4)
        fail(j, "an escape");
    else
        memcpy(hex, j->at, 4);
    if (strspn(hex, "0123456789abcdefABCDEF") != 4) {
        fail(j, "four hex digits");
        return '?';
    }
    j->at += 4;
    long code = strtol(hex, NULL, 16);
    return code > 0 && code < 128 ? (char)code : '?';
}

void json_walk_text(struct json_walk *j, char *ret_text, size_t len)
{
    size_t used = 0;
    if (!take(j, '"'))
        fail(j, "a text");
    while (j->at < j->end && *j->at != '"') {
        char c = *j->at++;
        if ((unsigned char)c < ' ')
            fail(j, "no control character");
        else if (c == '\\')
            c = escaped(j);
        if (used + 1 < len)
            ret_text[used++] = (unsigned char)c < 128 ? c : '?';
        else if (used > 0)
            ret_text[used - 1] = '?';
    }
    if (len > 0)
        ret_text[used] = '\0';
    if (!take(j, '"'))
        fail(j, "the end of a text");
}

double json_walk_number(struct json_walk *j)
{
    char text[64], *end;
    size_t len = 0;
    if (json_walk_kind(j) != '0')
        fail(j, "a number");
    while (j->at < j->end && len + 1 < sizeof(text) && strchr("+-.eE0123456789", *j->at) != NULL &&
           *j->at != '\0')
        text[len++] = *j->at++;
    text[len] = '\0';
    double n = strtod(text, &end);
    if (len == 0 || *end != '\0')
        fail(j, "a number");
    return n;
}

static void skip_word(struct json_walk *j, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
        fail(j, "a value");
    else
        j->at += len;
}

static void skip(struct json_walk *j, unsigned depth)
{
    char kind = json_walk_kind(j), name[1];
    if (depth > DEPTH_MAX) {
        fail(j, "no more than 64 brackets in each other");
    } else if (kind == '{') {
        json_walk_object(j);
        while (json_walk_member(j, name, sizeof(name)))
            skip(j, depth + 1);
    } else if (kind == '[') {
        json_walk_array(j);
        while (json_walk_element(j))
            skip(j, depth + 1);
    } else if (kind == '"') {
        json_walk_text(j, name, sizeof(name));
    } else if (kind == '0') {
        (void)json_walk_number(j);
    } else {
        skip_word(j, kind == 'n' ? "null" : kind == 't' ? "true" : "false");
    }
    j->first = false; /* of whatever this value stands in */
}

void json_walk_skip(struct json_walk *j)
{
    skip(j, 0);
}
