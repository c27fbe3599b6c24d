/* SPDX-License-Identifier: Apache-2.0 */
/* format_tool -- answers questions about diskfile/format/, one line each, for
 * against_swift.py.
 *
 * Texts travel in hex ("-" is the empty one), so that any byte can be asked about:
 *   timestamp TEXT               -> INTERNAL SHORT, or "bad"
 *   parse POLICY NAME            -> KIND INTERNAL CTYPE|none INDEX DURABLE, or "bad"
 *   encode KEY=VALUE...          -> PICKLE
 *   decode PICKLE                -> KEY=VALUE..., or "bad"
 *   select POLICY NOW AGE WISH NAME... -> data=N meta=N ctype=N ts=N obsolete=N,N... reclaim=N,N...
 *          listed=N,N... durable=TIME
 *   title TEXT                   -> KEY
 * POLICY: "r", or "e" and the number of fragments. N: position in the question, from 0.
 * WISH: "-", or "iINDEX", "p[TIME:INDEX,INDEX;...]", or both. */
#include "diskfile/format/metadata.h"
#include "diskfile/format/select.h"
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 4096

static void die(const char *why)
{
    fprintf(stderr, "format_tool: %s\n", why);
    exit(2);
}

static unsigned hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c);
    if (!at || !c)
        die("not hex");
    return (unsigned)(at - digits);
}

/* In place. */
static struct slice unhex(char *text, size_t len)
{
    if (len == 1 && text[0] == '-')
        return (struct slice){text, 0};
    for (size_t i = 0; i + 1 < len; i += 2)
        text[i / 2] = (char)(hex_digit(text[i]) << 4 | hex_digit(text[i + 1]));
    return (struct slice){text, len / 2};
}

static struct slice unhex_word(char *word)
{
    return unhex(word, strlen(word));
}

static void print_hex(struct slice text)
{
    if (text.len == 0)
        putchar('-');
    for (size_t i = 0; i < text.len; i++)
        printf("%02x", (unsigned char)text.at[i]);
}

static struct file_policy policy_of(const char *word)
{
    return (struct file_policy){word[0] == 'e', word[0] == 'e' ? atoi(word + 1) : 0};
}

static void answer_timestamp(char **words, int count)
{
    char internal[TIMESTAMP_TEXT_MAX], brief[TIMESTAMP_TEXT_MAX];
    struct timestamp ts;

    (void)count;
    if (timestamp_parse(unhex_word(words[0]), &ts) < 0) {
        printf("bad");
        return;
    }
    timestamp_internal(ts, internal);
    timestamp_short(ts, brief);
    printf("%s %s", internal, brief);
}

static void answer_parse(char **words, int count)
{
    static const char *const kinds[] = {".data", ".meta", ".ts", ".durable", "other", "bad"};
    struct file_policy policy = policy_of(words[0]);
    char time[TIMESTAMP_TEXT_MAX], ctype[TIMESTAMP_TEXT_MAX];
    struct file_name file;

    (void)count;
    filename_parse(unhex_word(words[1]), &policy, &file);
    if (file.kind == FILE_UNEXPECTED) {
        printf("bad");
        return;
    }
    timestamp_internal(file.timestamp, time);
    timestamp_internal(file.ctype_timestamp, ctype);
    printf("%s %s %s %d %d", kinds[file.kind], time, file.has_ctype ? ctype : "none", file.fragment,
           file.durable);
}

static void answer_encode(char **words, int count)
{
    struct metadata m = {0};
    char *bytes;
    size_t len;

    for (int i = 0; i < count; i++) {
        char *equals = strchr(words[i], '=');
        if (!equals)
            die("no '='");
        struct slice key = unhex(words[i], (size_t)(equals - words[i]));
        if (metadata_set(&m, key, unhex_word(equals + 1)) < 0)
            die("metadata_set");
    }
    if (metadata_encode(&m, &bytes, &len) < 0)
        die("metadata_encode");
    print_hex((struct slice){bytes, len});
    free(bytes);
    metadata_release(&m);
}

static void answer_decode(char **words, int count)
{
    struct metadata m = {0};

    (void)count;
    if (metadata_decode(unhex_word(words[0]), &m) < 0)
        printf("bad");
    for (unsigned i = 0; i < m.count; i++) {
        if (i > 0)
            putchar(' ');
        print_hex(m.items[i].key);
        putchar('=');
        print_hex(m.items[i].value);
    }
    metadata_release(&m);
}

/* The position in the question of the name of entry `i`; -1: none. */
static int position(const struct selection *s, int i, const struct slice *names, int count)
{
    for (int n = 0; i >= 0 && n < count; n++) {
        if (slice_eq(names[n], slice_of(s->entries[i].name)))
            return n;
    }
    return -1;
}

