#ifndef POSTRIDER_STORE_RECORD_H
#define POSTRIDER_STORE_RECORD_H

#include "base/log.h"
#include "base/verdict.h"

#include <stdbool.h>
#include <stdint.h>

struct state;

/* What survives a restart for one side of an account.  Times are wall ms, 0: never. */
struct record {
	int64_t last_attempt;
	int64_t last_success;
	uint64_t messages;      /* fetched, or accepted by the server for a recipient */
	uint64_t octets;        /* of messages */
	unsigned failures;      /* in a row */
	int64_t failing_since;  /* the first of those */
	unsigned auth_failures; /* refused passwords in a row */
	int64_t blocked_until; /* wall ms of the one try a day; 0: not blocked for authentication */
	char fingerprint[65];  /* of the configuration the refusals belong to */
	char mechanism[48];    /* of the last login, by sasl_login_name(); "": none is known */
	/* What the server cannot do, whatever it says: fetch/features.h, deliver/shortcomings.h. */
	unsigned lacking;
	int64_t lacking_since; /* wall ms, of the last of them */
	unsigned proven;       /* POP3: features that have worked, see fetch/features.h */
	int64_t last_login;    /* POP3: when a session that had logged in ended, or came too soon */
	int64_t login_delay;   /* POP3: ms that the server asks for between logins; 0: nothing */
	int64_t expire_told;   /* POP3: see expiry_note(); 0: nothing was told */
	int64_t error_time;
	enum fail error_kind;
	char error_text[512];
};

/*
 * How a failure after these is told: the same trouble again and again is a warning the 1st, 2nd,
 * 4th, 8th time in a row, and for who looks closely otherwise, so that a night without a network
 * does not fill the log.
 */
enum log_level record_level_of(const struct record *before, const struct verdict *why);

enum record_side { RECORD_POP3, RECORD_SMTP };

/*
 * State thread only.  Zeroes when there is nothing yet.  False with why filled (FAIL_LOCAL) on
 * failure.
 */
bool record_load(struct state *state, enum record_side side, const char *account,
    struct record *record, struct verdict *why);
bool record_save(struct state *state, enum record_side side, const char *account,
    const struct record *record, struct verdict *why);

#endif
