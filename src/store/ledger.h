#ifndef POSTRIDER_STORE_LEDGER_H
#define POSTRIDER_STORE_LEDGER_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listing;
struct recovery;
struct state;

/*
 * The account's messages in the state database: what was fetched, when, and what became of it.
 * State thread only, inside a transaction.  False with why filled (FAIL_LOCAL unless said) on
 * failure; the transaction, or the job's part of it, is to be undone then.
 */

/* A message that is durable in tmp/, and where to put its row. */
struct ledger_item {
	const char *uid;
	size_t uid_len; /* 0: known by number within this session only */
	unsigned occurrence;
	uint64_t size;   /* LIST's */
	uint64_t octets; /* those in the digest */
	const unsigned char *digest;
	const char *file;
	bool compare;     /* LISTED_COMPARE */
	int64_t replaces; /* the row with the same key, 0: none */
};

/* See mailbox_match(); a uid that repeats too often is FAIL_PROTOCOL. */
struct ledger_matched {
	size_t fresh;
	bool migrated;
};
bool ledger_match(struct state *state, int64_t account, struct listing *listing, int64_t keep_ms,
    int64_t forget_ms, struct ledger_matched *matched, struct verdict *why);
bool ledger_match_by_number(struct state *state, int64_t account, struct listing *listing,
    int64_t forget_ms, struct ledger_matched *matched, struct verdict *why);

/* After ledger_match(): whatever is listed and not SEEN becomes so, with nothing stored. */
bool ledger_adopt(
    struct state *state, int64_t account, struct listing *listing, struct verdict *why);

/*
 * The message becomes an intent; or, *known, its octets were stored before: that row takes its
 * key.  A row is claimed so when it has vanished or was deleted by us; once claimed it is neither
 * for any other message of the listing.
 */
bool ledger_intend(struct state *state, int64_t account, const struct ledger_item *item,
    int64_t *row, bool *known, struct verdict *why);

/* The intent's file is durable in new/. */
bool ledger_settle(struct state *state, int64_t row, struct verdict *why);

/* The intent came to nothing: the message will be fetched again. */
bool ledger_withdraw(struct state *state, int64_t row, struct verdict *why);

/*
 * Reads the account's intents, with account 0 everybody's.  Those of 36 hours by either clock are
 * marked old.
 */
bool ledger_load_intents(
    struct state *state, int64_t account, struct recovery *recovery, struct verdict *why);

/* False as well for a row that is not stored here: such a message must not be deleted. */
bool ledger_set_expunging(struct state *state, int64_t account, int64_t row, struct verdict *why);

/* A row without a uid is forgotten at once: no listing could tell that it is gone. */
bool ledger_set_expunged(struct state *state, int64_t account, int64_t row, struct verdict *why);

#endif