static void print_verdict(const struct selection *s, const char *label, enum file_verdict verdict,
                          const struct slice *names, int count)
{
    const char *comma = "";
    printf(" %s=", label);
    for (int i = 0; i < (int)s->count; i++) {
        if (s->entries[i].verdict == verdict) {
            printf("%s%d", comma, position(s, i, names, count));
            comma = ",";
        }
    }
}

static void print_listed(const struct selection *s, const struct slice *names, int count)
{
    const char *comma = "";
    printf(" listed=");
    for (int i = 0; i < (int)s->count; i++) {
        if (select_is_listed(&s->entries[i])) {
            printf("%s%d", comma, position(s, i, names, count));
            comma = ",";
        }
    }
    char text[TIMESTAMP_TEXT_MAX] = "-";
    if (s->durable >= 0 && s->data >= 0)
        timestamp_internal(s->entries[s->durable].file.timestamp, text);
    printf(" durable=%s", text);
}

#define WISH_MAX 16

struct asked {
    struct fragment_wish wish;
    struct fragment_preference preferences[WISH_MAX];
    int excluded[WISH_MAX][WISH_MAX];
};

/* TIME:INDEX,INDEX */
static void read_preference(char *text, struct asked *a)
{
    struct fragment_preference *p = &a->preferences[a->wish.count];
    int *excluded = a->excluded[a->wish.count++];
    char *colon = strchr(text, ':');
    if (!colon || timestamp_parse((struct slice){text, (size_t)(colon - text)}, &p->timestamp) < 0)
        die("bad preference");
    p->excluded = excluded;
    for (char *at = colon + 1; *at; at += *at == ',')
        excluded[p->excluded_count++] = (int)strtol(at, &at, 10);
}

static const struct fragment_wish *wish_of(char *word, struct asked *a)
{
    char *save = NULL;
    if (word[0] == '-')
        return NULL;
    a->wish.only_index = word[0] == 'i';
    if (a->wish.only_index)
        a->wish.index = (int)strtol(word + 1, &word, 10);
    a->wish.any = word[0] == 'p';
    a->wish.preferences = a->preferences;
    for (char *one = a->wish.any ? strtok_r(word + 1, ";", &save) : NULL; one;
         one = strtok_r(NULL, ";", &save))
        read_preference(one, a);
    return &a->wish;
}

static void answer_select(char **words, int count)
{
    struct asked asked = {0};
    struct file_policy policy = policy_of(words[0]);
    struct timestamp now;
    struct slice names[WORDS_MAX] = {0};
    struct selection s;

    if (timestamp_parse(slice_of(words[1]), &now) < 0)
        die("bad time");
    select_init(&s);
    for (int i = 4; i < count; i++) {
        names[i - 4] = unhex_word(words[i]);
        if (select_add(&s, names[i - 4], &policy) < 0)
            die("select_add");
    }
    count -= 4;
    select_files(&s, &policy, wish_of(words[3], &asked));
    printf("data=%d meta=%d ctype=%d ts=%d", position(&s, s.data, names, count),
           position(&s, s.meta, names, count), position(&s, s.ctype, names, count),
           position(&s, s.tombstone, names, count));
    print_verdict(&s, "obsolete", VERDICT_OBSOLETE, names, count);
    print_verdict(&s, "reclaim", VERDICT_RECLAIM, names, count);
    print_listed(&s, names, count);
    struct reclaim limits = {now, strtoull(words[2], NULL, 10), UINT64_MAX};
    select_reclaim(&s, &limits);
    print_verdict(&s, "unlinked", VERDICT_OBSOLETE, names, count);
    select_release(&s);
}

static void answer_title(char **words, int count)
{
    struct slice name = unhex_word(words[0]);
    char *key = malloc(name.len + 1);

    (void)count;
    if (!key)
        die("no memory");
    metadata_title_key(name, key);
    print_hex((struct slice){key, name.len});
    free(key);
}

static const struct {
    const char *name;
    int least_words;
    void (*answer)(char **words, int count);
} questions[] = {
    {"timestamp", 1, answer_timestamp}, {"parse", 2, answer_parse},   {"encode", 0, answer_encode},
    {"decode", 1, answer_decode},       {"select", 3, answer_select}, {"title", 1, answer_title},
};

static void answer(char *line)
{
    char *words[WORDS_MAX], *rest = line, *word;
    int count = 0;

    while ((word = strsep(&rest, " \n"))) {
        if (*word && count == WORDS_MAX)
            die("too many words");
        if (*word)
            words[count++] = word;
    }
    for (size_t i = 0; count > 0 && i < sizeof(questions) / sizeof(questions[0]); i++) {
        if (strcmp(words[0], questions[i].name) == 0 && count - 1 >= questions[i].least_words) {
            questions[i].answer(words + 1, count - 1);
            putchar('\n');
            return;
        }
    }
    die("what is the question?");
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;

    while (getline(&line, &room, stdin) > 0)
        answer(line);
    free(line);
    return 0;
}
