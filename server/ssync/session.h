/* SPDX-License-Identifier: Apache-2.0 */
/* session.h -- one conversation, between session.c, missing.c and updates.c; nobody else includes
 * it.
 *
 *   sender                                     this side
 *   SSYNC /device/partition            ->      [device usable?]
 *                                      <-      200, an empty line              OPENING
 *                                              [a place, two locks]            ADMISSION
 *   :MISSING_CHECK: START              ->                                      MISSING_START
 *   hash time [items]  *               ->      [is it here?]                   OFFERS, LOOKING
 *   :MISSING_CHECK: END                ->
 *                                      <-      START, what is wanted, END      WANTED
 *   :UPDATES: START                    ->                                      UPDATES_START
 *   PUT|POST|DELETE /a/c/o, headers    ->                                      PART_LINE, PART_HEAD
 *   body                               ->      [the verb]                      PART_BODY, PART_REST
 *   :UPDATES: END                      ->
 *                                      <-      START, END                      FAREWELL
 *
 * S1  session_run() is the only one that moves on, and is not re-entered: callbacks note what they
 *     bring and call it. A step returns true when something was done, else it waits.
 * S2  Input is read only while a step is hungry, so the sender is held back by whatever is slow:
 *     the disk, or its own socket. Of the input at most one read is kept, and one line.
 * S3  OVER is final: entered by session_fail(), session_drop() or at the end. The request is done
 *     when nothing is in flight; before that the locks are given back.
 * S4  An error is told in the stream only when all before it was written; nothing follows it. */
#ifndef OBJSRV_SSYNC_SESSION_H
#define OBJSRV_SSYNC_SESSION_H

#include "server/http/subrequest.h"
#include "server/loop.h"
#include "server/ssync/admission.h"
#include "server/ssync/lines.h"
#include "server/ssync/offer.h"
#include "server/ssync/part_head.h"

enum session_step {
    STEP_CHECK,
    STEP_OPENING,
    STEP_ADMISSION,
    STEP_MISSING_START,
    STEP_OFFERS,
    STEP_LOOKING,
    STEP_WANTED,
    STEP_UPDATES_START,
    STEP_PART_LINE,
    STEP_PART_HEAD,
    STEP_PART_BODY,
    STEP_PART_REST,
    STEP_FAREWELL,
    STEP_OVER,
    STEPS
};

enum { OFFERS_AT_ONCE = 32 };

/* missing.c's */
struct missing {
    struct offer offers[OFFERS_AT_ONCE];
    unsigned wants[OFFERS_AT_ONCE]; /* LOOKING: a pool thread writes it */
    char hashes[OFFERS_AT_ONCE][HASH_HEX_LEN + 1];
    unsigned which[OFFERS_AT_ONCE]; /* the offer of each hash */
    unsigned count, looked;
    bool ended;
    char *wanted; /* lines, with CRLF between */
    size_t wanted_len, wanted_room, said;
    unsigned piece;
};

/* updates.c's */
struct updates {
    struct subrequest *part;
    struct part_head head;
    uint64_t left; /* bytes of the body */
    bool running;  /* the verb has it */
    bool feeding;
    uint64_t successes, failures;
    unsigned piece;
};

struct session {
    struct request *request;
    struct df_partition partition;
    bool erasure_coded;
    bool has_index; /* X-Backend-Ssync-Frag-Index was sent */
    int index;      /* for diskfile: -1 for none */
    struct fragment_wish wish;
    enum session_step step;
    bool running;  /* S1 */
    bool hungry;   /* S2 */
    bool paused;   /* request_more() is due */
    bool reading;  /* the body was asked for */
    bool ended;    /* the body */
    bool replying; /* 200 is out or on its way */
    bool writable; /* the socket has taken all that was written */
    bool checking, looking;
    bool finished;
    struct lines in;
    struct admission admission;
    struct missing missing;
    struct updates updates;
};

/* ---- session.c ---- */

void session_run(struct session *s);

/* What can be read next. INPUT_MORE: the step returns false. */
enum input { INPUT_MORE, INPUT_LINE, INPUT_END, INPUT_BAD };
enum input session_line(struct session *s, struct slice *ret_line); /* INPUT_BAD: has failed */

/* The line that both halves begin with. True: go on; false: wait, or the session has failed. */
bool session_expect(struct session *s, const char *start, enum session_step next);

/* A chunk; lent until the session is writable again. */
void session_say(struct session *s, const char *at, size_t len);
void session_say_text(struct session *s, const char *text);

/* ":ERROR: code 'text'", and the end (S3). The text is copied, and logged. */
void session_fail(struct session *s, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Without a word: nobody listens, or what comes in makes no sense. */
void session_drop(struct session *s);
void session_cut_short(struct session *s); /* the same, logged: the stream broke off */

/* ---- steps ---- */

bool missing_offers(struct session *s);
bool missing_wanted(struct session *s);
void missing_release(struct session *s);

bool updates_line(struct session *s);
bool updates_head(struct session *s);
bool updates_body(struct session *s);
bool updates_rest(struct session *s);
bool updates_farewell(struct session *s);
void updates_fail_part(struct session *s, int err); /* its body will not come */
void updates_release(struct session *s);

#endif
