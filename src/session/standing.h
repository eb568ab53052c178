#ifndef POSTRIDER_SESSION_STANDING_H
#define POSTRIDER_SESSION_STANDING_H

#include "store/record.h"

#include <stdbool.h>
#include <stdint.h>

struct endpoint_config;

/*
 * How one side of an account stands with its server: what a session's outcome changes in its
 * record.  When there is a next one is for the side's own policy to say.
 */

/* One more failure in a row, and one more refused password when it was that. */
void standing_note_failure(struct record *record, const struct verdict *why);

/*
 * The failure that was noted last blocks the account: its text says so, or a person waits for an
 * attempt that does not come.  daily: one comes each day all the same.
 */
void standing_note_blocked(struct record *record, bool daily);

/* Nothing is held against it any more. */
void standing_note_success(struct record *record);

/*
 * True when a refused token is nobody's trouble: one that was held from before has ended, and the
 * next session, at once, fetches another.  refused is its generation (auth/vault.h), 0 when the
 * session ended otherwise; *renewed is kept for the next call, and sees to it that the next token
 * is not excused as well.
 */
bool standing_renews_token(unsigned long *renewed, unsigned long refused);

/* A login by that name (session/sasl_exchange.h), NULL: none.  True when the record has changed. */
bool standing_note_login(struct record *record, const char *mechanism);

/*
 * Mechanisms that a server lists and does not have.  Remembered for a day and no longer than the
 * daemon runs: not every login is to ask in vain, and what was mended is found out.  Zeroed memory
 * knows of none.
 */
struct standing_declined {
	uint32_t mechanisms; /* a set, proto/sasl.h */
	int64_t until;       /* clock_mono() */
};

uint32_t standing_declined(const struct standing_declined *declined);

/* What a session that logged in has found out; an empty set changes nothing. */
void standing_note_declined(struct standing_declined *declined, uint32_t mechanisms);

/*
 * A refused login forgets them: the server, or another one of that name, may have what was
 * declined, and refuse what was said of it (sasl_is_unoffered()).
 */
void standing_doubt_declined(struct standing_declined *declined, const struct verdict *why);

/* Whatever the server offers from now on will do. */
void standing_forget_login(struct record *record);

/* Refused passwords count no more, for something was changed, or one was accepted. */
void standing_forgive(struct record *record);

/*
 * The settings under which the next login will be; before: those that were in force until now, NULL
 * at the start, where the record's fingerprint has to do.  True, and forgiven, when they or the
 * secret are others: what was refused then says nothing about now, nor does what the server could
 * do.  The last login is forgotten only when it was at another server, or may be in another way.
 */
bool standing_take_settings(struct record *record, const struct endpoint_config *endpoint,
    const struct endpoint_config *before);

/*
 * How long the server still wants to be left alone behind the last login, ms; 0: it does not.  No
 * longer than it asked for, whatever a wall clock that leapt says.
 */
int64_t standing_login_wait(const struct record *record);

/*
 * What the server cannot do, whatever it says: a set of the side's own (fetch/features.h,
 * deliver/shortcomings.h), known for 30 days after the last find.
 */
unsigned standing_lacking(const struct record *record);
void standing_note_lacking(struct record *record, unsigned found);

/* How long the account is still blocked for its password, ms; 0: it is not.  A day at most,
 * whatever a wall clock that leapt says. */
int64_t standing_blocked_for(const struct record *record);

#endif
